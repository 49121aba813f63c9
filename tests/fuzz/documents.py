"""The second gate: documents as values. Whatever a file may hold must come out to the letter, whether its
call is closed as it should be, lacks a closer, has a damaged one, or has text after it.

The documents are texts of tests/corpus, our own sources, manuals and cases, all full of calls; files of the
standard library; and what is put together here: markup, templates, diffs, closers that nothing opened,
brackets that nothing closes. They are taken whole and in fragments, some with CRLF.

Left out is what can be read in two ways (P4): closers of a whole call that nothing in the document opened,
if a call or more than 512 characters follow, or nothing at all; openers without closers; and a carriage
return at the end, which with the line break of the markup would be CRLF.
"""

import hashlib
import json
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from random import Random

from fuzz.samples import Sample

ROOT = Path(__file__).parents[2]
LIBRARY = Path(sysconfig.get_path("stdlib"))
TOOLS = (
    *("read(path: string)", "write(path: string, content: string)", "search(text: string)"),
    *("list(name: string)", "time()", "name(value: string)", "title(text: string)"),
    *("code(content: string)", "summary(text: string, title?: string)", "path(value: string)"),
    *("function(name: string)", "parameter(name: string, value: string)", "result(name: string)"),
    *("get_weather(city: string, days?: integer)", "edit(path: string, old: string, new: string)"),
    "store(content: string, target_file: string)",
)
OWN = ("tests/corpus/*", "tests/cases/*.txt", "tests/fuzz/findings/*.txt", "addon/**/*.py", "**/README.md")
FILES, LARGEST = 150, 8_000  # files of the standard library; characters of a text
KINDS = (".py", ".xml", ".html", ".txt", ".json", ".md", ".rst", ".css", ".sh", ".toml", ".cfg", ".csv")
HELD = 512  # characters that P4 looks ahead

# What is put together

LINES = (
    *("<div>", "</div>", '<div className="a" onClick={() => f(a < b)}>', "<br/>", "<p>Text <b>bold</b></p>"),
    *("</p>", "</body>", "</html>", "<!-- a comment", "-->", "<!-- </parameter> -->", "<![CDATA[", "]]>"),
    *("<svg><path d='M0 0'/></svg>", "</svg>", "<></>", "<Foo.Bar />", "<T extends U>() => {", "a << b >> c"),
    *("{% for x in xs %}", "{{ x }}", "{% endfor %}", "<%= x %>", "<?php echo 1; ?>", "${a}", "#{b}"),
    *("if (a<b && c>d) {", "i <= n", "<", "<<<<<<< HEAD", "=======", ">>>>>>> theirs", "x <- y", "->", "=>"),
    *(
        "# Title",
        "- item",
        "> quoted",
        "```xml",
        "```",
        "~~~",
        "`<b>`",
        "| a | b |",
        "    indented",
        "\t<tab>",
    ),
    *("--- a/f", "+++ b/f", "@@ -1,2 +1,3 @@", "-</parameter>x", "+<parameter=a>b", "- </function> x"),
    *("<größe>5</größe>", "<名前>あ</名前>", "</größe>", "<имя>", "😀 < 😀", "&lt;tag&gt;", "\\n", '"', "'"),
    *(
        "<think>",
        "</think>",
        "<|im_end|>",
        "<|im_start|>user",
        "{",
        "}",
        "[",
        "]",
        '{"name": "read"}',
        "null",
    ),
    *("see </parameter> there", "x = '</function>'", "print('</tool_call>')", "// <tool_call> is text"),
    *(
        "</execution>",
        "</param>",
        "</value>",
        "</arguments>",
        "</item>",
        "</foo>",
        "</a></b></c>",
        "<parameter>",
    ),
    *("<path>", "</path>", "</content>", "<name>x</name>", "<text>", "function foo() {", "parameter = 1", ""),
    *("std::function<void(int)> f;", "vector<vector<int>> v;", "</ b >", "< /b>", "<b", "b>", "/b>", "</"),
    *(
        "<xsl:template match='/'>",
        "</xsl:template>",
        "<ns:tool_call/>",
        "<tool_call/>",
        "@Component({",
        "<",
        ">",
    ),
)
EXAMPLES = (
    "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
    "<function=write>\n<parameter=path>\nb\n</parameter>\n<parameter=content>\nx < y\n</parameter>\n"
    "</function>",
    '<tool_call>\n{"name": "read", "arguments": {"path": "a"}}\n</tool_call>',
    '<function_calls>\n<invoke name="read">\n<parameter name="path">a</parameter>\n</invoke>\n'
    "</function_calls>",
    "<tool_call>\n<function=search>\n<parameter=text>\n</parameter>\n</function>\n</tool_call>",
    # Elements that are named as ours are, in any XML
    '<parameter name="a">1</parameter>\n<parameter name="b">2</parameter>',
    '<r>\n  <parameter name="host">\n    h\n  </parameter>\n  <parameter name="path">/x</parameter>\n</r>',
    "<parameter=KEY>VALUE</parameter>\n<parameter=KEY2>VALUE2</parameter>",
    '<parameter type="x">1</parameter>\n<parameter>z</parameter>',
    '  <parameter id="1" name="path">\n    <v>1</v>\n  </parameter>\n  <parameter id="2" name="b">x'
    "</parameter>",
)


