"""The first gate: random slips at the tags of a call that was right. A letter is replaced, dropped, doubled
or out of order; a word is of another language; there is another bracket, a gap, an attribute, a name in a
closer.

No slip touches the name of a tool or of a parameter: names are never guessed (P21).
"""

# ruff: noqa: RUF001

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from fuzz.samples import Judged, Sample, Verdict, expected
from support.outcome import Outcome

TOOLS = (
    *("read(path: string, limit?: integer)", "write(path: string, content: string)"),
    "edit(path: string, old: string, new: string, all?: boolean)",
    *("run(command: string, timeout?: integer)", "list(path?: string)"),
    "search(query: string, tags?: array)",
)
ODD_TOOLS = (  # named as the tags are, or as no word is
    *("tool_call(name: string, value?: string)", "function(parameter: string)"),
    *("parameter(function: string, path: string)", "mcp__fs__get-file(path: string, file_name?: string)"),
)
VALUES: dict[str, tuple[Any, ...]] = {
    "path": ("src/a.py", "/etc/hosts", "docs/read me.md"),
    "content": (
        "def f(a):\n    return a < 3\n",
        "<html>\n<body>\n<p>Hi</p>\n</body>\n</html>",
        "# Title\n\nSome *text* with <b>tags</b>.\n",
        "export default () => <App name={x} />;\n\n\n",
        "x",
    ),
    "old": ("a = 1", "<div>\n  <p>old</p>\n</div>", "std::vector<int> v;"),
    "new": ("a = 2\nb = 3", "<div>\n  <span>new</span>\n</div>", ""),
    "command": ('ls -la | grep "x"', "cat <<EOF > f\nhi\nEOF", "a && b 2>&1"),
    "query": ("how to", "<T> generics"),
    "limit": (5, 100),
    "timeout": (30,),
    "all": (True,),
    "tags": (["a", "b"], []),
    **dict.fromkeys(("name", "value", "parameter", "function", "file_name"), ("a", "x < y", "")),
}
WORDS = {
    "parameter": ("parámetro", "参数", "argument", "arg", "параметр", "value", "field", "param"),
    "function": ("función", "函数", "fonction", "функция", "execution", "invoke", "method", "tool"),
    "tool_call": ("llamada", "工具调用", "appel_outil", "вызов", "call", "tool_use", "toolcall", "action"),
}
OPENING, CLOSING = "‹＜[({«⟨", "›＞])}»→⟩"
WRONG = "abcxyz_-/=.:"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as `head`, the name in it, and `tail`. `of` is the name that its closer may repeat."""

    head: str
    name: str = ""
    tail: str = ""
    of: str = ""

    def __str__(self) -> str:
        return self.head + self.name + self.tail

    @property
    def closes(self) -> bool:
        return self.head.startswith("</")

    @property
    def word(self) -> str:
        found = re.search(r"\w+", self.head)
        return found[0] if found else ""

    @property
    def before_name(self) -> int:
        """How much of the head may change by a letter: what joins it to the name may not."""
        return len(self.head.rstrip("=:\"' ")) if self.name else len(self.head)


Part = str | Tag  # a tag, or what stands between two of them
Slip = Callable[[Tag, Random], Tag | None]


def tag(text: str, name: str = "", of: str = "") -> Tag:
    """Read a tag with this name in it."""
    head, _, tail = text.partition(name) if name else (text, "", "")
    return Tag(head, name, tail, of or name)


# One slip each: the tag with it; None if the tag has no place for it


def letter(change: Callable[[str, int, Random], str]) -> Slip:
    """A slip of one letter; now and then of what ends a tag with a name."""

    def slip(old: Tag, choose: Random) -> Tag | None:
        if old.name and old.tail and choose.random() < 0.15:
            return replace(old, tail=change(old.tail, len(old.tail) - 1, choose))
        size = old.before_name
        if not size:
            return None
        changed = change(old.head[:size], choose.randrange(size), choose)
        return replace(old, head=changed + old.head[size:])

    return slip


def exchanged(text: str, at: int, choose: Random) -> str:
    return text[:at] + choose.choice(WRONG) + text[at + 1 :]


def dropped(text: str, at: int, _: Random) -> str:
    return text[:at] + text[at + 1 :]


def doubled(text: str, at: int, _: Random) -> str:
    return text[: at + 1] + text[at:]


def transposed(text: str, at: int, _: Random) -> str:
    at = max(0, min(at, len(text) - 2))
    return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]


def translated(old: Tag, choose: Random) -> Tag | None:
    if old.word not in WORDS:
        return None
    return replace(old, head=old.head.replace(old.word, choose.choice(WORDS[old.word]), 1))


def other_bracket(old: Tag, choose: Random) -> Tag | None:
    if choose.random() < 0.5:
        return replace(old, head=old.head.replace("<", choose.choice(OPENING), 1))
    return ended(old, choose.choice(CLOSING))


def other_case(old: Tag, choose: Random) -> Tag | None:
    change = choose.choice([str.upper, str.title, str.swapcase])
    return replace(old, head=old.head.replace(old.word, change(old.word), 1)) if old.word else None


def attribute(old: Tag, choose: Random) -> Tag | None:
    return ended(old, choose.choice([' type="string"', ' id="1"', ' name="x"', " /", " "]) + ">")


def mirrored(old: Tag, choose: Random) -> Tag | None:
    if not old.closes:
        return None
    return ended(old, choose.choice([f"={old.of}", f' name="{old.of}"', f":{old.of}", f" {old.of}"]) + ">")


def unended(old: Tag, _: Random) -> Tag | None:
    return ended(old, "")


def gap(old: Tag, choose: Random) -> Tag | None:
    """A space, dash or underscore in the word, or before it, or in place of the one that is there."""
    if not old.word:
        return None
    if "_" in old.word and choose.random() < 0.5:
        return replace(old, head=old.head.replace("_", choose.choice(["", " ", "-", "__"]), 1))
    at = old.head.index(old.word) + choose.randrange(len(old.word))
    return replace(old, head=old.head[:at] + choose.choice(" -_") + old.head[at:])


def joint(old: Tag, choose: Random) -> Tag | None:
    """Something else between word and name."""
    if not old.name or not old.head.endswith("="):
        return None
    return replace(old, head=old.head[:-1] + choose.choice([" ", ":", " = ", ": ", "==", " name="]))


def ended(old: Tag, end: str) -> Tag | None:
    """The tag with another end."""
    if old.tail.endswith(">"):
        return replace(old, tail=old.tail[:-1] + end)
    return replace(old, head=old.head[:-1] + end) if not old.name and old.head.endswith(">") else None


SLIPS: dict[str, Slip] = {
    "replace": letter(exchanged),
    "drop": letter(dropped),
    "double": letter(doubled),
    "transpose": letter(transposed),
    "translate": translated,
    "bracket": other_bracket,
    "case": other_case,
    "attribute": attribute,
    "mirror": mirrored,
    "no end": unended,
    "gap": gap,
    "joint": joint,
}


def slipped(parts: Sequence[Part], count: int, choose: Random) -> tuple[list[Part], list[str]]:
    """The parts with so many slips, and which ones."""
    parts, made = list(parts), []
    places = [at for at, part in enumerate(parts) if isinstance(part, Tag)]
    while len(made) < count:
        at, (name, slip) = choose.choice(places), choose.choice(list(SLIPS.items()))
        old = parts[at]
        assert isinstance(old, Tag)
        new = slip(old, choose)
        if new and str(new) != str(old):
            parts[at] = new
            made.append(f"{name}: {new}")
    return parts, made


def text_of(parts: Sequence[Part]) -> str:
    return "".join(map(str, parts))


# Calls


def call(choose: Random, tools: Sequence[str] = TOOLS) -> tuple[str, dict[str, Any]]:
    """A tool, and arguments for it, with all that are required and some that are not."""
    name, listed = choose.choice(tools).removesuffix(")").split("(")
    keys = [key.split(":")[0] for key in listed.split(", ")]
    given = [key.rstrip("?") for key in keys if not key.endswith("?") or choose.random() < 0.5]
    return name, {key: choose.choice(VALUES[key]) for key in given}


def canonical(name: str, arguments: dict[str, Any]) -> Iterator[Part]:
    """The call as Qwen3-Coder is taught to write it."""
    yield from (tag("<tool_call>", of=name), "\n", tag(f"<function={name}>", name), "\n")
    for key, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield from (tag(f"<parameter={key}>", key), f"\n{text}\n", tag("</parameter>", of=key), "\n")
    yield from (tag("</function>", of=name), "\n", tag("</tool_call>", of=name))


LEADS = ("", "", "Let me do it.")
COUNTS = ("1 slip", "2 slips", "3 slips")


def in_tags(choose: Random, count: int) -> Sample:
    """A canonical call with so many slips at its tags."""
    name, arguments = call(choose)
    parts, made = slipped(list(canonical(name, arguments)), count, choose)
    lead = choose.choice(LEADS)
    text = (lead + "\n" if lead else "") + text_of(parts)
    return Sample(
        f"{COUNTS[count - 1]} in tags", text, TOOLS, ((name, arguments),), lead, about=" · ".join(made)
    )


def with_odd_names(choose: Random) -> Sample:
    """One slip, and names that are not easily told from tags."""
    name, arguments = call(choose, ODD_TOOLS)
    parts, made = slipped(list(canonical(name, arguments)), 1, choose)
    row = "1 slip, odd names"
    return Sample(row, text_of(parts), ODD_TOOLS, ((name, arguments),), about=" · ".join(made))


# In other surroundings

SURROUNDINGS = {"two calls": 98, "bare": 98, "in thinking": 97, "on one line": 94}  # and their bars
BETWEEN = ("\n", "\n\n", "\nThen the next one:\n\n")


def bare(parts: Sequence[Part]) -> list[Part]:
    """A call without its envelope."""
    return list(parts[2:-2])


def among_calls(choose: Random) -> Sample:
    """One slip, and another call beside it: in an envelope of its own, in the same one, or in none."""
    calls = call(choose), call(choose)
    first, second = (list(canonical(*one)) for one in calls)
    between, left = choose.choice(BETWEEN), ""
    match choose.choice(["each", "one", "none"]):
        case "one":
            parts = [*first[:-2], "\n", *second[2:]]
        case "none":
            parts, left = [*bare(first), between, *bare(second)], between.rstrip()
        case _:
            parts, left = [*first, between, *second], between.rstrip()
    parts, made = slipped(parts, 1, choose)
    return Sample("1 slip, two calls", text_of(parts), TOOLS, calls, left, about=" · ".join(made))


def without_envelope(choose: Random) -> Sample:
    """One slip in a bare call."""
    name, arguments = call(choose)
    parts, made = slipped(bare(list(canonical(name, arguments))), 1, choose)
    return Sample("1 slip, bare", text_of(parts), TOOLS, ((name, arguments),), about=" · ".join(made))


def in_thinking(choose: Random) -> Sample:
    """One slip in a call that the model's thinking ends with."""
    name, arguments = call(choose)
    parts, made = slipped(list(canonical(name, arguments)), 1, choose)
    lead, options = "I have to look.", {"reasoning": True}
    text, calls = f"{lead}\n{text_of(parts)}", ((name, arguments),)
    return Sample("1 slip, in thinking", text, TOOLS, calls, lead, options=options, about=" · ".join(made))


