"""qwen-fix doctor: what is wrong with the tool calls of a server, and what cures it at the source.

    qwen-fix doctor --backend http://localhost:8080 [--model M] [--header 'Name: value'] [--json]

It asks the server a handful of questions, streamed and not: a plain one, one call, a call with types,
two calls, and a file with tags in it. Then it looks for the server's other APIs (Messages, Responses,
Ollama's chat), and asks each for one call. Each answer is judged as it came, and as the proxy would
pass it on. The proxy need not run. Nothing that the model calls is executed.

exit codes:
  0  nothing needs repair
  1  calls leak as text or are damaged, and qwen-fix repairs all of them
  2  the server could not be asked, or the command was wrong
  3  something is lost even with qwen-fix, or the model made no call where one was asked for; also if the
     server refuses tools, or answers some questions with errors
"""

import argparse
import asyncio
import json
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from toolstream import Ledger

from ...apis import APIS, CHAT, Api
from ...backend import probe
from ...backend.addresses import BadAddressError, read_server
from ...recording.format import Headers, Recording, header
from ...replay import record, rerun
from ...replay.golden import golden
from ...terminal import printable
from .diagnosis import Kind, Other, Verdict, refused, unasked, unlisted, verdict, with_others
from .engines import ENGINES, Engine, Signs, recognise
from .findings import Answer, Finding, find, findings
from .questions import ONE_CALL, QUESTIONS, Question

Json = dict[str, Any]

PATIENCE = 300.0  # seconds without a byte: a large model on a small machine takes long to read its prompt
GLANCE = 2.0  # seconds for a page that may be missing
LIMITS = record.Limits(seconds=900.0, size=16 << 20)  # of an answer
LITTLE_ROOM = 512  # tokens, for a server whose context is small
TICK = 10.0  # seconds of silence until the elapsed time is shown
WIDTH = 110
LISTEN = "127.0.0.1:9090"  # where `qwen-fix run` listens
LONGEST_REASON = 300  # characters of a server's error
HEALTH = "/_qwen/health"
NOT_THERE = (0, 404, 405, 501)  # how a server answers that does not have an API; 0 is no answer
WITHOUT_V1 = ("messages", "ollama")  # APIs whose clients want a base URL without /v1
_NO_ROOM = re.compile(rb"(?i)max_tokens|max_completion_tokens|context (?:length|size|window)|maximum context")
_FINGERPRINT = re.compile(rb'"system_fingerprint"\s*:\s*"([^"]*)"')


