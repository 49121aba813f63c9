"""JSON calls in `<tool_call>`, as the chat templates of Qwen2.5 and Qwen3 teach them.

`parser/json_call` reads them in any envelope. So this table has no spellings, only templates for writing.
"""

from ..dialect import Body, Dialect
from ..writing import Writing

DIALECT = Dialect(
    "hermes",
    body=Body.JSON,
    writing=Writing(
        call='<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>',
        result="<tool_response>\n{content}\n</tool_response>",
        tools=(
            "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
            "You are provided with function signatures within <tools></tools> XML tags:\n"
            "<tools>\n{tools}</tools>\n\n"
            "For each function call, return a json object with function name and arguments within "
            "<tool_call></tool_call> XML tags:\n<tool_call>\n"
            '{{"name": <function-name>, "arguments": <args-json-object>}}\n</tool_call>'
        ),
    ),
)
