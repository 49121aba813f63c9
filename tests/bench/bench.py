"""What it costs: `make bench` prints each figure beside its bar, and judges nothing else by it.

A time by itself says as much about the machine as about the code. So whatever can be is given
as a ratio of two things measured in turns in this very run: the parser against itself on a
longer input, a chunk through the rewriter against `json.loads` of that chunk, mitmdump with
the addon against mitmdump with a callable that returns what it is given. Of repeated
measurements the fastest counts where nothing but other programs can make one slower, and
the median where several processes take part.

`--quick` measures the library alone, in less time.

Exit status 1 means that something could not be measured, never that it was slow.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2] / "addon"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "qwenproxy"))

import proxy as live
from library import ASKED, first_rows, parser_rows, recording_rows, rewriter_rows
from measure import (
    CODE,
    DELTA,
    HEAD,
    PROSE,
    TAIL,
    Row,
    each,
    failures,
    fastest,
    in_deltas,
    in_turns,
    repeated,
    seconds,
    table,
    word_by_word,
)
from proxy import ROOT

from qwenproxy.recording.format import Recording, load
from qwenproxy.recording.redaction import redact
from support.streams import LLAMA_CPP
from toolstream import StreamRewriter, ToolCallParser
from toolstream.schema.rules import Action, Condition, Rule, Rules

KEY = "sk-0123456789abcdef"

BURST, PACED, PACE = 3_000, 250, 0.003  # chunks of one answer through mitmdump; seconds between paced ones
ROUNDS = 5

# Inputs that could be slow

VALUE = HEAD
PATHOLOGICAL: dict[str, Callable[[int], tuple[str, str]]] = {  # n -> (text before, text measured)
    "<": lambda n: ("", "<" * n),
    "<tool_call>": lambda n: ("", "<tool_call>" * (n // 11)),
    "<tool_call> and blanks": lambda n: ("", ("<tool_call>" + " " * 63) * (n // 74)),
    "blanks": lambda n: ("", " " * n),
    "line breaks": lambda n: ("", "\n" * n),
    "backticks": lambda n: ("", "`" * n),
    "backticks of growing length": lambda n: ("", " ".join("`" * (i % 100) for i in range(n // 51))),
    "an open code span and tags": lambda n: ("", "`" + "<tool_call> " * (n // 12)),
    "fences": lambda n: ("", "```\n" * (n // 4)),
    "list markers": lambda n: ("", "- " * (n // 2)),
    "one long line in a fence": lambda n: ("```\n", "x <" * (n // 3)),
    "a name without end": lambda n: ("<tool_call>\n<function=", "a" * n),
    "a key without end": lambda n: ("<tool_call>\n<function=write>\n<parameter=", "a" * n),
    "blanks in a name": lambda n: ("<function=", " " * n),
    "an undeclared tool": lambda n: ("<tool_call>\n<function=nobody>\n<parameter=x>\n", "abc\n" * (n // 4)),
    "an unclosed <think>": lambda n: (
        "<think>\n<tool_call>\n<function=write>\n<parameter=content>\n",
        "abc\n" * (n // 4),
    ),
    "JSON without end": lambda n: ("<tool_call>\n", '{"a":' * (n // 5)),
    "a JSON string without end": lambda n: ('<tool_call>\n{"name": "', "a\\\\" * (n // 3)),
    "JSON brackets": lambda n: ("<tool_call>\n", "[" * n),
    "< in a value": lambda n: (VALUE, "<" * n),
    "</parameter> in a value": lambda n: (VALUE, "</parameter> x\n" * (n // 15)),
    "closers in a value": lambda n: (VALUE, "</parameter>\n</function>\n" * (n // 25)),
    "calls in a value": lambda n: (VALUE, (HEAD + "x" + TAIL + "\n") * (n // 130)),
    "openers in a value": lambda n: (VALUE, "<tool_call>\n<function=write>\n<parameter=path>\n" * (n // 45)),
    "line breaks in a value": lambda n: (VALUE, "\n" * n),
    "blanks in a value": lambda n: (VALUE, " " * n),
    "quotes in a value": lambda n: (VALUE, '"\\' * (n // 2)),
    "text behind a value in doubt": lambda n: (VALUE + "x" + TAIL + "\n", "text and text\n" * (n // 14)),
    "parameters": lambda n: (
        "<tool_call>\n<function=write>\n",
        "<parameter=content>\nx\n</parameter>\n" * (n // 35),
    ),
    "new parameters": lambda n: (
        "<tool_call>\n<function=write>\n",
        "".join(f"<parameter=k{i:06}>\nx\n</parameter>\n" for i in range(n // 36)),
    ),
    "a long integer": lambda n: ("<tool_call>\n<function=get_weather>\n<parameter=days>\n", "1" * n),
    "text between parameters": lambda n: ("<tool_call>\n<function=write>\n", "text < text\n" * (n // 12)),
    "calls": lambda n: ("", ("<tool_call>\n<function=get_goal>\n</function>\n</tool_call>\n") * (n // 55)),
    "JSON calls, each other one undeclared": lambda n: (
        "",
        "".join(
            f'<tool_call>\n{{"name": "{name}", "arguments": {{}}}}\n</tool_call>\n'
            for name in ["nobody", "get_goal"] * (n // 120)
        ),
    ),
    "closers behind a call": lambda n: (HEAD + TAIL, "</function>\n" * (n // 12)),
    "blanks behind a call": lambda n: (HEAD + TAIL, "\n " * (n // 2)),
}


def doubling(text_of: Callable[[int], tuple[str, str]], size: int) -> float:
    """Time for 2n against time for n, for the worse of: in deltas, and in one piece."""

    def parse(n: int, whole: bool) -> Callable[[], float]:
        before, text = text_of(n)
        pieces = [text] if whole else in_deltas(text)

        def run() -> float:
            parser = ToolCallParser(ASKED["tools"])
            parser.feed(before)
            return seconds(lambda: (each(parser.feed, pieces)(), parser.close("stop")))

        return run

    ratios = []
    for whole in (False, True):
        n = size
        while parse(n, whole)() < 0.006 and n < size * 16:
            n *= 2
        found = fastest({"n": parse(n, whole), "2n": parse(2 * n, whole)}, 3)
        ratios.append(found["2n"] / found["n"])
    return max(ratios)


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


def pathological_rows() -> Iterator[Row]:
    bar = 2.6
    found = {f"text: {name}": doubling(make, 4000) for name, make in PATHOLOGICAL.items()}
    found |= {f"stream: {name}": stream_doubling(make) for name, make in STREAMS.items()}
    found["stream: a value that a rule holds"] = stream_doubling(
        lambda n: LLAMA_CPP.calls([("write", ['{"hint":"', *["abcd"] * n])]), HELD
    )
    worst = sorted(found.items(), key=lambda item: -item[1])
    shown = max(5, sum(ratio > bar for ratio in found.values()))
    for name, ratio in worst[:shown]:
        yield Row(f"{name}: time for 2n against n", ratio, "x", bar)
    yield Row(f"the median of {len(found)} inputs (linear is 2)", statistics.median(found.values()), "x", bar)


# Redaction


def asking(content: str) -> bytes:
    return json.dumps(live.chat(messages=[{"role": "user", "content": content}])).encode()


def bodies() -> Iterator[tuple[str, bytes]]:
    """Bodies as they may be recorded; a picture has no spaces, a request of an agent many keys."""
    picture = base64.urlsafe_b64encode(random.Random(1).randbytes(15_000_000)).decode()
    asked = [load(path).request_body for path in (ROOT / "recordings").glob("opencode-*.flow")]
    yield "20 MB of base64url text", asking(picture)
    largest = max(asked, key=len)
    session = json.loads(largest)
    yield f"a request of OpenCode, {len(largest) // 1000} kB", largest
    yield (
        "the same with its messages a hundred times",
        json.dumps(session | {"messages": session["messages"] * 100}).encode(),
    )
    yield "many keys", json.dumps({f"name{n}": n for n in range(100_000)}).encode()
    yield "many keys that name secrets", json.dumps({f"api_key_{n}": f"{n}" for n in range(20_000)}).encode()
    yield "an answer of 4 MB in deltas", b"".join(live.events(repeated(PROSE, 90_000)))


def redaction_rows() -> Iterator[Row]:
    """Per MB, and as a ratio to reading the body as JSON."""
    for what, body in bodies():
        recording = Recording(
            "", {}, [], [], request_body=body, request_headers=(("Authorization", "Bearer " + KEY),)
        )
        lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")] or [body]
        found = fastest(
            {
                "redact": lambda r=recording: seconds(lambda: redact(r)),
                "json": lambda ls=lines: seconds(each(json.loads, ls)),
            },
            3,
        )
        figure = found["redact"] * 1e9 / len(body)
        bar = None if "secrets" in what or "deltas" in what or len(body) < 100_000 else 20
        yield Row(f"{what}, per MB", figure, "ms", bar, f"{found['redact'] / found['json']:.1f} x json.loads")


# The whole path

IDENTITY = """\
from mitmproxy import ctx