class Doctor:
    """Asks one server. Progress is printed on standard error."""

    def __init__(self, backend: str, headers: Headers, model: str = "") -> None:
        self.backend = backend
        self.model = model
        self.engine: Engine | None = None
        self._headers = headers
        self._signs = Signs()
        self._room = 0  # tokens for an answer, if the server demands a number
        self._unlisted = ""

    def examine(self) -> Verdict:
        """Ask all questions and return the verdict."""
        found = self._verdict()
        return replace(found, details=[self._unlisted, *found.details]) if self._unlisted else found

    def _verdict(self) -> Verdict:
        if found := self._not_askable():
            return found
        self._look_around()
        engine = self.engine.name if self.engine else "an unknown server"
        _progress(f"{printable(f'asking {engine}, model {self.model}')}\n")
        answers = list(self._ask_all())
        if any(answer.raw.choices for answer in answers):
            others = [self._look_at(api) for api in APIS.values() if api is not CHAT]
            return with_others(verdict(findings(answers), self.engine), others, self.engine)
        if not answers[-1].status:
            return unasked(Kind.UNREACHABLE, f"{self.backend} does not answer: {answers[-1].error}.")
        last = self._ask(QUESTIONS[0], False, "once more, without tools", with_tools=False)
        return refused(answers[-1], last, self.engine, self.backend)

    def _not_askable(self) -> Verdict | None:
        """Return a verdict if the server cannot be asked; None if it can."""
        parts = urlsplit(self.backend)
        with _telling(f"looking for {self.backend}") as tell:
            if self._is_proxy():
                line = f"{self.backend} is a qwen-fix proxy: give the address of the model server."
                return unasked(Kind.PROXY, line)
            heard = asyncio.run(probe.question(f"{parts.scheme}://{parts.netloc}"))
            tell(heard.wrong or heard.down or "it is there")
        if heard.wrong:
            return unasked(Kind.UNREACHABLE, heard.wrong.replace(probe.TRUST, "SSL_CERT_FILE=FILE before it"))
        if heard.down and not heard.down.startswith("nothing for"):  # a busy server may answer late
            return unasked(Kind.UNREACHABLE, f"{self.backend} does not answer: {heard.down}.")
        return None

    def _is_proxy(self) -> bool:
        health = self._page(HEALTH)
        return "version" in health and not {"recovery", "mitmproxy"}.isdisjoint(health)

    def _look_around(self) -> None:
        """Find out the model and the engine from a few pages."""
        listed = self._page("/v1/models").get("data")
        models = [model for model in listed if isinstance(model, dict)] if isinstance(listed, list) else []
        self._signs.owners = {str(model.get("owned_by")) for model in models}
        names = [str(model["id"]) for model in models if model.get("id")]
        self._unlisted = unlisted(self.model, names)
        self.model = self.model or next(iter(names), "default")
        self.engine = recognise(self._signs)
        for path in [engine.page[0] for engine in ENGINES if engine.page[0]]:
            if self.engine is None:
                self._signs.pages[path] = self._page(path)
                self.engine = recognise(self._signs)

    def _page(self, path: str) -> Json:
        """Return the JSON object at a path; empty if there is none."""
        with suppress(record.ServerError, ValueError, RecursionError):
            headers, body = record.look(self.backend, path, self._headers, GLANCE)
            self._note(headers)
            page = json.loads(body)
            return page if isinstance(page, dict) else {}
        return {}

    def _note(self, headers: Headers) -> None:
        self._signs.headers |= {name.lower(): value for name, value in headers}

    def _ask_all(self) -> Iterator[Answer]:
        """Ask each question, streamed and not. Stop if one has no answer or the first two are refused."""
        asked = [(question, is_stream) for question in QUESTIONS for is_stream in (True, False)]
        refusals = 0
        for number, (question, is_stream) in enumerate(asked, 1):
            how = "streamed" if is_stream else "not streamed"
            answer = self._ask(question, is_stream, f"{number}/{len(asked)} {question.name}, {how}")
            yield answer
            refusals += answer.status >= 300
            if not answer.status or refusals == number == 2:
                return

    def _look_at(self, api: Api) -> Other:
        """Ask another API for one call, streamed and not, if the server has this API."""
        answers: list[Answer] = []
        for is_stream in (True, False):
            how = "streamed" if is_stream else "not streamed"
            answer = self._ask(ONE_CALL, is_stream, f"{api.address}, {how}", api=api)
            if answer.status in NOT_THERE or (answer.status == 200 and not answer.raw.choices):
                break
            if answer.status != 200:
                return Other(
                    api, error=f"status {answer.status}: {answer.error}" if answer.status else answer.error
                )
            answers.append(answer)
        return Other(api, tuple(findings(answers)))

    def _ask(
        self,
        question: Question,
        is_stream: bool,
        title: str,
        with_tools: bool = True,
        api: Api = CHAT,
    ) -> Answer:
        request = question.request(self.model, is_stream, with_tools, api)
        start = time.monotonic()
        with _telling(title) as tell:
            try:
                recording = self._recorded(request, api)
            except record.ServerError as e:
                reason = str(e).removeprefix(f"{record.address(self.backend, api.address)}: ")
                tell(reason)
                return Answer(question, is_stream, 0, printable(reason), _since(start), api=api)
            answer = self._read(question, is_stream, recording, _since(start))
            tell(f"{find(answer).as_sent} ({answer.seconds:.1f} s)")
            return answer

    def _recorded(self, request: Json, api: Api) -> Recording:
        """Return the answer to a request. If max_tokens is too large, retry. Raises ServerError."""
        request = request | (api.greedy(self._room) if self._room else {})
        asked = record.ask(
            self.backend, "doctor", request, api, headers=self._headers, patience=PATIENCE, limits=LIMITS
        )
        if asked.status == 400 and not self._room and _NO_ROOM.search(asked.body):
            self._room = LITTLE_ROOM
            return self._recorded(request, api)
        return asked

    def _read(self, question: Question, is_stream: bool, recording: Recording, seconds: float) -> Answer:
        """Read an answer as it came, and as the proxy would pass it on."""
        body = recording.body
        new = rerun.outcome(recording, recording.chunks)
        raw = golden(body, body, recording.is_stream, Ledger(), recording.of)
        self._note(recording.headers)
        self._signs.fingerprints |= {said.decode("utf-8", "replace") for said in _FINGERPRINT.findall(body)}
        self.engine = self.engine or recognise(self._signs)
        error = self._without_keys(_failure(recording, raw.error, bool(raw.choices)))
        return Answer(question, is_stream, recording.status, error, seconds, raw, new, recording.of)

    def _without_keys(self, text: str) -> str:
        """Return the server's text without our headers, which it may repeat."""
        for _, value in self._headers:
            for part in {value, value.rpartition(" ")[2]} - {""}:
                text = text.replace(part, "…")
        return text


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def _failure(recording: Recording, error: str, has_choices: bool) -> str:
    """Say why a response is not an answer; empty if it is one."""
    text = recording.body.decode("utf-8", "replace")
    if 300 <= recording.status < 400:
        return printable(f"it redirects to {header(recording.headers, 'location')}: ask there")
    broken = f"the answer broke off ({printable(recording.aborted)})" if recording.aborted else ""
    if recording.status < 400 and (has_choices or (broken and not error)):
        return broken
    said = error or _message(text) or " ".join(text.split())
    return printable(said)[:LONGEST_REASON] or "an empty body"


