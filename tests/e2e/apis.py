"""make e2e, the SDKs of the other APIs: Messages, Responses and Ollama's chat, through the addon and without.

    apis.py [API …]        by default all

The model server is llama.cpp, with its parser off and on. It has no `/api/chat`, so `ollama_server.py` says
in Ollama's form what it answers. Prints a row for each SDK and way to ask, with a column for each kind of
answer. The last two columns are the controls, without the addon: a leaked call, which is text, and a call
that llama.cpp itself parsed; "fails" is the SDK's own verdict on the server. The exit code is 0 only if every
outcome through the addon is right.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import stage
from proxy import Proxy
from stage import HERE, NODE, PYTHON, model_server
from transcripts import before_call, rows

APIS = ("messages", "responses", "ollama")
TEXTS = {key: text for key, turn, text in rows() if turn == 0}
WEATHER = {"city": "Zürich", "days": 3, "detailed": True}
TWO_CITIES = [{"city": "Oslo", "days": 1}, {"city": "Łódź", "days": 2}]
MANY = 2000
# Columns: the task, the limit of tokens, whether the server parses calls, whether the addon is used
COLUMNS = {
    "leak": ("gw-noopen", MANY, False, True),
    "healthy": ("text", MANY, False, True),
    "cut": ("gw-noopen", 40, False, True),
    "two calls": ("gw-par", MANY, False, True),
    "reasoning": ("gw-think", MANY, False, True),
    "text around": ("gw-good", MANY, False, True),
    "parsed": ("gw-good", MANY, True, True),
    "leak alone": ("gw-noopen", MANY, False, False),
    "parsed alone": ("gw-good", MANY, True, False),
}
CONTROLS = ("leak alone", "parsed alone")
NOT_PARSED = {("ollama", "parsed"), ("ollama", "parsed alone")}  # the form of it is ours, not a server's
Outcome = dict[str, Any]


def expected(api: str, column: str) -> Outcome:
    """What a client must get. Of a call that is cut nothing may run; how much of its text comes is open."""
    task = COLUMNS[column][0]
    text = TEXTS[task]
    if column in ("healthy", "leak alone"):
        return {"text": text, "calls": [], "end": "stop"}
    if column == "cut":  # llama.cpp ends a response that it has cut with `completed`
        return {"calls": []} | ({} if api == "responses" else {"end": "length"})
    calls = TWO_CITIES if task == "gw-par" else [WEATHER]
    return {"text": before_call(text), "calls": calls, "end": "calls"}


def asked(server: str, api: str, column: str) -> dict[str, Outcome | str]:
    """What each way to ask comes to."""
    task, limit, _, _ = COLUMNS[column]
    found: dict[str, Outcome | str] = {}
    for command in ([PYTHON, HERE / "sdk_apis.py"], [NODE, HERE / "sdk_apis.mjs"]):
        run = subprocess.run(
            [*command, server, api, task, str(limit)],
            env=stage.ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found |= dict(map(json.loads, run.stdout.splitlines()))
    return found


def wrong(api: str, column: str, outcome: Outcome | str) -> str:
    """What is wrong with an outcome; an empty string if it is right."""
    if isinstance(outcome, str):
        return outcome
    right = expected(api, column)
    got = {key: outcome[key] for key in right}
    got["text"] = got["text"].rstrip() if right["calls"] and "text" in got else got.get("text")
    return "" if got == {"text": None} | right else f"got {outcome}, not {right}"


@contextmanager
def ollama_server(server: str) -> Iterator[str]:
    """The same model in Ollama's form; yield its URL."""
    process = subprocess.Popen([PYTHON, HERE / "ollama_server.py", server], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def servers(stack: ExitStack, api: str) -> dict[tuple[bool, bool], str]:
    """(whether the server parses calls, whether the addon is used) -> URL."""
    urls = {}
    for parses in (False,) if api == "ollama" else (False, True):
        server = stack.enter_context(model_server(*([] if parses else ["--raw"])))
        if api == "ollama":
            server = stack.enter_context(ollama_server(server))
        proxy = Proxy(server, Path(stack.enter_context(tempfile.TemporaryDirectory()))).wait_ready()
        stack.callback(proxy.stop)
        urls |= {(parses, False): server, (parses, True): proxy.url}
    return urls


def main(apis: list[str]) -> int:
    failed = []
    print(f"{'':10} {'':28}", *(f"{column:12}" for column in COLUMNS))
    for api in apis:
        with ExitStack() as stack:
            urls = servers(stack, api)
            columns = {
                column: asked(urls[parses, addon], api, column)
                for column, (_, _, parses, addon) in COLUMNS.items()
                if (api, column) not in NOT_PARSED
            }
        for way in columns["leak"]:
            cells = []
            for column in COLUMNS:
                said = wrong(api, column, columns[column][way]) if column in columns else None
                control = column in CONTROLS
                cells.append("-" if said is None else "ok" if not said else "fails" if control else "FAIL")
                failed += [f"{api}, {way}, {column}: {said}"] if said and not control else []
            print(f"{api:10} {way:28}", *(f"{cell:12}" for cell in cells), flush=True)
    print(*failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(APIS)))
