"""The lookouts: every spelling is found, and every beginning of it is held back.

Both follow from one table. So for each spelling of each dialect, written out with a name:
it is found whole, each proper beginning of it may still become a tag, and a wrong character
behind any beginning ends the waiting at once.
"""

import pytest

from toolstream.dialects import DIALECTS
from toolstream.grammar import BLANK, CALL_KINDS, Grammar, Lookout, grammar, spellings

KINDS = (*CALL_KINDS, "think_open", "think_close", "stray")
ALL = [
    (kind, spelling.replace("{name}", "re_ad").replace("{attributes}", ' x="1"'), dialect is DIALECTS[0])
    for dialect in DIALECTS
    for kind in KINDS
    for spelling in getattr(dialect, kind)
]
LOOSE = Lookout(spellings(*KINDS, level="tolerant"))
EXACT = Lookout(spellings(*KINDS, level="strict"))


@pytest.mark.parametrize(("kind", "tag", "canonical"), ALL)
def test_every_spelling_is_found(kind: str, tag: str, canonical: bool) -> None:
    found = LOOSE.search(f"text < {tag} text")
    assert found is not None
    assert (found.kind, found.start, found.end) == (kind, 7, 7 + len(tag))
    assert found.canonical is canonical
    assert found.name == ("re_ad" if "re_ad" in tag else "")
    assert (EXACT.match(tag, 0) is not None) is canonical


@pytest.mark.parametrize(("kind", "tag", "canonical"), ALL)
def test_every_beginning_is_held(kind: str, tag: str, canonical: bool) -> None:
    for end in range(1, len(tag)):
        assert LOOSE.may_begin(tag[:end], 0)
        assert LOOSE.held_from(f"text {tag[:end]}") == 5
        assert EXACT.may_begin(tag[:end], 0) or not canonical
        assert LOOSE.search(tag[:end]) is None


@pytest.mark.parametrize(("kind", "tag", "canonical"), ALL)
def test_a_wrong_character_frees_it(kind: str, tag: str, canonical: bool) -> None:
    for end in range(1, len(tag)):
        text = tag[:end] + "\x00\n"
        assert LOOSE.held_from(text) == len(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<function = read>", "read"),
        ("< function=read >", "read"),
        ("<function= read >", "read"),
        ('<function="read">', "read"),
        ("<function='read'>", "read"),
        ("<function=mcp__a-b.c d>", "mcp__a-b.c d"),
        ("<function=日本>", "日本"),
        ('<function name="read">', "read"),
        ('<invoke name="read" x=1>', "read"),
    ],
)
def test_tolerant_names(text: str, name: str) -> None:
    found = LOOSE.match(text, 0)
    assert found is not None
    assert (found.kind, found.name) == ("call_open", name)


@pytest.mark.parametrize("text", ["<function=read>", "<function=a b>", "<parameter=x-y>", "<tool_call>"])
def test_canonical(text: str) -> None:
    found = LOOSE.match(text, 0)
    assert found is not None
    assert found.canonical


@pytest.mark.parametrize(
    "text",
    [
        *(
            "<function=>",
            "<function=a\nb>",
            "<function=a<b>",
            "<function>",
            "<function read>",
            "<Function=a>",
        ),
        *("<tool_calls>", "<tool call>", "</ parameterx>", "<function=" + "x" * 300 + ">"),
    ],
)
def test_no_tags(text: str) -> None:
    assert LOOSE.search(text) is None


def test_nothing_is_held_for_ever() -> None:
    for text in (
        "<function=" + "x" * 1000,
        "<" + " " * 100,
        '<invoke name="a"' + " x" * 1000,
        "<function " + " " * 50,
    ):
        assert LOOSE.held_from(text) == len(text)


def test_the_first_tag_is_found_and_the_last_tail_is_held() -> None:
    found = LOOSE.search("a </function> <tool_call>")
    assert found is not None
    assert found.kind == "call_close"
    assert LOOSE.held_from("<tool_ <tool_call") == 7
    assert LOOSE.held_from("<tool_call") == 0
    assert LOOSE.held_from("") == 0


def test_a_grammar_is_compiled_once_per_level() -> None:
    assert grammar("tolerant") is grammar("tolerant")
    assert grammar("tolerant") is not grammar("strict")
    assert isinstance(grammar("tolerant"), Grammar)


def test_states_look_out_for_what_they_react_to() -> None:
    states = grammar("tolerant")
    assert states.openers.search("</parameter></function></tool_call>") is None
    assert states.body.search("<think><|im_end|>") is None
    assert states.after.search("<|im_end|>") is not None
    assert " " in BLANK
