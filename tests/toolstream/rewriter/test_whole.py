"""A completion that is not streamed: the same outcome as the stream, and every other byte kept."""

import json
import re
from typing import Any

import pytest

from qwenproxy.replay.casefile import Case
from support.cases import by_file, named, read_all
from support.streams import LLAMA_CPP, request
from toolstream import rewrite_completion
from toolstream.limits import HELD
from toolstream.rewriter import whole
from toolstream.wire import chat_completions, chat_whole

ASKED = request(stream=False)
CALL_TEXT = """\
<tool_call>
<function=get_weather>
<parameter=city>
Zürich 🙂
</parameter>
</function>
</tool_call>"""
CALL = ("get_weather", {"city": "Zürich 🙂"})
NATIVE = {"id": "n1", "type": "function", "function": {"name": "get_goal", "arguments": "{}"}}


def body_of(*messages: Any, finish: Any = "stop", **more: Any) -> bytes:
    """A completion with these messages; text alone is one."""
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": m} if isinstance(m, str) else m,
            "finish_reason": finish,
        }
        for i, m in enumerate(messages)
    ]
    answer = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "choices": choices,
        "usage": {"total_tokens": 9},
    }
    return json.dumps(answer | more, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def rewritten(body: bytes, asked: Any = ASKED, **options: Any) -> Any:
    out, ledger = rewrite_completion(asked, body, **options)
    assert ledger.failure == ""
    return json.loads(out)


def said(choice: Any) -> tuple[Any, list[tuple[str, Any]], Any]:
    """Content, calls and finish_reason of a choice; the calls must have the shape clients insist on."""
    calls = choice["message"].get("tool_calls") or []
    assert len({call["id"] for call in calls}) == len(calls)
    for call in calls:
        assert call["id"]
        assert call["type"] == "function"
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    named = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    return choice["message"].get("content"), named, choice["finish_reason"]


FILES = by_file(case for case in read_all() if not (case.bug or case.reasoning))


@pytest.mark.parametrize("file", FILES)
def test_cases(file: str) -> None:
    for case in FILES[file]:
        with named(case):
            check(case)


def check(case: Case) -> None:
    body = body_of(case.input, finish=case.finish)
    if any("\ud800" <= c <= "\udfff" for c in case.input):
        body = json.dumps(json.loads(body.decode("utf-8", "surrogatepass"))).encode()
    out, ledger = rewrite_completion(case.request, body, recovery=case.recovery, rules=case.user_rules)
    assert ledger.failure == ""
    content, calls, finish = said(json.loads(out)["choices"][0])
    text = case.buffered if case.open else case.text
    assert content == (text or (None if case.input else ""))
    assert calls == [(name, json.loads(arguments)) for name, arguments in case.calls]
    assert finish == ("tool_calls" if case.calls and case.finish == "stop" else case.finish)
    assert ledger.calls == len(calls)
    if text == case.input and not calls:
        assert out is body


SAME = {
    "prose": body_of("Hello < b \n"),
    "prose about the tags": body_of("Use <tool_call> and `<function=get_weather>`."),
    "a native call": body_of(
        {"role": "assistant", "content": None, "tool_calls": [NATIVE]}, finish="tool_calls"
    ),
    "content null": body_of({"role": "assistant", "content": None}),
    "content missing": body_of({"role": "assistant"}),
    "content in parts": body_of({"role": "assistant", "content": [{"type": "text", "text": CALL_TEXT}]}),
    "no message": b'{"choices":[{"index":0,"finish_reason":"stop"}]}',
    "a message that is none": b'{"choices":[{"message":7},{"message":null},8]}',
    "no choices": b'{"object":"chat.completion"}',
    "empty choices": b'{"choices":[]}',
    "choices of another type": b'{"choices":{"0":1}}',
    "reasoning": body_of({"role": "assistant", "reasoning_content": "Hm <tool_call>", "content": "No."}),
    "an error": b'{"error":{"code":400,"message":"<tool_call>\\n<function=get_goal>","type":"x"}}',
    "a list": b"[]",
    "a string": b'"<tool_call>"',
    "no JSON": b"<html>Bad Gateway</html>",
    "cut off": body_of(CALL_TEXT)[:-3],
    "not UTF-8": body_of("x").replace(b"x", b"\xff"),
    "nothing": b"",
    "very deep": b'{"choices":' + b"[" * 100_000,
    "length": body_of("Hm.\n" + CALL_TEXT[:60], finish="length"),
    "no finish_reason": body_of("Hm.\n" + CALL_TEXT[:60], finish=None),
}


@pytest.mark.parametrize("body", SAME.values(), ids=SAME.keys())
def test_what_is_not_changed_is_the_same_object(body: bytes) -> None:
    out, ledger = rewrite_completion(ASKED, body)
    assert out is body
    assert ledger.failure == ""
    assert (ledger.calls, dict(ledger.repairs)) == (0, {})


@pytest.mark.parametrize("asked", [{}, {"tools": []}, {"tools": None}, request(tool_choice="none")])
@pytest.mark.parametrize("body", [body_of(CALL_TEXT), b"\xff"])
def test_without_tools_the_same_object(asked: Any, body: bytes) -> None:
    assert rewrite_completion(asked, body)[0] is body


@pytest.mark.parametrize(("before", "after"), [("", ""), ("Hm.\n\n", ""), ("", "\nDone."), ("Hm.\n", "\n\n")])
def test_a_call_moves_from_the_content(before: str, after: str) -> None:
    (choice,) = rewritten(body_of(before + CALL_TEXT + after))["choices"]
    text = before.rstrip() + (after if after.strip() else "")
    assert said(choice) == (text or None, [CALL], "tool_calls")


def test_ids_have_the_form_of_every_other_call() -> None:
    answer = rewritten(body_of(CALL_TEXT + "\n" + CALL_TEXT))
    ids = [call["id"] for call in answer["choices"][0]["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("call_[0-9a-f]{24}", one) for one in ids)


def test_each_choice_for_itself() -> None:
    body = body_of("Hm.\n" + CALL_TEXT, "Only <prose>. \n", CALL_TEXT)
    assert [said(choice) for choice in rewritten(body)["choices"]] == [
        ("Hm.", [CALL], "tool_calls"),
        ("Only <prose>. \n", [], "stop"),
        (None, [CALL], "tool_calls"),
    ]


def test_choices_without_an_index_are_choices() -> None:
    body = body_of(CALL_TEXT).replace(b'"index":0,', b"")
    assert said(rewritten(body)["choices"][0]) == (None, [CALL], "tool_calls")


def test_every_byte_around_the_call_stays() -> None:
    """Numbers, escapes, blanks and unknown fields as the server spelled them; only the message changes."""
    head = '{ "n": 12345678901234567890123, "f": 1.10,\r\n "u": "\\u003c\\/",\t"choices": [ {"message": '
    message = {"content": "Hm.\n" + CALL_TEXT, "x": [1.0], "role": "assistant"}
    tail = ' , "index": 0, "finish_reason" : "length" } ], "usage": {"e": 1E+2} }\n'
    out, _ = rewrite_completion(ASKED, (head + json.dumps(message) + tail).encode())
    text = out.decode()
    assert text.startswith(head)
    assert text.endswith(tail)
    inside = text[len(head) : -len(tail)]
    assert inside.startswith('{"content": "Hm.", "x": [1.0], "role": "assistant"')
    assert json.loads(inside)["tool_calls"][0]["function"]["name"] == "get_weather"


def test_only_the_finish_reason_changes_where_calls_were_promised_and_none_came() -> None:
    body = body_of("Hm.", finish="tool_calls")
    out, ledger = rewrite_completion(ASKED, body)
    assert out == body.replace(b'"tool_calls"', b'"stop"')
    assert ledger.as_dict()["repairs"] == {"finish-reason": 1}


def test_native_calls_with_stop() -> None:
    body = body_of({"role": "assistant", "content": None, "tool_calls": [NATIVE]})
    out, ledger = rewrite_completion(ASKED, body)
    assert out == body.replace(b'"stop"', b'"tool_calls"')
    assert ledger.as_dict()["repairs"] == {"finish-reason": 1}


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "length", "content_filter", "eos", None])
@pytest.mark.parametrize("called", [True, False])
def test_the_finish_reason_fits_the_calls(finish: Any, called: bool) -> None:
    (choice,) = rewritten(body_of(CALL_TEXT if called else "Hm.", finish=finish))["choices"]
    fits = {"stop": "tool_calls"} if called else {"tool_calls": "stop"}
    assert choice["finish_reason"] == fits.get(finish, finish)


@pytest.mark.parametrize("native", [None, [], [NATIVE], [NATIVE, NATIVE | {"id": "n2"}]])
@pytest.mark.parametrize("first", [True, False])
def test_a_leaked_call_beside_native_ones(native: Any, first: bool) -> None:
    fields = [("role", "assistant"), ("tool_calls", native), ("content", "Hm.\n" + CALL_TEXT)]
    message = dict(fields if first else reversed(fields))
    for indent in (None, 2):
        body = json.dumps(
            {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}, indent=indent
        )
        (choice,) = rewritten(body.encode())["choices"]
        names = ["get_goal"] * len(native or []) + ["get_weather"]
        content, calls, finish = said(choice)
        assert (content, [name for name, _ in calls], finish) == ("Hm.", names, "tool_calls")
        assert choice["message"]["tool_calls"][: len(native or [])] == (native or [])


def test_tool_calls_null_is_replaced_and_not_repeated() -> None:
    body = body_of({"role": "assistant", "content": CALL_TEXT, "tool_calls": None, "refusal": None})
    out, _ = rewrite_completion(ASKED, body)
    assert out.count(b'"tool_calls":') == 1
    assert said(json.loads(out)["choices"][0]) == (None, [CALL], "tool_calls")


def test_a_message_with_nothing_but_content() -> None:
    body = b'{"choices":[{"message":{"content":%s}}]}' % json.dumps(CALL_TEXT).encode()
    (choice,) = rewritten(body)["choices"]
    assert choice["message"].keys() == {"content", "tool_calls"}


def test_parallel_tool_calls_false_leaves_the_first() -> None:
    body = body_of(CALL_TEXT + "\n" + CALL_TEXT)
    out, ledger = rewrite_completion(request(parallel_tool_calls=False), body)
    assert said(json.loads(out)["choices"][0]) == (None, [CALL], "tool_calls")
    assert ledger.as_dict()["repairs"] == {"parallel-dropped": 1}


def test_escaped_content_is_read_as_text() -> None:
    body = json.dumps(json.loads(body_of(CALL_TEXT))).replace("<", "\\u003c").encode()
    assert said(rewritten(body)["choices"][0]) == (None, [CALL], "tool_calls")


@pytest.mark.parametrize("in_json", [False, True])
def test_a_call_longer_than_a_stream_would_hold(in_json: bool) -> None:
    content = "print(1)\n" * (HELD // 8)
    arguments = {"path": "a.py", "content": content}
    parameters = "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in arguments.items())
    call = (
        json.dumps({"name": "write", "arguments": arguments})
        if in_json
        else f"<function=write>\n{parameters}</function>"
    )
    choice = rewritten(body_of(f"<tool_call>\n{call}\n</tool_call>"))["choices"][0]
    assert said(choice) == (None, [("write", arguments)], "tool_calls")


def test_the_ledger_counts_all_choices() -> None:
    bare = CALL_TEXT.removeprefix("<tool_call>\n")
    _, ledger = rewrite_completion(ASKED, body_of(bare, bare, "Hm."))
    assert ledger.calls == 2
    assert ledger.as_dict()["repairs"] == {"missing-tool-call-open": 2}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (chat_whole, "splice"),
        (chat_whole, "with_members"),
        (chat_whole, "new_call_id"),
        (chat_completions, "read_chunk"),
        (whole, "ToolCallParser"),
    ],
)
def test_whatever_fails_the_body_comes_as_it_was(
    module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr(module, name, broken)
    body = body_of(CALL_TEXT)
    out, ledger = rewrite_completion(ASKED, body)
    assert out is body
    assert "boom" in ledger.failure


@pytest.mark.parametrize("finish", [7, [], {}, True, ["stop"]])
def test_a_finish_reason_of_another_type_passes(finish: Any) -> None:
    body = body_of("Hm.", finish=finish)
    out, ledger = rewrite_completion(ASKED, body)
    assert out is body
    assert isinstance(ledger.failure, str)


def test_a_stream_is_no_completion() -> None:
    body = b"".join(LLAMA_CPP.answer([CALL_TEXT]))
    assert rewrite_completion(ASKED, body)[0] is body
