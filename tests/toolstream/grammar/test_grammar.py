"""The tag matchers: every spelling is found, and every beginning of it is held back.

Both follow from one table. So for each spelling of each dialect, written out with a name:
it is found whole, each proper beginning of it may still become a tag, and a wrong character
behind any beginning ends the waiting at once.
"""

import re

import pytest

from toolstream.grammar.dialects import DIALECTS, qwen3_coder
from toolstream.grammar.grammar import Grammar, grammar, is_canonical, kept_to, spellings
from toolstream.grammar.kinds import CALL_KINDS, TagKind
from toolstream.grammar.matcher import TagMatcher
from toolstream.grammar.names import Names
from toolstream.grammar.spelling import Spelling
from toolstream.grammar.text import BLANK

KINDS = (
    *CALL_KINDS,
    *(
        TagKind.CALL_IN_ENVELOPE,
        TagKind.NAMELESS_OPEN,
        TagKind.THINK_OPEN,
        TagKind.THINK_CLOSE,
        TagKind.RESULT_OPEN,
        TagKind.RESULT_CLOSE,
        TagKind.STRAY,
    ),
)
NAMES = Names(["re_ad"], ["re_ad"])
SAMPLES = {
    **dict.fromkeys(("name", "tool", "key", "word", "any"), "re_ad"),
    "attributes": ' x="1"',
    "members": 'x="1 > 2"',
    "pair": 're_ad="1"',
    "cut": "",
    "gap": "\n",
    "slot": "name",
    "json": "",
    "number": "12",
    "closer": "function_invocation",
    "ending": "im_end",
}
ALL = list(spellings(*KINDS, level="aggressive"))
LOOSE = TagMatcher(spellings(*KINDS, level="tolerant"))
EXACT = TagMatcher(spellings(*KINDS, level="strict"))


def sample(spelling: Spelling) -> tuple[str, str]:
    """A tag of this spelling, and what has to follow it."""
    text = re.sub(r"\{(\w+)\}", lambda found: SAMPLES[found[1]], spelling.text)
    tag, _, follows = text.partition("~")
    return tag, ', "arguments": {' if "{json}" in spelling.text else "\n" + follows


def alone(spelling: Spelling) -> TagMatcher:
    """A matcher for this spelling and no other."""
    return TagMatcher([spelling]).with_names(NAMES)


spelt = pytest.mark.parametrize("spelling", ALL, ids=lambda s: f"{s.kind.value} {s.text}")


@spelt
def test_every_spelling_is_found(spelling: Spelling) -> None:
    tag, follows = sample(spelling)
    found = alone(spelling).match(f"text < {tag}{follows} text", 7)
    assert found is not None
    assert (found.kind, found.start, found.end) == (spelling.kind, 7, 7 + len(tag))
    assert is_canonical(found, spelling.dialect) is spelling.dialect.taught
    assert found.name.partition("=")[0] == ("re_ad" if "re_ad" in tag else "")
    assert found.dialect is spelling.dialect


@spelt
def test_every_beginning_is_held(spelling: Spelling) -> None:
    whole, matcher = "".join(sample(spelling)), alone(spelling)
    for end in range(1, len(whole)):
        if matcher.match(whole[:end], 0) is None:
            assert matcher.may_begin(whole[:end], 0), whole[:end]
            assert matcher.hold_from(f"text {whole[:end]}") == (5 if whole[0] == "<" else 5 + end)


def test_a_beginning_with_a_bracket_in_a_string_is_held() -> None:
    openers = grammar("tolerant").openers
    assert openers.may_begin('<function=read {"path": "a<b', 0)
    assert not openers.may_begin('<function=read path="a"<b', 0)


@spelt
def test_a_wrong_character_frees_it(spelling: Spelling) -> None:
    tag, _ = sample(spelling)
    for end in range(1, len(tag)):
        text = tag[:end] + "\x00\n"
        assert alone(spelling).hold_from(text) == len(text)


@pytest.mark.parametrize("spelling", [s for s in ALL if s.declared], ids=lambda s: s.text)
def test_a_name_that_is_not_declared_frees_it(spelling: Spelling) -> None:
    whole = "".join(sample(spelling)).replace("re_ad", "re_act")
    matcher = alone(spelling)
    assert matcher.match(whole, 0) is None
    name = whole.index("re_act")
    for end in range(1, len(whole)):
        assert matcher.may_begin(whole[:end], 0) is (end < name + len("re_ac"))


def keeps(*texts: str) -> list[str]:
    tags = [tag for text in texts if (tag := LOOSE.match(text, 0))]
    assert len(tags) == len(texts)
    return [dialect.name for dialect in kept_to(tags)]


def test_a_call_keeps_to_the_dialect_that_has_all_its_tags() -> None:
    assert "qwen3_coder" in keeps("<tool_call>")
    assert keeps("<tool_call>", "<function=read>") == ["qwen3_coder"]
    assert keeps("<function=read>") == ["qwen3_coder"]


def test_a_call_that_keeps_to_no_dialect_is_held_against_the_first() -> None:
    assert keeps('<invoke name="read" x=1>') == ["qwen3_coder"]
    assert keeps("<tool_call>", "< function=read>") == ["qwen3_coder"]


def test_strict_reads_the_canonical_dialect_alone() -> None:
    assert {s.dialect for s in spellings(*KINDS, level="strict")} == {DIALECTS[0]}
    assert EXACT.search("<tools>{ <invoke name='x'> < function=x> <function=x\n") is None


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
    assert (found.kind, found.name) == (TagKind.CALL_OPEN, name)


@pytest.mark.parametrize("text", ["<function=read>", "<function=a b>", "<parameter=x-y>", "<tool_call>"])
def test_canonical(text: str) -> None:
    found = LOOSE.match(text, 0)
    assert found is not None
    assert is_canonical(found, qwen3_coder.DIALECT)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "<function=>",
            "<function=a",
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
        assert LOOSE.hold_from(text) == len(text)


def test_the_first_tag_is_found_and_the_last_tail_is_held() -> None:
    found = LOOSE.search("a </function> <tool_call>")
    assert found is not None
    assert found.kind == TagKind.CALL_CLOSE
    assert LOOSE.hold_from("<tool_ <tool_call") == 7
    assert LOOSE.hold_from("<tool_call") == 0
    assert LOOSE.hold_from("") == 0


@pytest.mark.parametrize("name", ["read", "_read", "-x", "2fa", "ßtool", "İx", "Édit", "名前"])
def test_a_declared_name_may_begin_with_anything(name: str) -> None:
    """What stands behind a bracket decides at once whether a tag with a declared name may stand there."""
    for names in (Names([name]), Names((), [name])):
        matcher = grammar("tolerant").body.with_names(names)
        tag = f"<{name}>"
        assert all(matcher.may_begin(tag[:end], 0) for end in range(1, len(tag)))
        assert (found := matcher.match(tag, 0)) is not None
        assert (found.name, found.end) == (name, len(tag))


def test_a_grammar_is_compiled_once_per_level() -> None:
    assert grammar("tolerant") is grammar("tolerant")
    assert grammar("tolerant") is not grammar("strict")
    assert isinstance(grammar("tolerant"), Grammar)


def test_states_look_out_for_what_they_react_to() -> None:
    states = grammar("tolerant")
    assert states.openers.search("<parameter=x><|im_end|>") is None
    assert states.body.search("<think>") is None
    assert states.after.search("<|im_end|>") is not None
    assert " " in BLANK
