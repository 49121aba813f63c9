"""Tools whose schemas are no schemas: it costs the typing of that parameter, and nothing else.

The parameter beside it arrives as it was, the value itself as its text or as the JSON it is, and
nothing fails: not for text, not for a stream, not for arguments the server parsed.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import TAME, VALUES, written
from fuzz.settings import fuzzed
from support.outcome import run
from support.streams import LLAMA_CPP, read_answer, send
from toolstream import rewrite_completion
from toolstream.parser.parser import LEVELS

KEYWORDS = st.sampled_from(
    [
        *("type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const", "items", "prefixItems", "properties"),
        *("required", "additionalProperties", "nullable", "not", "default", "$defs", "format", "description"),
    ]
)
TYPES = ("string", "integer", "object", "array", "STRING", "no such type", "")
POINTERS = ("#", "#/", "#/properties/odd", "#/properties/odd/items", "#/$defs/0", "http://x/y", "#/%zz/~9")
SCHEMAS = st.recursive(
    st.sampled_from([None, True, False, 0, 1.5, *TYPES, *POINTERS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=12,
)
ROOTS = st.dictionaries(KEYWORDS, SCHEMAS, max_size=3)
ANY_VALUE = st.one_of(*VALUES.values())


def declared(odd: Any, root: dict[str, Any]) -> list[Any]:
    """A tool with one odd parameter and two good ones; `root` are further keywords beside `properties`."""
    good = {"text": {"type": "string"}, "count": {"type": "integer"}}
    parameters = {"type": "object", "properties": {"odd": odd, **good}, "required": ["text"]}
    return [{"type": "function", "function": {"name": "f", "parameters": root | parameters}}]


def in_text(value: Any, text: str, count: int) -> str:
    members = [("odd", value), ("text", text), ("count", count)]
    body = "".join(f"<parameter={key}>\n{written(member)}\n</parameter>\n" for key, member in members)
    return f"<tool_call>\n<function=f>\n{body}</function>\n</tool_call>"


def fits(found: dict[str, Any], text: str, count: int) -> None:
    """The good ones as they were, and nothing that was not given."""
    assert json.dumps([found["text"], found["count"]]) == json.dumps([text, count])
    assert found.keys() <= {"odd", "text", "count"}


@fuzzed(150)
@given(SCHEMAS, ROOTS, ANY_VALUE, TAME, st.integers(), st.sampled_from(LEVELS))
def test_a_call_in_text(
    odd: Any, root: dict[str, Any], value: Any, text: str, count: int, level: str
) -> None:
    tools, message = declared(odd, root), in_text(value, text, count)
    outcome = run([message], tools, recovery=level)
    ((name, arguments),) = outcome.calls
    assert name == "f"
    fits(json.loads(arguments), text, count)
    out, _ = send(LLAMA_CPP.answer([message[:40], message[40:]]), {"tools": tools}, recovery=level)
    assert read_answer(out).message.named == [("f", json.loads(arguments))]


@fuzzed(150)
@given(SCHEMAS, ROOTS, ANY_VALUE, TAME, st.integers())
def test_a_call_the_server_parsed(odd: Any, root: dict[str, Any], value: Any, text: str, count: int) -> None:
    tools, sent = declared(odd, root), json.dumps({"odd": value, "text": text, "count": str(count)})
    events = LLAMA_CPP.answer([], "tool_calls", [("f", [sent[:9], sent[9:]])])
    message = read_answer(send(events, {"tools": tools})[0]).message
    ((_, arguments),) = message.named
    fits(arguments, text, count)
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": sent}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
    body, ledger = rewrite_completion({"tools": tools}, json.dumps({"choices": [choice]}).encode())
    assert ledger.failure == ""
    (call,) = json.loads(body)["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == arguments


@fuzzed(100)
@given(st.lists(SCHEMAS, max_size=3), st.sampled_from(["tools", "function", "parameters"]), TAME)
def test_a_tool_that_is_garbage_beside_a_good_one(garbage: list[Any], where: str, text: str) -> None:
    odd = {"tools": garbage, "function": [{"type": "function", "function": g} for g in garbage]}
    odd["parameters"] = [{"type": "function", "function": {"name": "g", "parameters": g}} for g in garbage]
    tools = [*odd[where], *declared({}, {})]
    ((_, arguments),) = run([in_text("x", text, 5)], tools).calls
    fits(json.loads(arguments), text, 5)
