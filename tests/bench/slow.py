"""Inputs that could be slow: runs of what the parser has to look at twice.

Each is a beginning and a unit that is repeated. They are fed in deltas of 4, as a model writes them, and in
one piece. No input may take more than a second per 100 kB, and for twice as much no more than about twice the
time (P19). Some are combined at random, always the same ones.
"""

import math
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from library import ASKED
from measure import HEAD, TAIL, Row, each, fastest, in_deltas, seconds

from support.streams import LLAMA_CPP
from toolstream import StreamRewriter, ToolCallParser
from toolstream.schema.rules import Action, Condition, Rule, Rules

SIZE = 100_000  # characters that a second is allowed for
HOPELESS = 0.6  # seconds for an eighth of them, after which no more is tried
BAR = 2.6  # times the time for twice as much
LONG = 0.01  # seconds that can be compared
SHOWN, GROWING_SHOWN = 25, 3
COMBINED = 16

OPEN = "<tool_call>\n"
CALL = HEAD + TAIL + "\n"
EXAMPLE = "<tool_call>\n<function=write>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>\n"
JSON = '<tool_call>\n{"name": "write", "arguments": {'
STRING = JSON + '"path": "a.py", "content": "'

INPUTS: dict[str, tuple[str, str]] = {
    "<": ("", "<"),
    "lone <": ("", "a < b "),
    "long lines of <": ("", "<" * 500 + "\n"),
    "<tool_call>": ("", "<tool_call>"),
    "<tool_call> and blanks": ("", "<tool_call>" + " " * 63),
    "<function=…> lines": ("", "<function=write>\n"),
    "blanks": ("", " "),
    "line breaks": ("", "\n"),
    "backticks": ("", "`"),
    "an open code span and tags": ("`", "<tool_call> "),
    "fences": ("", "```\n"),
    "list markers": ("", "- "),
    "quotations": ("", "> </parameter>\n"),
    "one long line in a fence": ("```\n", "x <"),
    "<think>": ("", "<think>"),
    "</think>": ("", "</think>\n"),
    "{": ("", "{"),
    "[": ("", "["),
    "tags of no call": ("", "</foo>\n"),
    "closers of no call": ("", "</parameter>\n</function>\n</tool_call>\n"),
    "comments": ("", "<!--"),
    "other brackets": ("", "‹/parameter›\n"),  # noqa: RUF001
    "JSON: an array that is broken": (JSON + '"path": ["a" "b', '", "c\\n'),
    "JSON: an array that is broken, and tags": (JSON + '"path": ["a" "b", "', 'c\\n", "d\n</tool_call>\n'),
    "a name without end": (OPEN + "<function=", "a"),
    "a key without end": (OPEN + "<function=write>\n<parameter=", "a"),
    "blanks in a name": ("<function=", " "),
    "blanks in names": ("", "<function=a" + " " * 300),
    "blanks in names in quotes": ("", '<invoke name="a' + " " * 300),
    "an undeclared tool": (OPEN + "<function=nobody>\n<parameter=x>\n", "abc\n"),
    "an unclosed <think>": ("<think>\n" + HEAD, "abc\n"),
    "text between parameters": (OPEN + "<function=write>\n", "text < text\n"),
    "parameters": (OPEN + "<function=write>\n", "<parameter=content>\nx\n</parameter>\n"),
    "openers of parameters": (OPEN + "<function=write>\n", "<parameter=content>\n"),
    "a long integer": (OPEN + "<function=get_weather>\n<parameter=days>\n", "1"),
    "calls": ("", "<tool_call>\n<function=get_goal>\n</function>\n</tool_call>\n"),
    "value: <": (HEAD, "<"),
    "value: lone <": (HEAD, "a < b\n"),
    "value: </": (HEAD, "</"),
    "value: </parameter>": (HEAD, "</parameter>"),
    "value: </parameter> lines": (HEAD, "</parameter>\n"),
    "value: </parameter> and text": (HEAD, "</parameter> x\n"),
    "value: </paramter> lines": (HEAD, "</paramter>\n"),
    "value: </parameter=path> lines": (HEAD, "</parameter=path>\n"),
    "value: </foo> lines": (HEAD, "</foo>\n"),
    "value: <foo> lines": (HEAD, "<foo>\n"),
    "value: HTML's closers": (HEAD, "</div>\n"),
    "value: closers": (HEAD, "</parameter>\n</function>\n</tool_call>\n"),
    "value: closers in a line": (HEAD, "</parameter></function></tool_call>\n"),
    "value: closers and text": (HEAD, "x" + TAIL + "\n"),
    "value: examples": (HEAD, EXAMPLE),
    "value: examples in a line": (HEAD, EXAMPLE.replace("\n", "") + "\n"),
    "value: openers": (HEAD, "<tool_call>\n<function=write>\n<parameter=path>\n"),
    "value: <tool_call>": (HEAD, "<tool_call>"),
    "value: <think>": (HEAD, "<think>\n"),
    "value: backticks": (HEAD, "`"),
    "value: {": (HEAD, "{"),
    "value: quotes": (HEAD, '"\\'),
    "value: line breaks": (HEAD, "\n"),
    "value: blanks": (HEAD, " "),
    "after a value: text": (HEAD + "x" + TAIL + "\n", "text and text\n"),
    "after a call: closers": (CALL, "</function>\n"),
    "after a call: other closers": (CALL, "</foo>\n"),
    "after a call: blanks": (CALL, "\n "),
    "after a call: <tool_call>": (CALL, "<tool_call>\n"),
    "after a call: stop tokens": (CALL, "<|im_end|>\n"),
    "JSON: objects without end": (OPEN, '{"a":'),
    "JSON: arrays without end": (OPEN, "["),
    "JSON: {}": (OPEN, "{}"),
    "JSON: a name without end": (OPEN + '{"name": "', "a\\\\"),
    "JSON: escapes in a string": (STRING, "\\n"),
    "JSON: tags in a string": (STRING, "</tool_call>"),
    "JSON: quotes in a string": (STRING, 'a"'),
    "JSON: one key": (JSON, '"path": "a", '),
    "JSON: an array": (JSON + '"path": [', '"a", '),
    "JSON: calls": ("", '<tool_call>\n{"name": "get_goal", "arguments": {}}\n</tool_call>\n'),
    "JSON: undeclared calls": ("", '<tool_call>\n{"name": "nobody", "arguments": {}}\n</tool_call>\n'),
}
GROWING: dict[str, tuple[str, Callable[[int], str]]] = {  # each unit is another one
    "backticks of growing length": ("", lambda number: "`" * (number % 100) + " "),
    "new parameters": (
        OPEN + "<function=write>\n",
        lambda number: f"<parameter=k{number:06}>\nx\n</parameter>\n",
    ),
    "value: new words": (HEAD, lambda number: f"<w{number:06}>\n"),
    "value: new closers": (HEAD, lambda number: f"</w{number:06}>\n"),
    "JSON: new keys": (JSON, lambda number: f'"k{number:06}": "a", '),
}


