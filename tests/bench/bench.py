"""What it costs: `make bench` prints each figure beside its bar, and judges nothing else by it.

A time by itself says as much about the machine as about the code. So whatever can be is given
as a ratio of two things measured in turns in this very run: the parser against itself on a
longer input, a chunk through the rewriter against `json.loads` of that chunk, mitmdump with
the addon against mitmdump with a callable that returns what it is given. Of repeated
measurements the fastest counts where nothing but other programs can make one slower, and
the median where several processes take part.

`--quick` measures the library alone, in less time; `--only Parser` what the title of a table has in it. With
PYTHONPATH set to the addon folder of another worktree, that one is measured.

Exit status 1 means that something could not be measured, never that it was slow.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

if "PYTHONPATH" not in os.environ:  # else another engine is to be measured
    sys.path.insert(0, str(Path(__file__).parents[2] / "addon"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "qwenproxy"))

import proxy as live
from library import ASKED, first_rows, gate_rows, parser_rows, recording_rows, rewriter_rows
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
from slow import slow_rows, stream_rows

from qwenproxy.recording.format import Recording, load
from qwenproxy.recording.redaction import redact
from support.streams import LLAMA_CPP

KEY = "sk-0123456789abcdef"

BURST, PACED, PACE = 3_000, 250, 0.003  # chunks of one answer through mitmdump; seconds between paced ones
ROUNDS = 5

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


TABLES: tuple[tuple[str, Callable[[bool], Iterator[Row]]], ...] = (
    ("Parser, per delta", parser_rows),
    ("Parser, what comes out right", gate_rows),
    ("Rewriter, per chunk", rewriter_rows),
    ("Rewriter, at the beginning of an answer", first_rows),
    ("Rewriter, our recordings", recording_rows),
)
SLOW_TABLES: tuple[tuple[str, Callable[[], Iterator[Row]]], ...] = (  # not with --quick
    ("Parser, inputs that could be slow: 100 kB in deltas of 4", slow_rows),
    ("Rewriter, streams that could be slow", stream_rows),
    ("Redaction of a recording", redaction_rows),
    ("Through mitmdump", path_rows),
)


def main() -> int:
    """Measure everything, or only what is quick, or what is asked for."""
    parser = argparse.ArgumentParser(description="What it costs, as ratios of things measured in turns.")
    parser.add_argument("--quick", action="store_true", help="the library alone, in less time")
    parser.add_argument("--only", default="", help="tables whose title has this in it")
    asked = parser.parse_args()
    start = time.monotonic()
    print(f"Python {sys.version.split()[0]}; x: times json.loads of the same chunk, if nothing else is said")
    for title, rows in TABLES:
        if asked.only in title:
            table(title, rows(asked.quick))
    for title, slow in () if asked.quick else SLOW_TABLES:
        if asked.only in title:
            table(title, slow())
    print(f"\n{time.monotonic() - start:.0f} s" + "".join(f"; not measured: {title}" for title in failures))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