def same(data):
    return data


def responseheaders(flow):
    flow.response.stream = same


def running():
    for server in ctx.master.addons.get("proxyserver").servers:
        for host, port, *_ in server.listen_addrs:
            print(f"qwen_fix ready: http://{host}:{port} -> identity", flush=True)
"""


def cpu_seconds(proxy: live.Proxy) -> float:
    """CPU time all threads of a process have used, by the scheduler's own account (Linux)."""
    tasks = Path(f"/proc/{proxy._process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextlib.contextmanager
def two_proxies() -> Iterator[tuple[live.Upstream, dict[str, live.Proxy]]]:
    """The same mitmdump twice: with a callable that changes nothing, and with the addon."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "identity.py"
        script.write_text(IDENTITY)
        upstream, proxies = live.Upstream(), {}
        try:
            with mock.patch.object(live, "SCRIPT", script):
                proxies["identity"] = live.Proxy(upstream.url, Path(directory), flow_detail=0)
            proxies["addon"] = live.Proxy(upstream.url, Path(directory), flow_detail=0)
            for proxy in proxies.values():
                proxy.wait_ready()
            yield upstream, proxies
        finally:
            for proxy in proxies.values():
                proxy.stop()
            upstream.stop()


def read_all(proxy: live.Proxy) -> Iterator[tuple[float, bytes]]:
    """What a client reads, and when."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=live.PATIENCE)
    connection.request("POST", "/v1/chat/completions", json.dumps(live.chat(tools=ASKED["tools"])))
    response = connection.getresponse()
    while piece := response.read1(1 << 16):
        yield time.perf_counter(), piece
    connection.close()


def burst_cpu(upstream: live.Upstream, proxy: live.Proxy, events: list[bytes]) -> float:
    """Microseconds of mitmdump's CPU per chunk of an answer that comes as fast as it is read."""
    upstream.answer = live.streamed(events)
    before = cpu_seconds(proxy)
    body = b"".join(piece for _, piece in read_all(proxy))
    assert body.endswith(b"data: [DONE]\n\n"), "the answer is not whole"
    return (cpu_seconds(proxy) - before) / len(events) * 1e6


def paced(upstream: live.Upstream, proxy: live.Proxy, events: list[bytes]) -> tuple[float, float]:
    """Microseconds per chunk of an answer at a steady pace: mitmdump's CPU, and the median of the time
    from the write of a chunk to its arrival."""
    sent: list[float] = []

    async def script(_request: live.Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(live.head("Content-Type: text/event-stream", "Transfer-Encoding: chunked"))
        for event in events:
            sent.append(time.perf_counter())
            writer.write(live.framed(event))
            await writer.drain()
            await asyncio.sleep(PACE)
        writer.write(b"0\r\n\r\n")
        return True

    upstream.answer = script
    ends, at = [], 0
    for event in events:
        at += len(event)
        ends.append(at)
    arrived: list[float] = []
    got, before = 0, cpu_seconds(proxy)
    for when, piece in read_all(proxy):
        got += len(piece)
        while len(arrived) < len(ends) and ends[len(arrived)] <= got:
            arrived.append(when)
    assert got == at, "prose is to pass byte for byte"
    cpu = (cpu_seconds(proxy) - before) / len(events)
    return cpu * 1e6, statistics.median(b - a for a, b in zip(sent, arrived, strict=True)) * 1e6


def path_rows() -> Iterator[Row]:
    words = LLAMA_CPP.answer(word_by_word(repeated(PROSE, BURST * DELTA)))
    calls = LLAMA_CPP.answer(in_deltas(HEAD + repeated(CODE, BURST * DELTA) + TAIL))
    few = LLAMA_CPP.answer(word_by_word(repeated(PROSE, PACED * DELTA)))
    with two_proxies() as (upstream, proxies):
        if not cpu_seconds(proxies["addon"]):
            yield from ()
            print("  CPU time per process is only read on Linux: skipped")
        else:
            yield from burst_rows(upstream, proxies, {"prose": words, "code in a call": calls})
        yield from paced_rows(upstream, proxies, few)


def burst_rows(
    upstream: live.Upstream, proxies: dict[str, live.Proxy], streams: dict[str, list[bytes]]
) -> Iterator[Row]:
    for name, events in streams.items():
        runs = {who: (lambda p=p, e=events: burst_cpu(upstream, p, e)) for who, p in proxies.items()}
        in_turns(runs, 1)  # to warm up
        found = in_turns(runs, ROUNDS)
        identity, addon = (statistics.median(found[who]) for who in ("identity", "addon"))
        note = f"{addon:.0f} us against {identity:.0f} us"
        bar = 1.4 if "call" in name else 1.15
        yield Row(f"{name}, in a burst: CPU per chunk", addon / identity, "x", bar, note)


def paced_rows(upstream: live.Upstream, proxies: dict[str, live.Proxy], events: list[bytes]) -> Iterator[Row]:
    runs = {who: (lambda p=p: paced(upstream, p, events)) for who, p in proxies.items()}
    in_turns(runs, 1)
    found = in_turns(runs, ROUNDS)
    cpu = {who: statistics.median(run[0] for run in found[who]) for who in found}
    late = {who: statistics.median(run[1] for run in found[who]) for who in found}
    every = f"prose, a chunk every {PACE * 1000:g} ms"
    if cpu["identity"]:
        note = f"{cpu['addon']:.0f} us against {cpu['identity']:.0f} us"
        yield Row(f"{every}: CPU per chunk", cpu["addon"] / cpu["identity"], "x", 1.15, note)
    own = [run[1] for run in found["identity"]]
    note = f"on {late['identity']:.0f} us; the bar is by how much identity's own runs differ"
    yield Row(
        f"{every}: added latency, p50",
        late["addon"] - late["identity"],
        "us",
        round(max(own) - min(own)),
        note,
    )


def main() -> int:
    """Measure everything, or only what is quick."""
    parser = argparse.ArgumentParser(description="What it costs, as ratios of things measured in turns.")
    parser.add_argument("--quick", action="store_true", help="the library alone, in less time")
    quick: bool = parser.parse_args().quick
    start = time.monotonic()
    print(f"Python {sys.version.split()[0]}; x: times json.loads of the same chunk, if nothing else is said")
    table("Parser, per delta", parser_rows(quick))
    table("Rewriter, per chunk", rewriter_rows(quick))
    table("Rewriter, at the beginning of an answer", first_rows(quick))
    table("Rewriter, our recordings", recording_rows(quick))
    if not quick:
        table("Inputs that could be slow", pathological_rows())
        table("Redaction of a recording", redaction_rows())
        table("Through mitmdump", path_rows())
    print(f"\n{time.monotonic() - start:.0f} s" + "".join(f"; not measured: {title}" for title in failures))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