def repeated(unit: str) -> Callable[[int], str]:
    return lambda _: unit


def combined(seed: int) -> tuple[str, Callable[[int], str]]:
    """Some of the units in a row, each once or several times."""
    choose = random.Random(seed)
    heads = [head for head, _ in INPUTS.values()]
    units = [unit for _, unit in INPUTS.values()]
    row = [choose.choice(units) * choose.choice([1, 1, 2, 20]) for _ in range(choose.randint(2, 5))]
    return choose.choice(heads), repeated("".join(row))


@dataclass(frozen=True)
class Input:
    """A beginning, which is not measured, and the unit of a number."""

    name: str
    head: str
    unit: Callable[[int], str]

    def text(self, size: int) -> str:
        units, length, number = [], 0, 0
        while length < size:
            units.append(self.unit(number))
            length, number = length + len(units[-1]), number + 1
        return "".join(units)[:size]

    def run(self, size: int, whole: bool = False) -> Callable[[], float]:
        """Measure so many characters in deltas of 4, or in one piece."""
        text = self.text(size)
        pieces = [text] if whole else in_deltas(text)

        def once() -> float:
            parser = ToolCallParser(ASKED["tools"])
            parser.feed(self.head)
            return seconds(lambda: (each(parser.feed, pieces)(), parser.close("stop")))

        return once


def inputs() -> Iterator[Input]:
    for name, (head, unit) in INPUTS.items():
        yield Input(name, head, repeated(unit))
    for name, (head, growing) in GROWING.items():
        yield Input(name, head, growing)
    for seed in range(COMBINED):
        head, unit = combined(seed)
        yield Input(f"combination {seed}", head, unit)


# In seconds, and how they grow


