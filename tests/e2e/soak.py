"""make soak: mixed traffic through a real mitmdump; its memory, open files and threads must stay constant.

    soak.py --seconds 600 [--clients 8]

Healthy and leaking streams, answers in one piece, errors, answers that break off, clients that leave,
requests that are not chats, and recordings written and removed. The proxy is measured once a second. At the
end the last tenth of the time is compared with the third tenth, because caches fill until then.

Prints a line for each tenth. The exit code is 0 only if nothing grew and the log holds no traceback.
"""

import argparse
import http.client
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "qwenproxy"))

from proxy import (
    LEAK,
    Listening,
    Proxy,
    Request,
    Upstream,
    aborted,
    ask,
    chat,
    completion,
    events,
    sized,
    streamed,
)

MORE_MEMORY = 1.15  # times the median: allocators are not exact
MORE_FILES, MORE_THREADS = 8, 2
PROSE = events("Nothing to call: a <tag> here, `<tool_call>` there, and Zürich 🙂. " * 20)
LEAKING = events(f"Let me see.\n<tool_call>\n{LEAK}")
LARGE = events(LEAK.replace("Zürich", "Zürich " * 2000), step=16)
KINDS = ("prose", "leaking", "large", "whole", "error", "broken", "left", "other")


async def answer(request: Request, writer: Any) -> bool:
    """Answer as the model of the request says."""
    kind = request.json.get("model", "")
    scripts = {
        "leaking": streamed(LEAKING),
        "large": streamed(LARGE),
        "whole": sized(completion(LEAK)),
        "error": sized(b'{"error": {"message": "no"}}', status="500 Oops"),
        "broken": aborted(LEAKING[:9]),
    }
    return await scripts.get(kind, streamed(PROSE))(request, writer)


def one_chat(proxy: Proxy, kind: str, connection: http.client.HTTPConnection) -> None:
    match kind:
        case "left":
            client = Listening(proxy, chat(model="large"))
            client.hear(b"data:")
            client.leave()
        case "other":
            ask(proxy, chat(model="prose"), path="/v1/embeddings", connection=connection)
        case "broken" | "error":
            ask(proxy, chat(model=kind))
        case _:
            ask(proxy, chat(model=kind, stream=kind != "whole"), connection=connection)


def client(proxy: Proxy, seed: int, until: float, done: Counter[str]) -> None:
    chance = random.Random(seed)
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
        for _ in range(chance.randint(1, 20)):
            kind = chance.choice(KINDS)
            one_chat(proxy, kind, connection)
            done[kind] += 1
        connection.close()


@dataclass(frozen=True)
class Sample:
    """The resources of a process: MB of memory, open files, threads."""

    memory: float
    files: int
    threads: int


def sample(pid: int) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(int(fields["VmRSS"].split()[0]) / 1024, files, int(fields["Threads"]))


def summary(samples: list[Sample]) -> Sample:
    return Sample(
        median(s.memory for s in samples),
        round(median(s.files for s in samples)),
        round(median(s.threads for s in samples)),
    )


def grown(first: Sample, last: Sample) -> list[str]:
    """Say what has grown."""
    found = []
    if last.memory > MORE_MEMORY * first.memory:
        found.append(f"memory: {first.memory:.0f} to {last.memory:.0f} MB")
    if last.files > first.files + MORE_FILES:
        found.append(f"open files: {first.files} to {last.files}")
    if last.threads > first.threads + MORE_THREADS:
        found.append(f"threads: {first.threads} to {last.threads}")
    return found


def soak(seconds: float, clients: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        upstream = Upstream(answer)
        flows = Path(folder) / "flows"
        proxy = Proxy(upstream.url, Path(folder), qwen_record=flows, qwen_rules="default").wait_ready()
        try:
            return watch(proxy, flows, upstream, seconds, clients)
        finally:
            proxy.stop()
            upstream.stop()


def watch(proxy: Proxy, flows: Path, upstream: Upstream, seconds: float, clients: int) -> int:
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=(proxy, n, end, done)) for n in range(clients)]
    for thread in threads:
        thread.start()
    tenths = [tenth(proxy, flows, upstream, done, seconds / 10, number) for number in range(10)]
    for thread in threads:
        thread.join()
    wrong = grown(tenths[2], tenths[-1])
    wrong += ["a traceback in the log"] if done["traceback"] else []
    print(*wrong or [f"flat, after {sum(done.values())} chats"], sep="\n")
    return 1 if wrong else 0


def tenth(
    proxy: Proxy, flows: Path, upstream: Upstream, done: Counter[str], seconds: float, number: int
) -> Sample:
    """Measure for a tenth of the time, and print the result."""
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(1.0, seconds / 5))
        samples.append(sample(proxy.pid))
        for file in flows.glob("*.flow"):
            file.unlink(missing_ok=True)
        upstream.requests.clear()
        done["traceback"] += "Traceback" in proxy.log
        del proxy.lines[:-100]
    found = summary(samples)
    print(
        f"{number + 1:2}: {found.memory:6.1f} MB, {found.files:3} files, {found.threads} threads, "
        f"{sum(done.values())} chats",
        flush=True,
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    return soak(options.seconds, options.clients)


if __name__ == "__main__":
    sys.exit(main())