def generated(choose: Random) -> str:
    """Lines that have nothing to do with one another, and now and then an example of a call."""
    lines = [choose.choice(LINES) for _ in range(choose.choice([1, 2, 3, 8, 20]))]
    if choose.random() < 0.3:
        lines.insert(choose.randrange(len(lines) + 1), choose.choice(EXAMPLES))
    indent = choose.choice(["", "", "  ", "\t"])
    return indent + f"\n{indent}".join(lines) if choose.random() < 0.3 else "\n".join(lines)


# What is found


@lru_cache
def found() -> dict[str, str]:
    """Our own texts, and some of the standard library, by name."""
    own = [(ROOT, path) for pattern in OWN for path in ROOT.glob(pattern) if not hidden(path)]
    library = [(LIBRARY, path) for path in LIBRARY.rglob("*") if path.suffix in KINDS and not hidden(path)]
    library.sort(key=lambda pair: digest(pair[1].relative_to(LIBRARY).as_posix()))
    return {
        path.relative_to(root).as_posix(): text
        for root, path in [*own, *library[:FILES]]
        if (text := text_of(path))
    }


def hidden(path: Path) -> bool:
    return any(part.startswith(".") or part.endswith("-packages") for part in path.parts)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")[:LARGEST].removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError):
        return ""


def document(choose: Random) -> str:
    """A document, or a fragment of one, that is not left out. One more file changes few of the choices."""
    while True:
        token = choose.random()
        if token < 0.4:
            text = generated(choose)
        else:
            text = fragment(found()[min(found(), key=lambda name: digest(f"{token} {name}"))], choose)
        if choose.random() < 0.2:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        if not unclear(text):
            return text


def fragment(text: str, choose: Random) -> str:
    if choose.random() < 0.2:
        return text
    lines = text.split("\n")
    start = choose.randrange(len(lines))
    return "\n".join(lines[start : start + choose.choice([1, 3, 10, 40])])


# What has two readings

TAG = re.compile(r"<(/?)(tool_call|function_calls?|function|invoke|parameter)\b[^<>\n]*(>?)")
END_OF_TURN = re.compile(r"<\|\w+\|>\s*\Z")
LAST_CLOSER = re.compile(r"(?:\A|\n)[ \t]*</ *([\w:.-]+)[^<>\n]*>?\Z")
CLOSING_WORD = re.compile(r"</ *(?:param|func|tool|arg|invoke|value|content|execution)")
HTML_WORDS = ("p", "div", "body", "html", "svg")