def on_one_line(choose: Random) -> Sample:
    """One slip in a call without a line break between its tags, nor around its values."""
    name, arguments = call(choose)
    tight = [part.strip("\n") if isinstance(part, str) else part for part in canonical(name, arguments)]
    parts, made = slipped(tight, 1, choose)
    calls = ((name, {key: stripped(value) for key, value in arguments.items()}),)
    return Sample("1 slip, on one line", text_of(parts), TOOLS, calls, about=" · ".join(made))


def stripped(value: Any) -> Any:
    return value.strip("\n") if isinstance(value, str) else value


# The same slips where they mean nothing

QUOTED = (
    *("see {} there", 'x = "{}"\nprint(x)', "    {}\n    more", "// {}\nfoo()", "<div>\n{}\n</div>"),
    *("a\n{}\nb", "- `{}`\n- other", "Write {}, then go on.", "| a | {} | b |\n|---|---|---|"),
)


def quoted(choose: Random) -> str:
    """A tag with slips, in other text."""
    parts, _ = slipped(list(canonical(*call(choose))), choose.choice([1, 2, 3]), choose)
    tags = [str(part) for part in parts if isinstance(part, Tag)]
    return choose.choice(QUOTED).format(choose.choice(tags))


def in_value(content: str) -> Sample:
    """The value of a canonical call."""
    arguments = {"path": "a.md", "content": content}
    text = text_of(list(canonical("write", arguments)))
    return Sample("slips in a value", text, TOOLS, (("write", arguments),), core=content, remake=in_value)


