"""No secret and, if it is wanted, no word is left in a recording, whatever its API."""

import json
from dataclasses import replace
from typing import Any

import pytest
from api_answers import NAMES, asked, recorded
from proxy import LEAK, WEATHER

from qwenproxy.apis import APIS
from qwenproxy.recording.format import Recording
from qwenproxy.recording.redaction import redact
from qwenproxy.replay.golden import Golden
from qwenproxy.replay.rerun import outcome, rewrite
from toolstream import Ledger

every_api = pytest.mark.parametrize("name", NAMES)
streamed_or_not = pytest.mark.parametrize("is_stream", [True, False])

SECRET = "sk-planted-0123456789abcdef"
WORD = "Rosebud"
SPOKEN = f"The word is {WORD}, she said."
CALL = LEAK.replace("Zürich", f"{WORD} Hills")


def everything(recording: Recording) -> str:
    """Return all that is written of a recording."""
    return repr(recording) + json.dumps(recording.ledger)


def with_out(recording: Recording) -> Recording:
    """Return the recording with what the client got."""
    sent, ledger = rewrite(recording, recording.chunks, "tolerant")
    assert isinstance(ledger, Ledger)
    return replace(recording, out=sent, ledger=ledger.as_dict())


def history(name: str) -> dict[str, Any]:
    """Return a request that holds the word in every place."""
    arguments = {"city": WORD, "note": {WORD: [WORD]}}
    function = {"name": "get_weather", "arguments": json.dumps(arguments)}
    match name:
        case "messages":
            blocks = [
                {"type": "thinking", "thinking": SPOKEN, "signature": WORD},
                {"type": "text", "text": SPOKEN},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": arguments},
            ]
            result = {
                "type": "tool_result",
                "tool_use_id": "toolu_1",
                "content": [{"type": "text", "text": WORD}],
            }
            turns: list[Any] = [
                {"role": "user", "content": SPOKEN},
                {"role": "assistant", "content": blocks},
                {"role": "user", "content": [result, {"type": "text", "text": SPOKEN}]},
            ]
            return asked(name, messages=turns, system=[{"type": "text", "text": SPOKEN}])
        case "responses":
            items: list[Any] = [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": SPOKEN}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": SPOKEN}]},
                {"type": "function_call", "call_id": "call_1"} | function,
                {"type": "function_call_output", "call_id": "call_1", "output": SPOKEN},
            ]
            return asked(name, input=items, instructions=SPOKEN)
    call = {"function": function if name == "chat" else function | {"arguments": arguments}}
    turns = [
        {"role": "system", "content": SPOKEN},
        {"role": "user", "content": SPOKEN},
        {"role": "assistant", "content": SPOKEN, "thinking": SPOKEN, "tool_calls": [call]},
        {"role": "tool", "content": SPOKEN, "tool_name": "get_weather"},
    ]
    return asked(name, messages=turns)


def shape(recording: Recording) -> Any:
    """Return the result of a recording, without the words."""
    found: Golden = outcome(recording, recording.chunks)
    choices = [
        (len(c.content), len(c.reasoning), c.finish_reason, [(k.name, len(k.arguments)) for k in c.calls])
        for c in found.choices
    ]
    return found.repairs, found.refused, found.unchanged, found.error, found.crash, choices


@every_api
@streamed_or_not
def test_no_word_is_left(name: str, is_stream: bool) -> None:
    request = history(name) | {"stream": is_stream}
    recording = with_out(recorded(name, f"{SPOKEN}\n{CALL}", is_stream, request=request))
    assert WORD in everything(recording)
    clean = redact(recording, ["messages"])
    assert WORD not in everything(clean)
    assert "she said" not in everything(clean)
    assert [len(c) for c in clean.chunks] == [len(c) for c in recording.chunks]
    assert (len(clean.request_body), len(clean.out)) == (len(recording.request_body), len(recording.out))
    assert shape(clean) == shape(recording)
    assert clean.request["tools"] == request["tools"]


@every_api
@streamed_or_not
def test_roles_ids_and_kinds_stay(name: str, is_stream: bool) -> None:
    request = history(name) | {"stream": is_stream}
    clean = redact(recorded(name, SPOKEN, is_stream, request=request), ["messages"])
    api = APIS[name]
    before, after = (list(api.turns(r)) for r in (request, clean.request))
    assert [turn.role for turn in after] == [turn.role for turn in before]
    assert [len(turn.texts) for turn in after] == [len(turn.texts) for turn in before]
    assert [[c[0] for c in turn.calls] for turn in after] == [[c[0] for c in turn.calls] for turn in before]
    ids = [name for name in ("toolu_1", "call_1") if name in json.dumps(request)]
    assert all(found in json.dumps(clean.request) for found in ids)


@every_api
@streamed_or_not
def test_what_the_model_echoes_of_a_secret_is_gone(name: str, is_stream: bool) -> None:
    request = history(name) | {"stream": is_stream, "api_key": SECRET}
    text = f"The key is {SECRET}.\n{LEAK}".replace("Zürich", SECRET)
    recording = with_out(recorded(name, text, is_stream, request=request))
    clean = redact(recording)
    joined = "".join(choice.content for choice in outcome(clean, clean.chunks).choices)
    assert SECRET not in everything(clean) + joined
    assert "planted" not in joined + clean.out.decode()
    assert shape(clean) == shape(recording)


@every_api
@streamed_or_not
def test_a_parameter_that_names_a_secret(name: str, is_stream: bool) -> None:
    tool = json.loads(json.dumps(WEATHER).replace("city", "api_key"))
    request = APIS[name].request("hi", "qwen", is_stream, [tool])
    text = LEAK.replace("city", "api_key").replace("Zürich", "hunter2-and-more")
    recording = with_out(recorded(name, text, is_stream, request=request))
    clean = redact(recording)
    assert "hunter2" not in everything(clean)
    (message,) = outcome(clean, clean.chunks).choices
    assert [(call.values or {}).get("api_key") for call in message.calls] == ["*" * len("hunter2-and-more")]
