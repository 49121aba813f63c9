"""What the library costs: the parser, and the rewriter, against `json.loads` of the same chunks.

The rewriter has a sunny side, one envelope around plain text, and is nearly always asked for it by a
benchmark that makes its own stream. So there are rows for what servers really send: envelopes that change,
several events at once, markup in a value, the first piece of an answer; and our recordings, event by event.
"""

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from measure import (
    CODE,
    DELTA,
    HEAD,
    HTML,
    PLAIN,
    PROSE,
    Row,
    each,
    fastest,
    in_deltas,
    repeated,
    seconds,
    word_by_word,
)
from proxy import ROOT

from fuzz.gates import BARS, GATES, measure, tally
from qwenproxy.recording.format import Recording, load
from qwenproxy.replay.rerun import user_rules
from support.streams import LLAMA_CPP, REPEATING, VLLM, Engine, request
from support.wires import APIS
from toolstream import StreamRewriter, ToolCallParser
from toolstream.wire import WIRES

ASKED = request()
SMALL, LARGE = 2_000, 1_000_000  # characters of a value
MANY, SOME = 20_000, 5_000  # events of a stream
ANSWERS = 200  # whose first pieces are measured
ENVELOPE_BAR = 3  # a stream that is not the sunny side
JSON_HEAD = '<tool_call>\n{"name": "write", "arguments": {"path": "a.py", "content": "'
IN_JSON = json.dumps(CODE)[1:-1]
LONG = (
    *(("plain", HEAD, PLAIN), ("code", HEAD, CODE), ("HTML", HEAD, HTML)),
    *(("prose with <", "", PROSE), ("code in a JSON body", JSON_HEAD, IN_JSON)),
)


def payloads(events: list[bytes]) -> list[bytes]:
    """The JSON in these events, or pieces of several."""
    lines = (line.removeprefix(b"data: ") for piece in events for line in piece.split(b"\n"))
    return [line for line in lines if line.startswith(b"{")]


# The parser


