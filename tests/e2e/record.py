"""Make the recordings of llama.cpp and of the agents: one file for each interaction.

    record.py OUT [llamacpp] [agents]        by default both

Everything goes through mitmdump with the addon and `qwen_record`, as for a user. The OpenAI
SDK asks llama.cpp, with and without its parser. The agents do the tasks of the tiny model; their
files are numbered by turn and named after the tool: opencode-noopen-1-write.flow.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import stage
from openai import BadRequestError, OpenAI
from proxy import Proxy
from sdk_python import WEATHER
from stage import OPENCODE, QWEN_CODE, Agent, model_server, work_folder
from transcripts import CALLS, FORMS

from qwenproxy.recording.format import Recording, load

SYSTEM = "You are a weather assistant. Call a tool when you need one."
QUESTION = "What will the weather be in Zürich for the next 3 days, in detail? TASK:{task}"
PARSED = "tiny-qwen3-parsed"  # a separate model name, so that no two recordings have the same request
SESSIONS = ((OPENCODE, "noopen"), (OPENCODE, "json"), (QWEN_CODE, "noopen"))

WRITE = {
    "type": "function",
    "function": {
        "name": "write",
        "description": "Write a file to the local filesystem, overwriting it if it exists",
        "parameters": {
            "type": "object",
            "properties": {"content": {"type": "string"}, "filePath": {"type": "string"}},
            "required": ["content", "filePath"],
            "additionalProperties": False,
        },
    },
}

Requests = dict[str, dict[str, Any]]  # name of the recording: request


def chat(task: str, **fields: Any) -> dict[str, Any]:
    """Return a request as users of the SDK write it."""
    question = {"role": "user", "content": QUESTION.format(task=task)}
    request = {
        "model": stage.MODEL,
        "messages": [{"role": "system", "content": SYSTEM}, question],
        "tools": [WEATHER],
        "temperature": 0,
        "max_tokens": 300,
        "stream": True,
        "stream_options": {"include_usage": True},
    } | fields
    return {key: value for key, value in request.items() if value is not None}


def leaked() -> Requests:
    """Return the requests for llama.cpp without its parser."""
    requests = {f"llamacpp-raw-{form}": chat(f"gw-{form}") for form in (*FORMS, "par")}
    write = {"role": "user", "content": "Create hello.txt. TASK:oc-noopen"}
    too_long = {"role": "user", "content": "word " * 2_000}
    return requests | {
        "llamacpp-raw-noopen-nonstream": chat("gw-noopen", stream=False, stream_options=None),
        "llamacpp-raw-par-nonstream": chat("gw-par", stream=False, stream_options=None),
        "llamacpp-raw-trunc30": chat("gw-noopen", max_tokens=30),
        "llamacpp-raw-oc-write": chat("", messages=[write], tools=[WRITE]),
        "llamacpp-raw-prose": chat("prose"),
        "llamacpp-raw-text": chat("text"),
        "llamacpp-raw-no-tools": chat("gw-good", tools=None),
        "llamacpp-error-context": chat("", messages=[too_long]),
    }


def parsed() -> Requests:
    """Return the requests for llama.cpp with its parser."""
    requests = {
        "llamacpp-parsed-good": chat("gw-good"),
        "llamacpp-parsed-good-nonstream": chat("gw-good", stream=False, stream_options=None),
        "llamacpp-parsed-par": chat("gw-par"),
        "llamacpp-parsed-par-nonstream": chat("gw-par", stream=False, stream_options=None),
        "llamacpp-parsed-think": chat("gw-think"),
        "llamacpp-parsed-trunc45": chat("gw-good", max_tokens=45),
        "llamacpp-parsed-text": chat("text"),
    }
    return {name: request | {"model": PARSED} for name, request in requests.items()}


@contextmanager
def recorder(server: str, folder: Path) -> Iterator[str]:
    """Run the addon in front of a server, recording into a folder; yield its URL."""
    with tempfile.TemporaryDirectory() as confdir:
        proxy = Proxy(server, Path(confdir), qwen_record=folder).wait_ready()
        try:
            yield proxy.url
        finally:
            proxy.stop()


def record_requests(requests: Requests, server: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with recorder(server, folder) as url:
            client = OpenAI(base_url=f"{url}/v1", api_key=stage.KEY, max_retries=0, timeout=60)
            for request in requests.values():
                ask(client, request)
        files = sorted(folder.iterdir())  # the names begin with the time
        for file, title in zip(files, requests, strict=True):
            keep(file, out / f"{title}.flow")


def ask(client: OpenAI, request: dict[str, Any]) -> None:
    with (
        suppress(BadRequestError),
        client.chat.completions.with_streaming_response.create(**request) as response,
    ):
        response.read()


def record_session(agent: Agent, form: str, server: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with recorder(server, folder) as url:
            stage.run(agent, url, f"{agent.tools}-{form}")
        for file in sorted(folder.iterdir()):
            keep(file, out / f"{agent.name}-{form}-{step(load(file), agent)}.flow")


def step(recording: Recording, agent: Agent) -> str:
    """Return which step of a session it is: `1-write`; `0-title` is the agent's request for a title."""
    if not recording.request.get("tools"):
        return "0-title"
    turn = sum(message["role"] == "tool" for message in recording.request["messages"])
    tools = [name for name, _ in CALLS[agent.tools]]
    return f"{turn + 1}-{[*tools, 'done'][turn]}"


def keep(file: Path, path: Path) -> None:
    path.write_bytes(file.read_bytes())
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


def main(folder: str, *groups: str) -> None:
    out = Path(folder)
    out.mkdir(exist_ok=True)
    if "llamacpp" in groups:
        for requests, options in ((leaked(), ["--raw"]), (parsed(), ["--alias", PARSED])):
            with model_server(*options) as server:
                record_requests(requests, server, out)
    if "agents" in groups:
        with work_folder(), model_server("--raw") as server:
            for agent, form in SESSIONS:
                record_session(agent, form, server, out)


if __name__ == "__main__":
    main(sys.argv[1], *(sys.argv[2:] or ("llamacpp", "agents")))