def _message(text: str) -> str:
    """Return the error in a body that does not follow OpenAI's API."""
    with suppress(ValueError, RecursionError):
        body = json.loads(text)
        if isinstance(body, dict):
            return next((str(body[key]) for key in ("message", "detail") if body.get(key)), "")
    return ""


# What the user sees


@contextmanager
def _telling(title: str) -> Iterator[Callable[[str], None]]:
    """Print a line of progress that shows the elapsed time and ends with the result."""
    told: list[str] = []
    _progress(f"{title} …")
    done = threading.Event()
    start = time.monotonic()

    def tick() -> None:
        while not done.wait(TICK):
            _progress(f" {time.monotonic() - start:.0f} s …")

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    try:
        yield told.append
    finally:
        done.set()
        ticking.join()
        _progress(f" {printable('; '.join(told))}\n")


def _progress(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def report(doctor: Doctor, verdict: Verdict) -> str:
    """Return the verdict in words."""
    blocks = ["\n".join(_wrapped(line) for line in (*verdict.said, *verdict.details))]
    if verdict.findings:
        blocks.append("\n".join(_table(verdict.findings)))
    if verdict.cures or verdict.needs_proxy:
        blocks.append("\n".join(["What to do:", *_advice(doctor, verdict)]))
    return "\n\n".join(blocks)


def _table(found: list[Finding]) -> Iterator[str]:
    rows = [("question", "streamed", "as sent", "through qwen-fix")]
    rows += [
        (f.answer.question.name, "yes" if f.answer.is_stream else "no", f.as_sent, f.through) for f in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield printable("  ".join(["", *cells, row[3]])).rstrip()


def _advice(doctor: Doctor, verdict: Verdict) -> Iterator[str]:
    if len(verdict.cures) > 1 and not doctor.engine:
        yield "  at the source, whichever server it is:"
        yield from (_wrapped(cure, "    - ") for cure in verdict.cures)
    else:
        yield from (_wrapped(f"at the source, {cure}", "  - ") for cure in verdict.cures)
    if verdict.needs_proxy:
        parts = urlsplit(doctor.backend)
        yield f"  - in between: qwen-fix run --backend {parts.scheme}://{parts.netloc}"
        yield f"    and in your client the base URL http://{LISTEN}{parts.path}/v1"
        if bare := [o.api.address for o in verdict.others if o.bad and o.api.name in WITHOUT_V1]:
            yield f"    (for {' and '.join(bare)}: http://{LISTEN}{parts.path})"


def _wrapped(text: str, first: str = "") -> str:
    return textwrap.fill(
        printable(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
        break_long_words=False,
    )


# Command line


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    record.add_options(parser, model="the model to ask (default: the first that the server lists)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    try:
        doctor = Doctor(read_server(options.backend), record.read_headers(options.header), options.model)
    except (BadAddressError, record.ServerError) as e:
        print(f"qwen-fix doctor: {printable(str(e))}", file=sys.stderr)
        return 2
    try:
        found = doctor.examine()
    except Exception as e:  # exit code 1 would mean that the proxy repairs all
        print(f"qwen-fix doctor: {printable(f'{type(e).__name__}: {e}')}", file=sys.stderr)
        return 2
    print(_as_json(doctor, found) if options.json else report(doctor, found))
    return found.exit_code


def _as_json(doctor: Doctor, verdict: Verdict) -> str:
    engine = doctor.engine.name if doctor.engine else None
    asked = {"backend": doctor.backend, "engine": engine, "model": doctor.model}
    return json.dumps(asked | verdict.as_dict(), indent=2)
