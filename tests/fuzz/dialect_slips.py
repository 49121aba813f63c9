"""Slips in calls of the other dialects: in the tags and in the JSON of Hermes, and in the tags of every other
table, written from its own spellings.
"""

import json
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from fuzz.native import mended
from fuzz.samples import Sample
from fuzz.slips import TOOLS, Part, call, slipped, tag, text_of
from toolstream.grammar.dialect import Body, Dialect
from toolstream.grammar.dialects import DIALECTS

# Hermes

KEYS = {
    "arguments": ("argument", "args", "Arguments", "parameters", "params", "input", "argumenten"),
    "name": ("Name", "tool", "function", "tool_name", "nam", "nmae"),
}
MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]')


def hermes(name: str, arguments: dict[str, Any]) -> list[Part]:
    """As Qwen2.5 and Qwen3 are taught to write it."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return [tag("<tool_call>", of=name), f"\n{body}\n", tag("</tool_call>", of=name)]


def hermes_tags(choose: Random) -> Sample:
    name, arguments = call(choose)
    parts, made = slipped(hermes(name, arguments), 1, choose)
    return Sample(
        "Hermes: 1 slip in tags", text_of(parts), TOOLS, ((name, arguments),), about=" · ".join(made)
    )


def hermes_json(choose: Random) -> Sample:
    """One slip at the JSON's punctuation, or in one of its two keys."""
    name, arguments = call(choose)
    opening, body, closing = map(str, hermes(name, arguments))
    if choose.random() < 0.3:
        key = choose.choice(list(KEYS))
        wrong = choose.choice(KEYS[key])
        damaged, about = body.replace(f'"{key}"', f'"{wrong}"', 1), f"{key}: {wrong}"
    else:
        at = choose.choice(list(marks(body)))
        damaged, about = mark_slip(body, at, choose)
    text = opening + damaged + closing
    return Sample("Hermes: 1 slip in JSON", text, TOOLS, ((name, arguments),), about=about)


def server_json(choose: Random) -> Sample:
    """One slip at the punctuation of arguments that the server parsed."""
    name, arguments = "", {}
    while not arguments:
        name, arguments = call(choose)
    body = json.dumps(arguments, ensure_ascii=False)
    damaged, about = mark_slip(body, choose.choice(list(marks(body))), choose)
    tools = tuple(tool for tool in TOOLS if tool.startswith(f"{name}("))
    row = "server's arguments: 1 slip"
    return Sample(row, damaged, tools, ((name, arguments),), about=about, judged_by=mended)


def marks(body: str) -> Iterator[int]:
    """Where brackets, commas, colons and the quotes of strings stand."""
    for found in MARK.finditer(body):
        yield from {found.start(), found.end() - 1}


def mark_slip(body: str, at: int, choose: Random) -> tuple[str, str]:
    """A mark missing, twice, or another one."""
    mark = body[at]
    other = {'"': "'“”`", "{": "[(<", "}": "])>", "[": "{(", "]": "})", ",": ";:.", ":": "=,;"}[mark]
    what, new = choose.choice([("missing", ""), ("twice", mark * 2), ("another", choose.choice(other))])
    return body[:at] + new + body[at + 1 :], f"{what}: {mark} at {at}"


# Every other table


def written(dialect: Dialect, name: str, arguments: dict[str, Any]) -> list[Part]:
    """A call in the spellings of one table; what a table lacks is as Qwen is taught it."""
    wrap, unwrap = first(dialect.wrap_open, "<tool_call>"), first(dialect.wrap_close, "</tool_call>")
    if not (dialect.call_open or dialect.call_in_envelope or dialect.parameter_open):
        _, body, _ = hermes(name, arguments)
        return [*tags(wrap, of=name), body, *tags(unwrap, of=name)]
    opener = first((*dialect.call_open, *dialect.call_in_envelope), "<function={name}>")
    closer = "" if dialect.needs_no_closer and dialect.call_open else first(dialect.call_close, "</function>")
    parts = [*tags(wrap, of=name), "\n", *tags(opener, name), "\n"]
    if dialect.body is Body.JSON:
        parts += [json.dumps(arguments, ensure_ascii=False), *tags(closer, of=name)]
        return [*parts, *tags(unwrap, of=name)]
    for key, value in arguments.items():
        parts += tags(first(dialect.parameter_open, "<parameter={name}>"), key)
        text = value if isinstance(value, str) else json.dumps(value)
        parts += [f"\n{text}\n", *tags(first(dialect.parameter_close, "</parameter>"), key), "\n"]
    return [*parts, *tags(closer, name), "\n", *tags(unwrap, of=name)]


def first(spellings: Sequence[str], otherwise: str) -> str:
    """The first spelling that says nothing of what follows it, else of the last part of the first."""
    plain = [spelling for spelling in spellings if "~" not in spelling]
    return (plain or [spelling.partition("~")[0] for spelling in spellings] or [otherwise])[0]


def tags(spelling: str, name: str = "", of: str = "") -> Iterator[Part]:
    """A spelling as tags, and what stands between them."""
    for placeholder in ("{gap}", "{attributes}"):
        spelling = spelling.replace(placeholder, "")
    spelling = spelling.replace("{number}", "0")
    for piece in re.findall(r"<[^<>]*>|[^<]+", spelling):
        text = re.sub(r"\{(?:name|tool|key)\}", lambda _: name, piece)
        has_name = text != piece
        yield tag(text, name if has_name else "", of or name) if text.startswith("<") else text


def others() -> list[Dialect]:
    """All tables but Qwen's own two, and that of damaged tags."""
    return [d for d in DIALECTS if not d.damaged and d.name not in ("qwen3_coder", "hermes")]


def in_dialect(dialect: Dialect, choose: Random, count: int) -> Sample:
    """A call of another dialect, at the level that reads it."""
    while True:
        name, arguments = call(choose)
        if arguments:  # some of them need a parameter to be a call
            break
    parts, made = slipped(written(dialect, name, arguments), count, choose)
    row = f"{dialect.name}: {count} slip{'s' * (count != 1)}"
    level = "aggressive" if dialect.level == "aggressive" else "tolerant"
    return Sample(
        row,
        text_of(parts),
        TOOLS,
        ((name, arguments),),
        options={"recovery": level},
        about=" · ".join(made),
    )