def unclear(text: str) -> bool:
    """Whether more than one value can be meant, however the call goes on."""
    if not text.strip() or text.endswith("\r"):
        return True
    opened: Counter[str] = Counter()
    for tag in TAG.finditer(text):
        word = tag[2]
        opened[word] += -1 if tag[1] else len(tag[3])  # without its end it opens nothing
        if opened[word] < 0:
            opened[word], behind = 0, text[tag.end() :]
            followed = TAG.match(behind.lstrip()) if word == "parameter" else TAG.search(behind)
            if followed or not behind.strip() or (len(behind) > HELD and word != "parameter"):
                return True
    return opened.total() > 0


def unclear_unclosed(text: str) -> bool:
    """Whether its last line can be the closer that is missing after it, one that it has not opened itself; or
    the end of the turn."""
    if END_OF_TURN.search(text):
        return True
    last = LAST_CLOSER.search(text)
    if last is None or last[1] in HTML_WORDS:
        return False
    return bool(TAG.search(last[0])) or not re.search(rf"<{re.escape(last[1])}\b", text)


# As values

CLOSED = "\n</parameter>\n</function>\n</tool_call>"
ENDS = {
    "closed": CLOSED,
    "closed, text after": CLOSED + "\n\nDone with it.",
    "closed, a call after": CLOSED + "\n<tool_call>\n<function=time>\n</function>\n</tool_call>",
    "without </parameter>": "\n</function>\n</tool_call>",
    "with </tool_call> alone": "\n</tool_call>",
    "without any closer": "",
    "with </paramter>": "\n</paramter>\n</function>\n</tool_call>",
    "with </parameter=content>": "\n</parameter=content>\n</function>\n</tool_call>",
    "with </function": "\n</parameter>\n</function\n</tool_call>",
}
DAMAGED = (
    *("without </parameter>", "with </tool_call> alone"),
    *("with </paramter>", "with </parameter=content>", "with </function"),
)
UNCLOSED = ("without </parameter>", "with </tool_call> alone", "without any closer")
HEAD = "<tool_call>\n<function=write>\n<parameter=path>\na\n</parameter>\n<parameter=content>\n"
BEFORE = "<tool_call>\n<function=store>\n<parameter=content>\n"
AFTER = "\n</parameter>\n<parameter=target_file>\na\n</parameter>\n</function>\n</tool_call>"


def in_call(end: str, text: str) -> Sample | None:
    """The document as the last value of a call that ends so; None if it is not clear there."""
    if (
        unclear(text)
        or (end in UNCLOSED and unclear_unclosed(text))
        or (not ENDS[end] and (CLOSING_WORD.search(text) or text != text.strip()))
    ):
        return None
    calls = [("write", {"path": "a", "content": text}), *([("time", {})] if "a call" in end else [])]
    left = "\n\nDone with it." if "text after" in end else ""
    remake = partial(in_call, end)
    return Sample(
        f"document {end}", HEAD + text + ENDS[end], TOOLS, tuple(calls), left, core=text, remake=remake
    )


def before_another(text: str) -> Sample | None:
    """The document before another parameter."""
    if unclear(text):
        return None
    calls = (("store", {"content": text, "target_file": "a"}),)
    whole = BEFORE + text + AFTER
    return Sample("document before a parameter", whole, TOOLS, calls, core=text, remake=before_another)


def in_json(text: str) -> Sample:
    """The document as a string of JSON."""
    arguments = {"path": "a", "content": text}
    body = json.dumps({"name": "write", "arguments": arguments}, ensure_ascii=False)
    whole = f"<tool_call>\n{body}\n</tool_call>"
    return Sample("document in JSON", whole, TOOLS, (("write", arguments),), core=text, remake=in_json)


def samples(choose: Random) -> Iterator[Sample]:
    """One document in every way."""
    text = document(choose)
    for sample in (*(in_call(end, text) for end in ENDS), before_another(text), in_json(text)):
        if sample:
            yield sample
