"""Strings of a server's arguments with more than one quote where they begin."""

from functools import partial
from typing import Any

import pytest

from fuzz.native import at_every_cut
from support.cases import read_tool

WRITE = read_tool("write(path: string, content?: string, limit?: integer, tags?: array)")
mended = partial(at_every_cut, WRITE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"path": """x\ny\n"""}', {"path": "x\ny\n"}, id="three"),
        pytest.param('{"path": """x""", "limit": 5}', {"path": "x", "limit": 5}, id="three before a member"),
        pytest.param('{"path": """say "hi"\n"""}', {"path": 'say "hi"\n'}, id="three around quotes"),
        pytest.param('{"path": """"x" y"""}', {"path": '"x" y'}, id="three before a quote"),
        pytest.param('{"path": """x "y""""}', {"path": 'x "y"'}, id="three behind a quote"),
        pytest.param('{"path": """"""}', {"path": ""}, id="three around nothing"),
        pytest.param('{"path": """a\\tb \\"c\\" \\d"""}', {"path": 'a\tb "c" \\d'}, id="three, escapes"),
        pytest.param('{"path": """d = {"a": "b"}\n"""}', {"path": 'd = {"a": "b"}\n'}, id="three, code"),
        pytest.param('{"path": ""a.py", "limit": 5}', {"path": "a.py", "limit": 5}, id="two"),
        pytest.param('{"path": ""a \\"b\\" c"}', {"path": 'a "b" c'}, id="two before an escaped one"),
        pytest.param(
            '{"path": ""a\\" b"}', {"path": '"a" b'}, id="two, of which one is the partner of another"
        ),
        pytest.param(
            '{"path": ""a\\" b", "limit": 5}', {"path": '"a" b', "limit": 5}, id="the same before a key"
        ),
        pytest.param('{"path": ""C:\\dir"}', {"path": "C:\\dir"}, id="two before a path"),
        pytest.param('{"path": "a", "limit": ""5"}', {"path": "a", "limit": 5}, id="two before a number"),
    ],
)
def test_they_are_one(text: str, value: Any) -> None:
    whole = mended(text)
    assert (whole.complete, whole.value) == (True, value)
    assert whole.repairs[:1] == ["json-repaired"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"path": """a', id="three are not closed"),
        pytest.param('{"path": """a"""', id="three are closed, and nothing follows"),
        pytest.param('{"path": """a""", "file": 5}', id="three before a key that the tool does not have"),
        pytest.param('{"path": ""a', id="two are not closed"),
        pytest.param('{"path": ""a" b"}', id="two before a quote of the string"),
        pytest.param('{"path": ""limit": 5}', id="two before a key"),
    ],
)
def test_nothing_is_certain(text: str) -> None:
    whole = mended(text)
    assert (whole.text, whole.complete) == (text, False)


@pytest.mark.parametrize(
    "text", ['{"path": "", "limit": 5}', '{"path": ""}', '{"path": "\\"\\"\\"x"}', '{"tags": [""]}']
)
def test_a_string_that_is_sound_stays(text: str) -> None:
    whole = mended(text)
    assert (whole.text, whole.complete, whole.repairs) == (text, True, [])


def test_what_the_answer_cuts_off_stays() -> None:
    assert not mended('{"path": """a"""', stopped=False).complete