def in_prose(line: str) -> Sample:
    """Prose without a call."""
    text = f"Some prose.\n{line}\nThe end."
    return Sample("slips in prose", text, TOOLS, (), text, core=line, remake=in_prose)


# Cut short


def cut_short(choose: Random) -> Sample:
    """A canonical call with at most two slips, without its end: no part of it may be executed (P9);
    all of it may be once its function's closer has begun to come."""
    name, arguments = call(choose)
    parts, made = slipped(list(canonical(name, arguments)), choose.choice([0, 1, 2]), choose)
    end = len(text_of(parts[:-3]))
    text = text_of(parts)
    text = text[: choose.randrange(1, len(text))]
    calls = ((name, arguments),) if len(text) > end else ()
    finish = choose.choice(["length", "content_filter", None])
    about = " · ".join(made)
    return Sample("slips, cut short", text, TOOLS, calls, finish=finish, about=about, check=safe)


def safe(sample: Sample, outcome: Outcome) -> Judged:
    """Nothing is complete but the whole call. That a slip in it is misread is counted by other rows."""
    judged = expected(sample, outcome)
    if (
        not outcome.calls
        or judged.verdict in (Verdict.EXACT, Verdict.LEFT)
        or (sample.calls and sample.about)
    ):
        return Judged(Verdict.EXACT)
    return Judged(Verdict.UNSAFE, judged.note)
