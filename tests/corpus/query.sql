-- calls per tool; <function=read> is the most frequent one
SELECT name, COUNT(*) AS calls, AVG(LENGTH(content)) AS content
FROM calls
WHERE path LIKE '%.txt' AND LENGTH(title) <> 0 AND days < 3
  AND text NOT IN ('<tool_call>', '</tool_call>')
GROUP BY name
HAVING COUNT(*) > 1
ORDER BY calls DESC;
