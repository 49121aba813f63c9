"""Texts that hold no call leave as they came, though tools are declared: prose, code, markup, and
documents about tool calling.

Three sources: `tests/corpus`, written for this and as nasty as they get; this project's own documents
and sources; and the standard library of the running interpreter, its sources, test data and
language reference. The tools are named as what is found in such texts. At every recovery level
each text is one message, streamed in pieces like words and cut at random, and in one piece; and a
sample goes through the rewriter, where not one byte may change. `make test` reads the texts that were not
written for this at one level each, without the random cuts; `make fuzz` at all.

No text here is one that a policy lets change: no JSON call that is the whole message or stands in
the last fence (P3), no unfenced complete call at the end (P2), no empty envelope (P11).
"""

import hashlib
import json
import os
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest

from support.cases import read_tool
from support.cuts import at_random, joined, per_character
from support.outcome import run
from support.streams import EVERY_ENGINE, Engine, send
from toolstream import rewrite_completion
from toolstream.parser.markdown import Markdown
from toolstream.parser.parser import LEVELS
from toolstream.schema.toolset import Toolset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus"
TOOLS = [
    read_tool(line)
    for line in (
        *("read(path: string)", "write(path: string, content: string)", "search(text: string)"),
        *("list(name: string)", "time()", "name(value: string)", "title(text: string)"),
        *("code(content: string)", "summary(text: string, title?: string)", "path(value: string)"),
        *("function(name: string)", "parameter(name: string, value: string)", "result(name: string)"),
        *("get_weather(city: string, days?: integer)", "tool_call(name: string, value?: string)"),
    )
]
SOURCES, DATA = 150, 80  # files of the standard library: Python, and anything else that is text
SMALLEST, LARGEST = 200, 8_000  # characters; longer texts are cut behind a line
KINDS = (
    ".xml",
    ".html",
    ".txt",
    ".json",
    ".toml",
    ".cfg",
    ".css",
    ".md",
    ".rst",
    ".eml",
    ".csv",
    ".vbs",
    ".sh",
)
SKIPPED = {"site-packages", "dist-packages", "__pycache__", "encodings"}
WORDS = re.compile(r"\s?\w+|\W{1,3}")


def own() -> Iterator[tuple[str, str]]:
    """The texts of tests/corpus, also as Windows ends their lines."""
    for path in sorted(CORPUS.iterdir()):
        text = path.read_text("utf-8")
        yield path.name, text
        yield f"{path.name}, CRLF", text.replace("\n", "\r\n")


def project() -> Iterator[tuple[str, str]]:
    """What this project says of itself, and its sources, which are full of tags. One of them holds a complete
    call, as it is taught."""
    files = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "Makefile",
        *sorted(set(ROOT.glob("addon/**/*.py")) - {ROOT / "addon/toolstream/grammar/dialects/glm4.py"}),
    ]
    return ((path.relative_to(ROOT).as_posix(), shortened(path.read_text("utf-8"))) for path in files)


def library() -> Iterator[tuple[str, str]]:
    """Files of the standard library, the same ones for each version of Python; and its reference."""
    root = Path(sysconfig.get_path("stdlib"))
    found = sorted(files(root), key=lambda name: hashlib.sha256(name.encode()).digest())
    for kinds, count in ((KINDS, DATA), ((".py",), SOURCES)):
        texts = ((name, text_of(root / name)) for name in found if name.endswith(kinds))
        yield from [entry for entry, _ in zip(((n, t) for n, t in texts if t), range(count), strict=False)]
    yield from ((f"reference: {name}", shortened(text)) for name, text in sorted(topics.items()))


def files(root: Path) -> Iterator[str]:
    """The names of all files in a folder, as seen from there."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        yield from ((Path(folder).relative_to(root) / name).as_posix() for name in names)


def text_of(path: Path) -> str:
    """A file's text, or its beginning; empty if it has none."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return shortened(text) if len(text) >= SMALLEST else ""


def shortened(text: str) -> str:
    return text if len(text) <= LARGEST else text[: text.rfind("\n", 0, LARGEST) + 1]


TEXTS = {**dict(own()), **dict(project()), **dict(library())}
OWN = dict(own())
NUMBERS = {name: number for number, name in enumerate(TEXTS)}


def changes(text: str, level: str, streamed: bool = True, random_cuts: int = 2) -> bool:
    """Whether anything becomes of a text."""
    for pieces in (WORDS.findall(text), *at_random(text, random_cuts)) if streamed else ([text],):
        outcome = run(pieces, TOOLS, recovery=level, live=streamed)
        if outcome.text != joined(text) or outcome.calls or outcome.open_call or outcome.repairs:
            return True
    return False


def test_there_are_enough() -> None:
    assert len(TEXTS) >= 350
    assert len(OWN) >= 2 * 50
    assert len(TEXTS.keys() - OWN.keys()) >= 250


def test_pieces_like_words_are_all_of_the_text() -> None:
    for text in OWN.values():
        assert "".join(WORDS.findall(text)) == text
        assert max(map(len, WORDS.findall(text))) < 80


@pytest.mark.parametrize("name", TEXTS)
def test_text_stays_text(name: str, thorough: bool) -> None:
    in_full = thorough or name in OWN
    for level in LEVELS if in_full else [LEVELS[NUMBERS[name] % len(LEVELS)]]:
        assert not changes(TEXTS[name], level, random_cuts=2 if in_full else 0), level
        assert not changes(TEXTS[name], level, streamed=False), f"{level}, in one piece"


@pytest.mark.parametrize("name", OWN)
def test_text_stays_text_character_by_character(name: str) -> None:
    for level in LEVELS:
        outcome = run(per_character(OWN[name]), TOOLS, recovery=level)
        assert (outcome.text, outcome.calls, outcome.repairs) == (OWN[name], [], [])


# Through the rewriter

SAMPLE = [*OWN, *random.Random(1).sample(sorted(TEXTS.keys() - OWN.keys()), 60)]


def cut(whole: Any, choose: random.Random, count: int) -> list[Any]:
    """Text or bytes in pieces cut at random, none of them empty."""
    places = sorted(choose.sample(range(1, len(whole)), min(count, len(whole) - 1)))
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


@pytest.mark.parametrize("name", SAMPLE)
def test_not_one_byte_of_an_answer_changes(name: str) -> None:
    choose = random.Random(name)
    engine: Engine = choose.choice(EVERY_ENGINE)
    for level in LEVELS:
        body = b"".join(engine.answer(cut(TEXTS[name], choose, 40)))
        out, rewriter = send(cut(body, choose, 30), {"tools": TOOLS}, recovery=level)
        assert out == body
        assert not rewriter.ledger.repairs
        message = {"role": "assistant", "content": TEXTS[name]}
        whole = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
        assert rewrite_completion({"tools": TOOLS}, whole, level)[0] is whole


# That this is a net


@pytest.mark.parametrize(
    ("owner", "name", "broken", "caught_by"),
    [
        (Markdown, "fenced", property(lambda self: False), {"tutorial-qwen-xml.md", "indented-code.md"}),
        (Markdown, "code_span", property(lambda self: 0), {"inline-code.md"}),
        (Markdown, "at_line_start", property(lambda self: True), {"docstring.txt"}),
        (Toolset, "find", lambda self, name, tolerant=True: self.tools["read"], {"undeclared-call.md"}),
    ],
)
def test_a_parser_that_does_not_look_is_caught(
    owner: type, name: str, broken: Any, caught_by: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, broken)
    assert {name for name, text in OWN.items() if changes(text, "tolerant", streamed=False)} >= caught_by
