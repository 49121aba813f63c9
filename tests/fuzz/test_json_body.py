"""JSON calls with one character wrong: what they say if they are JSON all the same, else text, or mended
with not a letter lost."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import calls, prose, tools, write_json
from fuzz.damage import letters, one_character
from fuzz.messages import PLACES, before_call
from fuzz.settings import fuzzed
from support.cuts import cut_at, per_character
from support.outcome import run

OPEN, CLOSE = "<tool_call>\n", "\n</tool_call>"
LEAD, TAIL = st.just("") | prose().map("{}\n\n".format), st.just("") | prose().map("\n\n{}".format)
LEVELS = st.sampled_from(["tolerant", "aggressive"])  # strict reads no JSON, see test_mutations


def read(text: str) -> Any:
    """The (name, arguments) that JSON says; None if it says no call."""
    try:
        said = json.loads(text, strict=False)
    except ValueError:
        return None
    match said:
        case {"name": str(name), "arguments": dict(arguments)}:
            return name, arguments
    return None


@fuzzed(120)
@given(st.data(), LEVELS, PLACES)
def test_one_character_wrong(data: st.DataObject, level: str, places: list[int]) -> None:
    of = data.draw(tools())
    call, lead, tail = data.draw(calls(of)), data.draw(LEAD), data.draw(TAIL)
    body = data.draw(one_character(write_json(call).removeprefix(OPEN).removesuffix(CLOSE)))
    said = read(body)
    text, declared = lead + OPEN + body + CLOSE + tail, [tool.declared() for tool in of]
    outcome = run([text], declared, recovery=level)
    for pieces in (cut_at(text, [place % (len(text) + 1) for place in places]), per_character(text)):
        assert run(pieces, declared, recovery=level).events == outcome.events
    if outcome.open_call:
        return  # it had streamed before it turned out to be hopeless: nobody can run it (P9)
    if not outcome.calls:
        assert outcome.text == text
        return
    ((name, arguments),) = [(name, json.loads(arguments)) for name, arguments in outcome.calls]
    if said:
        assert name in (said[0].strip(), call.name)
        keys = {re.sub(r"\s*\n\s*", "", key): value for key, value in said[1].items()}
        if any("\n" in key for key in said[1]) and keys.keys() != call.arguments.keys():
            return  # such a key is no parameter: the string before may hold it, as code does
        typed = letters(json.dumps(arguments))  # the schema may want ["1"] for [1]
        assert typed in (letters(json.dumps(said[1])), letters(json.dumps(keys)))
        assert outcome.text == before_call(lead) + tail
        return
    if (name, arguments, outcome.text) == (call.name, call.arguments, before_call(lead) + tail):
        return  # exactly what was meant, be it that a key was misspelt
    assert '"arguments"' not in outcome.text, (body, outcome)
    found = letters(outcome.text.replace(CLOSE, "") + json.dumps({"name": name, "arguments": arguments}))
    assert found == letters(lead + tail + body), (body, outcome)