@dataclass(frozen=True)
class Figures:
    """Seconds of one input, and for how many times the time twice as much of it takes."""

    name: str
    deltas: float
    whole: float
    growth: float
    whole_growth: float

    @property
    def row(self) -> Row:
        note = f"{self.growth:.1f} x 50 kB; in one piece {self.whole:.2f} s, {self.whole_growth:.1f} x"
        return Row(self.name, self.deltas, "s", 1, note)

    @property
    def worst_growth(self) -> float:
        """Of what is long enough to be measured."""
        return max(self.growth, self.whole_growth if self.whole > LONG else 0)


def figures(of: Input) -> Figures:
    if (part := of.run(SIZE // 8)()) > HOPELESS:
        return Figures(f"{of.name} (at least: 12 kB eight times)", 8 * part, math.inf, math.inf, math.inf)
    runs = {f"{size} {whole}": of.run(size, whole) for size in (SIZE // 2, SIZE) for whole in (False, True)}
    half, half_whole, deltas, whole = fastest(runs, 1 if part > LONG else 3).values()
    return Figures(of.name, deltas, whole, deltas / half, whole / half_whole)


def slow_rows() -> Iterator[Row]:
    """The slowest inputs, and those whose time grows most."""
    found = [figures(of) for of in inputs()]
    rows = [f.row for f in sorted(found, key=lambda f: -f.deltas)]
    yield from (row for number, row in enumerate(rows) if number < SHOWN or row.is_missed)
    yield Row(f"the median of {len(found)}", statistics.median(f.deltas for f in found), "s", 1)
    yield from growth_rows({f.name: f.worst_growth for f in found})


def growth_rows(found: dict[str, float]) -> Iterator[Row]:
    """The worst, and their median."""
    rows = [Row(f"time for 2n against n: {name}", ratio, "x", BAR) for name, ratio in found.items()]
    rows.sort(key=lambda row: -row.figure)
    yield from (row for number, row in enumerate(rows) if number < GROWING_SHOWN or row.is_missed)
    yield Row(f"the same, the median of {len(rows)}", statistics.median(found.values()), "x", BAR)


# Streams


def stream_doubling(pieces_of: Callable[[int], list[bytes]], rules: Rules | None = None) -> float:
    def run(n: int) -> Callable[[], float]:
        pieces = pieces_of(n)

        def once() -> float:
            rewriter = StreamRewriter(ASKED, rules=rules)
            return seconds(lambda: (each(rewriter.feed, pieces)(), rewriter.close()))

        return once

    n = 1000
    while run(n)() < 0.006 and n < 64_000:
        n *= 2
    found = fastest({"n": run(n), "2n": run(2 * n)}, 3)
    return found["2n"] / found["n"]


STREAMS: dict[str, Callable[[int], list[bytes]]] = {
    "an event without end": lambda n: [b"data: 0123456789" for _ in range(n)],
    "an event of many lines": lambda n: [b"data: x\n" for _ in range(n)],
    "blank lines": lambda n: [b"\n" for _ in range(n)],
    "carriage returns": lambda n: [b"\r" * 2 * n],
    "many events in one piece": lambda n: [LLAMA_CPP.text("x") * (n // 10)],
    "one large chunk": lambda n: [LLAMA_CPP.text("a <b " * n)],
    "held events": lambda n: [LLAMA_CPP.text("\n") for _ in range(n)],
    "events held for a candidate": lambda n: [
        LLAMA_CPP.text(t) for t in ["<tool_call>\n<function=nobody>\n<parameter=x>\n", *["abc\n"] * n]
    ],
    "reasoning held for a candidate": lambda n: [
        LLAMA_CPP.chunk((0, {"reasoning": t}, None))
        for t in ["<tool_call>\n<function=write>\n<parameter=content>\n", *["abc\n"] * n]
    ],
    "an envelope that is new each time": lambda n: [
        LLAMA_CPP.chunk((0, {"content": "x"}, None), n=i) for i in range(n // 10)
    ],
    "calls of many indexes": lambda n: LLAMA_CPP.calls([("f", ["{}"])] * (n // 40)),
}


HELD = Rules({"write": (Rule("no_hint", Action.REMOVE_PARAMETER, "hint", Condition.EXISTS),)})


def stream_rows() -> Iterator[Row]:
    """The worst of the streams that could be slow."""
    found = {name: stream_doubling(make) for name, make in STREAMS.items()}
    found["a value that a rule holds"] = stream_doubling(
        lambda n: LLAMA_CPP.calls([("write", ['{"hint":"', *["abcd"] * n])]), HELD
    )
    yield from growth_rows(found)
