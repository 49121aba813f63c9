"""A strict client on the OpenAI SDK for Python: it must get exactly what it expects.

    sdk_python.py BASE_URL TASK '{"content": "…", "calls": [{"city": "Oslo", "days": 1}]}'

Asks for get_weather with the streaming helper, as a bare stream, and not streamed. Prints a
JSON line for each: its name, and what is wrong, or null.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from openai import OpenAI

PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "detailed": {"type": "boolean"},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather of a city", "parameters": PARAMETERS},
}


@dataclass
class Call:
    id: str | None
    type: str | None
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    content: str
    calls: list[Call]
    finish_reason: str | None


def need(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def check(answer: Answer, expected: dict[str, Any]) -> None:
    ids = [call.id for call in answer.calls]
    need(all(ids) and len(set(ids)) == len(ids), f"ids {ids}")
    for call in answer.calls:
        need((call.type, call.name) == ("function", "get_weather"), f"{call.type} {call.name}")
    arguments = [json.loads(call.arguments) for call in answer.calls]
    need(arguments == expected["calls"], f"arguments {arguments}")
    need(answer.content == expected["content"], f"content {answer.content!r}")
    finish_reason = "tool_calls" if expected["calls"] else "stop"
    need(answer.finish_reason == finish_reason, f"finish_reason {answer.finish_reason}")


def answer_of(choice: Any) -> Answer:
    message = choice.message
    calls = [Call(c.id, c.type, c.function.name, c.function.arguments) for c in message.tool_calls or []]
    return Answer(message.content or "", calls, choice.finish_reason)


def stream_helper(client: OpenAI, request: dict[str, Any]) -> Answer:
    with client.chat.completions.stream(**request) as stream:
        return answer_of(stream.get_final_completion().choices[0])


def bare_stream(client: OpenAI, request: dict[str, Any]) -> Answer:
    """Read a stream; check every delta against the rules that some client depends on."""
    content, calls, role, finish_reason = "", [], None, None
    for chunk in client.chat.completions.create(stream=True, **request):
        for choice in chunk.choices:
            need(choice.index == 0, f"choice.index {choice.index}")
            need(finish_reason is None, "a choice after finish_reason")
            role = role or choice.delta.role
            need(role == "assistant", f"role {role} in the first delta")
            if choice.delta.content:
                need(not calls, f"content after a call: {choice.delta.content!r}")
                content += choice.delta.content
            for part in choice.delta.tool_calls or []:
                take(part, calls)
            finish_reason = choice.finish_reason
    return Answer(content, calls, finish_reason)


def take(part: Any, calls: list[Call]) -> None:
    """Add a delta of a tool call: the first has everything except arguments, the others only arguments."""
    if part.index == len(calls):
        need(
            part.function.name and part.function.arguments is not None,
            "no name or arguments at first",
        )
        calls.append(Call(part.id, part.type, part.function.name, part.function.arguments))
    else:
        need(part.index == len(calls) - 1, f"index {part.index} after {len(calls)} calls")
        again = {"id", "type"} & part.model_fields_set | {"name"} & part.function.model_fields_set
        need(not again, f"{again} in a later delta")
        calls[-1].arguments += part.function.arguments


def not_streamed(client: OpenAI, request: dict[str, Any]) -> Answer:
    return answer_of(client.chat.completions.create(**request).choices[0])


def verdict(ask: Callable[[], Answer], expected: dict[str, Any]) -> str | None:
    try:
        check(ask(), expected)
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return None


def main(base_url: str, task: str, expected: str) -> None:
    client = OpenAI(base_url=base_url, api_key="sk-fake", max_retries=0, timeout=20)
    messages = [{"role": "user", "content": f"Please do TASK:{task}"}]
    request = {"model": "tiny-qwen3", "messages": messages, "tools": [WEATHER], "temperature": 0}
    for name, consume in (
        ("openai-python stream()", stream_helper),
        ("openai-python deltas", bare_stream),
        ("openai-python create()", not_streamed),
    ):
        print(json.dumps([name, verdict(partial(consume, client, request), json.loads(expected))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
