"""What the SDKs for Python make of an answer: a JSON line for each way to ask.

    sdk_apis.py SERVER API TASK MAX_TOKENS          API: messages, responses, ollama

Each line is [name, {"text", "calls", "end"}] or [name, "what it raised"]. `calls` are the arguments of the
calls that a program would run; `end` is stop, calls or length.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "detailed": {"type": "boolean"}},
    "required": ["city", "days"],
}
NAME, ABOUT, MODEL = "get_weather", "Weather of a city", "tiny-qwen3"
Outcome = dict[str, Any]
Ask = Callable[[], Outcome]


def messages(server: str, prompt: Any, limit: int) -> dict[str, Ask]:
    from anthropic import Anthropic

    client = Anthropic(base_url=server, api_key="sk-fake", max_retries=0, timeout=30)
    tool = {"name": NAME, "description": ABOUT, "input_schema": PARAMETERS}
    asked = {"model": MODEL, "messages": prompt, "tools": [tool], "max_tokens": limit}

    def outcome(message: Any) -> Outcome:
        ends = {"end_turn": "stop", "tool_use": "calls", "max_tokens": "length"}
        run = [b.input for b in message.content if b.type == "tool_use" and message.stop_reason == "tool_use"]
        text = "".join(b.text for b in message.content if b.type == "text")
        return {"text": text, "calls": run, "end": ends[message.stop_reason]}

    def streamed() -> Outcome:
        with client.messages.stream(**asked) as stream:
            return outcome(stream.get_final_message())

    return {
        "anthropic-python stream()": streamed,
        "anthropic-python create()": lambda: outcome(client.messages.create(**asked)),
    }


def responses(server: str, prompt: Any, limit: int) -> dict[str, Ask]:
    from openai import OpenAI

    client = OpenAI(base_url=f"{server}/v1", api_key="sk-fake", max_retries=0, timeout=30)
    tool = {"type": "function", "name": NAME, "description": ABOUT, "parameters": PARAMETERS, "strict": False}
    asked = {"model": MODEL, "input": prompt, "tools": [tool], "max_output_tokens": limit, "store": False}

    def outcome(response: Any) -> Outcome:
        calls = [item for item in response.output if item.type == "function_call"]
        cut = response.status == "incomplete" or any(item.status == "incomplete" for item in calls)
        run = [json.loads(item.arguments) for item in calls if item.status == "completed"]
        end = "length" if cut else "calls" if run else "stop"
        return {"text": response.output_text, "calls": run, "end": end}

    def streamed() -> Outcome:
        with client.responses.stream(**asked) as stream:
            return outcome(stream.get_final_response())

    def events() -> Outcome:
        *_, last = client.responses.create(stream=True, **asked)
        return outcome(last.response)

    return {
        "openai-python stream()": streamed,
        "openai-python events": events,
        "openai-python create()": lambda: outcome(client.responses.create(**asked)),
    }


def ollama(server: str, prompt: Any, limit: int) -> dict[str, Ask]:
    from ollama import Client

    client = Client(server, timeout=30)
    tool = {"type": "function", "function": {"name": NAME, "description": ABOUT, "parameters": PARAMETERS}}
    asked = {"model": MODEL, "messages": prompt, "tools": [tool], "options": {"num_predict": limit}}

    def outcome(parts: list[Any]) -> Outcome:
        text = "".join(part.message.content or "" for part in parts)
        calls = [dict(call.function.arguments) for part in parts for call in part.message.tool_calls or []]
        reason = parts[-1].done_reason
        return {"text": text, "calls": calls, "end": "calls" if calls and reason == "stop" else reason}

    return {
        "ollama-python stream": lambda: outcome(list(client.chat(stream=True, **asked))),
        "ollama-python chat()": lambda: outcome([client.chat(**asked)]),
    }


def answer(ask: Ask) -> Outcome | str:
    try:
        return ask()
    except Exception as e:
        return f"{type(e).__name__}: {e}".partition("\n")[0]


def main(server: str, api: str, task: str, limit: str) -> None:
    prompt = [{"role": "user", "content": f"Please do TASK:{task}"}]
    ways = {"messages": messages, "responses": responses, "ollama": ollama}[api](server, prompt, int(limit))
    for name, ask in ways.items():
        print(json.dumps([name, answer(ask)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
