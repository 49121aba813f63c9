"""make e2e: real agents and SDKs, through the addon, to a real server that leaks every form of call.

    e2e.py [FORM …]        by default all forms of tests/e2e/tiny-qwen/transcripts.py

Everything must be exact: the files an agent wrote, byte by byte, after all four of its tools
ran; the content, the arguments and the finish_reason an SDK got. A call in a Markdown fence is
only quoted and must stay text. The column `alone` is the control: the form `noopen` without the
addon, where every client must print XML and do nothing.

Prints one row for each client. The exit code is 0 only if every outcome is right.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import stage
from proxy import Proxy
from stage import (
    CLAUDE_CODE,
    CODEX,
    HERE,
    NODE,
    OPENCODE,
    PYTHON,
    QWEN_CODE,
    Agent,
    model_server,
    work_folder,
)
from transcripts import CALLS, FILE_TEXT, FORMS, LAST_WORD, NEW, OLD, before_call, rows

TEXTS = {key: text for key, turn, text in rows() if turn == 0}
WEATHER = [{"city": "Zürich", "days": 3, "detailed": True}]
TWO_CITIES = [{"city": "Oslo", "days": 1}, {"city": "Łódź", "days": 2}]
STAYS_TEXT = ("fence",)
FOR_SDKS = ("par", "prose")
CONTROL = "alone"
CONTROL_FORM = "noopen"

Verdicts = dict[str, str]  # client -> what is wrong, or an empty string
Client = Callable[[str, str, bool], Verdicts]  # (server, form, are calls expected?)


def with_agent(agent: Agent) -> Client:
    def verdicts(server: str, form: str, has_calls: bool) -> Verdicts:
        session = stage.run(agent, server, f"{agent.tools}-{form}")
        wrong = not_done(session) if has_calls else not_printed(session, CALLS[agent.tools][0][0])
        return {agent.name: f"{wrong}, and said:\n{session.output}" if wrong else ""}

    return verdicts


def not_done(session: stage.Session) -> str:
    """Return what is missing in a session in which all four tools should have run."""
    files = {"hello.txt": FILE_TEXT.replace(OLD, NEW).encode(), "made.txt": b"ok\n"}
    if session.files != files:
        return f"made {session.files}"
    return "" if LAST_WORD in session.output else "did not hear the last word"


def not_printed(session: stage.Session, tool: str) -> str:
    """Return what is wrong with a session in which the call should be only text."""
    if session.files:
        return f"made {session.files}"
    return "" if f"<function={tool}>" in session.output else "printed no XML"


def with_program(*command: str | Path) -> Client:
    def verdicts(server: str, form: str, has_calls: bool) -> Verdicts:
        task = form if form in TEXTS else f"gw-{form}"
        arguments = (f"{server}/v1", task, json.dumps(expected(task, has_calls)))
        run = subprocess.run(
            [*command, *arguments], env=stage.ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
        )
        return {name: wrong or "" for name, wrong in map(json.loads, run.stdout.splitlines())}

    return verdicts


def expected(task: str, has_calls: bool) -> dict[str, object]:
    """Return the content and the calls that an SDK must get."""
    text = TEXTS[task]
    if not has_calls:
        return {"content": text, "calls": []}
    return {"content": before_call(text), "calls": TWO_CITIES if task == "gw-par" else WEATHER}


CLIENTS: tuple[tuple[Client, tuple[str, ...]], ...] = (
    (with_agent(OPENCODE), ()),
    (with_agent(QWEN_CODE), ()),
    (with_agent(CLAUDE_CODE), ()),
    (with_agent(CODEX), ()),
    (with_program(PYTHON, HERE / "sdk_python.py"), FOR_SDKS),
    (with_program(NODE, HERE / "sdk_node.mjs"), FOR_SDKS),
)


def row_by_row(forms: list[str], server: str, proxied: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each client, and what is wrong in each column."""
    for client, more in CLIENTS:
        columns = {
            form: client(proxied, form, form not in (*STAYS_TEXT, "prose")) for form in (*forms, *more)
        }
        columns[CONTROL] = client(server, CONTROL_FORM, False)
        for name in columns[CONTROL]:
            yield (
                name,
                {column: verdicts.get(name, "gave no verdict") for column, verdicts in columns.items()},
            )


def cell(column: str, wrong: dict[str, str]) -> str:
    if column not in wrong:
        return "-"
    return "FAIL" if wrong[column] else "ok"


def main(forms: list[str]) -> int:
    columns = [*forms, *FOR_SDKS, CONTROL]
    failed = []
    print(f"{'':24}", *(f"{column:8}" for column in columns))
    with (
        work_folder(),
        tempfile.TemporaryDirectory() as confdir,
        model_server("--raw") as server,
    ):
        proxy = Proxy(server, Path(confdir)).wait_ready()
        try:
            for name, wrong in row_by_row(forms, server, proxy.url):
                print(f"{name:24}", *(f"{cell(c, wrong):8}" for c in columns), flush=True)
                failed += [f"{name}, {c}: {wrong[c]}" for c in columns if cell(c, wrong) == "FAIL"]
        finally:
            proxy.stop()
    print(*failed, sep="\n\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(FORMS)))
