"""Tag soup: tags whole, damaged and in pieces, names, fences, JSON, markup and letters, most of it nearly a
call.

`SOUP` is for tests of single policies. `soup` is the third gate: nothing raises, no cut matters, and each
word is in the text or in a call, once; no two words are the same.
"""

# ruff: noqa: RUF001

import re
from collections import Counter
from collections.abc import Iterator
from random import Random

from hypothesis import strategies as st

from fuzz.samples import Judged, Sample, Verdict, said
from fuzz.slips import slipped, tag
from support.cases import read_tool
from support.cuts import joined
from support.outcome import Outcome
from toolstream.parser.parser import LEVELS

LINES = (
    "read(path: string, limit?: integer)",
    'edit(path: string, edits: {"type": "array"}, note?: string|null)',
    "refresh()",
)
TOOLS = [read_tool(line) for line in LINES]
TAGS = [
    *("<tool_call>", "</tool_call>", "<function=read>", "<function=refresh>", "<function=edit>"),
    *("</function>", "<parameter=path>", "<parameter=limit>", "<parameter=edits>", "<parameter=other>"),
    *("</parameter>", "<function=unknown>", '<invoke name="read">', "</invoke>", '<parameter name="path">'),
    *("<think>", "</think>", "<|im_end|>", "</function_invocation>", "<function=Read>"),
]
PIECES = [
    *("<", "</", ">", "=", "<tool_", "call>", "<func", "</func", "<parameter", "<parameter=", "</para"),
    *("\n", "\n", "\n", "\r\n", "\r", " ", "\t", "    ", "\n\n", "`", "``", "```", "\n```\n", "~~~", "- "),
    *("{", "}", "[", "]", '"', "\\", '{"name": "read", "arguments": {"path": "x"}}', '{"path": "x"}'),
    *("a", "text. ", "5", "null", "true", "é", "😀", "\ud83d", "\ude00", "\x00", "&lt;"),
]
CALLS = [
    "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
    "<function=refresh>\n</function>\n",
    "\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>\n<function=edit>\n<parameter=note>\n",
    '<tool_call>\n{"name": "refresh", "arguments": {}}\n</tool_call>',
]
SOUP = st.lists(
    st.one_of(
        st.sampled_from(TAGS),
        st.sampled_from([f"\n{tag}\n" for tag in TAGS]),
        st.sampled_from(PIECES),
        st.sampled_from(CALLS),
        st.text(max_size=4),
    ),
    max_size=24,
).map("".join)
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter", None])
FORCED = {"type": "function", "function": {"name": "read"}}
CHOICE = st.sampled_from(["auto", "auto", "required", "none", FORCED])
OPTIONS = st.fixed_dictionaries(
    {
        "recovery": st.sampled_from(LEVELS),
        "tool_choice": CHOICE,
        "parallel": st.booleans(),
        "live": st.booleans(),
        "reasoning": st.booleans(),
    }
)


def is_subsequence(short: str, long: str) -> bool:
    """Whether all of `short` is in `long`, in order."""
    rest = iter(long)
    return all(char in rest for char in short)


# The gate

MARKUP = (
    *(
        "<b>",
        "</b>",
        "<div>",
        "</div>",
        "<br/>",
        "<!-- ",
        " -->",
        "<T>",
        "a < b",
        "<path>",
        "</path>",
        "</foo>",
    ),
    *("<tool_name>", "<tools>", "<arg_key>", "</arg_value>", "[TOOL]", "</execution>", "<|tool_call_begin|>"),
)
VALUE = "<tool_call>\n<function=edit>\n<parameter=path>\na\n</parameter>\n<parameter=note>\n"
HEADS = (
    "",
    "",
    VALUE,
    VALUE,
    "<tool_call>\n<function=read>\n",
    "```\n",
    "<think>\n",
    '<tool_call>\n{"name": ',
)
LOSSY = {  # what says that something was left out
    *("repeated-parameter", "parallel-dropped", "empty-envelope", "json-repaired", "undeclared-name"),
}
WORD = re.compile(r"q\d+q")
IN_A_TAG = re.compile(r"[<‹＜\[({«⟨/][^<>\n]*\Z")
ENDS_IN_A_NAME = re.compile(r"(?:<arg_key>|<\|tool_call_begin\|>)\s*(q\d+q)\s*\Z")  # half a tag, too


def pieces(choose: Random) -> Iterator[str]:
    """Some pieces, and words, each of them only once."""
    yield choose.choice(HEADS)
    for number in range(choose.randint(3, 24)):
        match choose.randrange(10):
            case 0 | 1:
                yield choose.choice(["{}", "\n{}\n", " {} "]).format(f"q{number}q")
            case 2:
                yield choose.choice(CALLS)
            case 3 | 4:
                yield choose.choice(PIECES)
            case 5:
                yield choose.choice(MARKUP)
            case 6 | 7:
                yield choose.choice(["{}", "\n{}\n"]).format(choose.choice(TAGS))
            case _:
                damaged, _ = slipped([tag(choose.choice(TAGS))], choose.choice([1, 1, 2]), choose)
                yield choose.choice(["{}", "\n{}\n"]).format(damaged[0])


def soup(choose: Random) -> Sample:
    options = {
        "recovery": choose.choice(["tolerant", "tolerant", *LEVELS]),
        "tool_choice": choose.choice(["auto", "auto", "auto", "required", FORCED]),
        "parallel": choose.random() < 0.9,
        "reasoning": choose.random() < 0.1,
    }
    finish = choose.choice(["stop", "stop", "length", "tool_calls", None])
    return Sample(
        "soup", joined("".join(pieces(choose))), LINES, finish=finish, options=options, check=conserved
    )


def conserved(sample: Sample, outcome: Outcome) -> Judged:
    """Each word is in the text, in the name of a call or in its arguments; unless it stood within a tag."""
    text = outcome.text
    if "think-closed" in outcome.repairs:  # which is put before the call
        text = "".join(text.rsplit("\n</think>", 1))
    if not is_subsequence(text, sample.text):
        return Judged(Verdict.LOST, f"this is not the text: {said(outcome)}")
    if LOSSY & set(outcome.repairs):
        return Judged(Verdict.EXACT)
    if not outcome.calls and not outcome.open_call and "stray-closer" not in outcome.repairs:
        same = outcome.text == sample.text
        return Judged(Verdict.EXACT if same else Verdict.LOST, "" if same else said(outcome))
    calls = [*outcome.calls, *([outcome.open_call] if outcome.open_call else [])]
    half = ENDS_IN_A_NAME.search(sample.text)
    came = Counter(WORD.findall("\n".join([outcome.text, *(f"{name} {text}" for name, text in calls)])))
    wrong = [
        found[0]
        for found in WORD.finditer(sample.text)
        if came[found[0]] != 1 and not IN_A_TAG.search(sample.text[: found.start()])
        if not (half and half[1] == found[0] and came[found[0]] == 0)
    ]
    if outcome.open_call:
        wrong = []  # the rest of it was never sent; a caller that does not stream has it as text
    return Judged(Verdict.LOST, f"{wrong} in {said(outcome)}") if wrong else Judged(Verdict.EXACT)
