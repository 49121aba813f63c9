"""An agent's session, recorded through the addon and repeated without the model.

    again.py [FORM]        noopen by default

llama.cpp runs while OpenCode and Qwen Code do their task, and is then stopped. The recordings are
served in its place, and the agents do the task again. Both times they must write the same files.

Prints what was recorded and written. The exit code is 0 only if the files are right both times.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import stage
from proxy import Proxy
from served import Served
from stage import OPENCODE, QWEN_CODE, Agent, model_server, work_folder

from e2e import not_done


@contextmanager
def addon(server: str, **options: object) -> Iterator[str]:
    """Run the addon in front of a server; yield its URL."""
    with tempfile.TemporaryDirectory() as confdir:
        proxy = Proxy(server, Path(confdir), **options).wait_ready()
        try:
            yield proxy.url
        finally:
            proxy.stop()


@contextmanager
def recordings(folder: Path) -> Iterator[str]:
    """Serve the recordings; yield the URL."""
    server = Served(str(folder), "--speed", "0")
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.process.terminate()
        _, log = server.process.communicate()
        print(f"  {server.line.strip()}", *log.decode().splitlines(), sep="\n  ")


def run(agent: Agent, form: str, folder: Path) -> list[str]:
    """Record, stop the model, serve, repeat; return what is wrong."""
    task = f"{agent.tools}-{form}"
    with model_server("--raw") as server, addon(server, qwen_record=folder) as url:
        first = stage.run(agent, url, task)
    for file in sorted(folder.glob("*.flow")):
        print(f"  {file.name}: {file.stat().st_size} bytes")
    with recordings(folder) as server, addon(server) as url:
        second = stage.run(agent, url, task)
    sessions = {"recorded": first, "again": second}
    for name, session in sessions.items():
        print(f"  {name}: {', '.join(f'{n} {len(b)} bytes' for n, b in sorted(session.files.items()))}")
    wrong = [f"{name}: {said}\n{s.output}" for name, s in sessions.items() if (said := not_done(s))]
    return wrong or ([] if first.files == second.files else ["the files differ"])


def main(form: str = "noopen") -> int:
    failed = []
    with work_folder():
        for agent in (OPENCODE, QWEN_CODE):
            print(f"{agent.name}, {form}")
            with tempfile.TemporaryDirectory() as folder:
                wrong = run(agent, form, Path(folder))
            print("  " + ("\n".join(wrong) or "the same files without the model"), flush=True)
            failed += wrong
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