def parser_time(head: str, text: str, size: int, delta: int = DELTA) -> Callable[[], float]:
    """Seconds per delta of a text of `size` characters after `head`."""
    deltas = in_deltas(repeated(text, size), delta)
    times = max(1, SOME // len(deltas))

    def run() -> float:
        total = 0.0
        for _ in range(times):
            parser = ToolCallParser(ASKED["tools"])
            parser.feed(head)
            total += seconds(each(parser.feed, deltas))
        return total / times / len(deltas)

    return run


def loads_time(text: str, delta: int = DELTA) -> Callable[[], float]:
    """Seconds of `json.loads` of a chunk with such a delta."""
    chunks = payloads([LLAMA_CPP.text(piece) for piece in in_deltas(repeated(text, SOME * delta), delta)])
    return lambda: seconds(each(json.loads, chunks)) / len(chunks)


def parser_rows(quick: bool) -> Iterator[Row]:
    rounds = 2 if quick else 4
    for what, head, text, delta, bar in (
        ("a plain value", HEAD, PLAIN, DELTA, 0.5),
        ("code in a value", HEAD, CODE, DELTA, 1),
        *((f"HTML in a value, deltas of {size}", HEAD, HTML, size, 2) for size in (4, 16, 64)),
        ("prose with <", "", PROSE, DELTA, 1),
        ("code in a JSON body", JSON_HEAD, IN_JSON, DELTA, None),
    ):
        runs = {"it": parser_time(head, text, 20_000, delta), "json": loads_time(text, delta)}
        found = fastest(runs, rounds)
        yield Row(what, found["it"] / found["json"], "x", bar, f"{found['it'] * 1e6:.2f} us")
    for what, head, text in () if quick else LONG:
        found = fastest({str(size): parser_time(head, text, size) for size in (SMALL, LARGE)}, 3)
        ratio = found[str(LARGE)] / found[str(SMALL)]
        yield Row(f"{what}, {LARGE // 1000} kB against {SMALL // 1000} kB", ratio, "x", 1.2)


def gate_rows(quick: bool) -> Iterator[Row]:
    """The gates of the fuzzer, each row beside its bar."""
    for gate, (_, rounds) in GATES.items():
        for name, row in tally(measure(gate, 1, 0, rounds // 10 if quick else rounds // 2)).items():
            note = f"of {row.verdicts.total()}"
            yield Row(f"exactly right: {name}", row.exact, "%", BARS.get(name), note, least=True)


# The rewriter


@dataclass
class Stream:
    """A stream, and how many times `json.loads` of its chunks it may cost; `before` is not measured."""

    what: str
    bar: float
    before: list[bytes]
    pieces: list[bytes]
    asked: dict[str, Any] = field(default_factory=lambda: ASKED)
    api: str = "chat"

    def row(self, rounds: int) -> Row:
        chunks = payloads(self.pieces)
        runs = {"it": self.run, "json": lambda: seconds(each(json.loads, chunks))}
        found = fastest(runs, rounds)
        note = f"{found['it'] / len(chunks) * 1e6:.1f} us"
        return Row(self.what, found["it"] / found["json"], "x", self.bar, note)

    def run(self) -> float:
        rewriter = StreamRewriter(self.asked, api=self.api)
        for event in self.before:
            rewriter.feed(event)
        took = seconds(each(rewriter.feed, self.pieces))
        assert not rewriter.ledger.failure
        return took


def deltas_of(engine: Engine, deltas: list[str], field: str = "content") -> list[bytes]:
    return [engine.chunk((0, {field: delta}, None)) for delta in deltas]


def in_call(engine: Engine) -> list[bytes]:
    return [*engine.open(), *deltas_of(engine, in_deltas(HEAD))]


def sunny(engine: Engine, count: int) -> Iterator[Stream]:
    """One envelope, one event a piece."""
    words, start = word_by_word(repeated(PROSE, count * DELTA)), engine.open()
    plain = in_deltas(repeated(PLAIN, count * DELTA))
    code = in_deltas(repeated(CODE, count * DELTA))
    copies = [engine.chunk((0, {"reasoning": w, "reasoning_content": w}, None)) for w in words]
    arguments = json.dumps({"path": "a.py", "content": "".join(code)})
    natives = engine.calls([("write", in_deltas(arguments))])
    yield Stream(f"{engine}: a plain value", 1, in_call(engine), deltas_of(engine, plain))
    yield Stream(f"{engine}: code in a value", 2, in_call(engine), deltas_of(engine, code))
    yield Stream(f"{engine}: prose, word by word", 1, start, deltas_of(engine, words))
    prose = in_deltas(repeated(PROSE, count * DELTA))
    yield Stream(f"{engine}: prose, cut every {DELTA} characters", 1, start, deltas_of(engine, prose))
    yield Stream(f"{engine}: reasoning", 1, start, deltas_of(engine, words, "reasoning"))
    yield Stream(f"{engine}: reasoning in two fields", 1, start, copies)
    yield Stream(f"{engine}: a call that the server parsed", 1, start, natives)


def cloudy(count: int) -> Iterator[Stream]:
    """What servers send, too."""
    words = word_by_word(repeated(PROSE, count * DELTA))[:count]
    code = in_deltas(repeated(CODE, count * DELTA))

    def changing(engine: Engine, text: str, n: int) -> list[tuple[str, bytes]]:
        delta = (0, {"content": text}, None)
        usage = {"prompt_tokens": 17, "total_tokens": 17 + n, "completion_tokens": n}
        timings = {"cache_n": 0, "prompt_n": 17, "predicted_n": n, "predicted_ms": n * 9.0617}
        return [
            ("a clock in each chunk", engine.chunk(delta, created=1795171282 + n)),
            ("usage in each chunk", engine.chunk(delta, usage=usage)),
            ("timings in each chunk", engine.chunk(delta, timings=timings)),
        ]

    for of, texts, before in (("prose", words, LLAMA_CPP.open()), ("a value", code, in_call(LLAMA_CPP))):
        rows = [changing(LLAMA_CPP, text, n) for n, text in enumerate(texts)]
        for column in zip(*rows, strict=True):
            yield Stream(f"{column[0][0]}: {of}", ENVELOPE_BAR, before, [event for _, event in column])
    for of, texts, before in (("prose", words, LLAMA_CPP.open()), ("a value", code, in_call(LLAMA_CPP))):
        events = deltas_of(LLAMA_CPP, texts)
        for size in (2, 8):
            pieces = [b"".join(events[at : at + size]) for at in range(0, len(events), size)]
            yield Stream(f"{size} events in a piece: {of}", ENVELOPE_BAR, before, pieces)
    for size in (4, 16, 64):
        html = deltas_of(LLAMA_CPP, in_deltas(repeated(HTML, count * 4), size))
        yield Stream(f"HTML in a value, deltas of {size}", ENVELOPE_BAR, in_call(LLAMA_CPP), html)
    arguments = json.dumps({"path": "a.py", "content": "".join(code)})
    natives = REPEATING.calls([("write", in_deltas(arguments))])
    yield Stream("a call that the server parsed, its id in each delta", ENVELOPE_BAR, VLLM.open(), natives)


def every_api(count: int) -> Iterator[Stream]:
    """The same two answers in each API."""
    prose = repeated(PROSE, count * DELTA)
    call = HEAD + repeated(CODE, count * DELTA)
    for api in APIS:
        asked = api.request(ASKED["tools"])
        assert asked
        for of, text in (("prose", prose), ("code in a call", call)):
            framer = WIRES[api.name](asked).framer()
            frames = framer.feed(api.streamed([("text", text)], "stop", DELTA))
            yield Stream(f"{api.title}: {of}", ENVELOPE_BAR, frames[:20], frames[20:-10], asked, api.name)


def rewriter_rows(quick: bool) -> Iterator[Row]:
    rounds = 2 if quick else 4
    for engine in (LLAMA_CPP, VLLM):
        for stream in sunny(engine, SOME if quick else MANY):
            yield stream.row(rounds)
    for stream in cloudy(SOME // 5 if quick else SOME):
        yield stream.row(rounds)
    for stream in every_api(SOME // 5 if quick else SOME):
        yield stream.row(rounds)


# The first pieces of an answer


def first_times(engine: Engine, texts: list[str], number: int) -> list[int]:
    """Nanoseconds that the first pieces of a new answer take. Each answer has an id of its own."""
    deltas = [{"role": "assistant", "content": None}, *({"content": text} for text in texts)]
    pieces = [engine.chunk((0, delta, None), id=f"chatcmpl-{number}") for delta in deltas]
    times = [time.perf_counter_ns()]
    rewriter = StreamRewriter(ASKED)
    for piece in pieces:
        rewriter.feed(piece)
        times.append(time.perf_counter_ns())
    return [after - before for before, after in pairwise(times)]


def first_rows(quick: bool) -> Iterator[Row]:
    count = ANSWERS // 4 if quick else ANSWERS
    for of, texts in (("prose", ["Let", " me"]), ("a call", ["<tool_call>", "\n<function=write>"])):
        found = [first_times(LLAMA_CPP, texts, number) for number in range(count)]
        role, first, second = (statistics.median(column) / 1000 for column in zip(*found, strict=True))
        if of == "prose":
            yield Row("the first piece, which names the role", role, "us", 150)
        yield Row(f"the first text: {of}", first, "us", 150)
        yield Row(f"the second text: {of}", second, "us", 150)


# Our recordings


def recorded() -> list[Recording]:
    """The streamed answers to requests with tools."""
    found = [load(path) for path in sorted((ROOT / "recordings").glob("*.flow"))]
    return [r for r in found if r.is_stream and r.status < 400 and r.request.get("tools")]


def event_times(recording: Recording, number: int) -> list[tuple[int, int]]:
    """Nanoseconds per event that is JSON: through the rewriter, and through `json.loads`. The answer gets
    another id, as the next one has."""
    chunk = next((json.loads(p) for p in payloads([recording.body])), {})
    name = str(chunk.get("id") or "").encode()
    body = recording.body.replace(name, name + b"%d" % number) if name else recording.body
    rewriter = StreamRewriter(recording.request, **user_rules(recording.rules), api=recording.api)
    times = []
    for event in recording.of.frames(body):
        data = recording.of.data(event)
        start = time.perf_counter_ns()
        rewriter.feed(event)
        fed = time.perf_counter_ns()
        if data.startswith("{"):
            json.loads(data)
            times.append((fed - start, time.perf_counter_ns() - fed))
    return times


def recording_rows(quick: bool) -> Iterator[Row]:
    ratios, firsts, texts = [], [], recorded()
    for recording in texts:
        rounds = [event_times(recording, number) for number in range(4 if quick else 10)]
        best = [[min(column) for column in zip(*event, strict=True)] for event in zip(*rounds, strict=True)]
        ratios += [took / loads for took, loads in best]
        firsts += [took / 1000 for took, _ in best[:1]]
    ratios.sort()
    note = f"{len(ratios)} events of {len(texts)} answers"
    for name, part, bar in (("median", 0.5, 3), ("p90", 0.9, 8), ("p99", 0.99, 25)):
        yield Row(f"per event: {name}", ratios[math.ceil(part * len(ratios)) - 1], "x", bar, note)
    yield Row("per event: the slowest", ratios[-1], "x")
    yield Row("the first event of an answer: median", statistics.median(firsts), "us", 150)
