"""Explains an answer, for the command `qwen.explain`: for example why a call stayed text."""

from collections.abc import Iterator, Mapping
from typing import Any

from toolstream import Refused, Repair

from ..apis import APIS
from ..recording.format import api_named
from ..terminal import printable
from .endings import in_words
from .report import CUT, FAULTS
from .words import LEAKED

Json = dict[str, Any]

NOT_RUN = "not run: "  # it stayed text, or the client only got its beginning

# The reason behind each refusal, and what would have to be different.
REASONS: Mapping[Refused, str] = {
    Refused.FENCED: "Code and quotations are examples, so they never run. The call must be outside.",
    Refused.NOT_AT_LINE_START: "Without <tool_call> a call must begin its line, because prose must not run.",
    Refused.UNDECLARED: "Only tools of the request can run. Look for the name in what the client sends.",
    Refused.NAMELESS: "Without a name the parameters decide. No tool, or several, have these.",
    Refused.FORBIDDEN: "With tool_choice the client asked for one tool, and the model called another.",
    Refused.NO_CALL: "No call follows the opening tag: it is prose, or the model gave up.",
    Refused.TRUNCATED: "Half a call must not run. Raise max_tokens, or the context size of the server.",
    Refused.UNCLEAR_END: "The end of the call decides its last value. Here the end cannot be known.",
    Refused.UNREAD: "Without the parameter that cannot be read it would be another call.",
    Refused.NOT_ALONE: "It may be an example. qwen_recovery=aggressive takes the last fenced block.",
    Refused.IN_RESULT: "The model made up a tool's result. What is in it was not meant as a call.",
    Refused.IN_MARKUP: "Any XML document may have this tag, and it is inside one.",
    Refused.INVALID_JSON: "This JSON can be read in several ways: quotes or brackets are missing.",
    Refused.REASONING: "Reasoning is a draft. A call there runs only if it is the last thing said.",
    Refused.LIMIT: "At most 1 MiB is held back. This was more, so it was passed on as text.",
    Refused.MISFIT: "The server's parser made this value. The client can report it to the model.",
    Refused.SECOND_OBJECT: "The server sent another object after the arguments. A call has only one.",
}


def explained(data: Json | None, request: Json) -> Iterator[str]:
    """Explain an answer; `data` is the metadata of the flow, None if it is not a chat."""
    if data is None:
        options = "qwen_apis, qwen_paths and qwen_models"
        yield f"This is not a chat that qwen_fix has read: see the options {options}."
        return
    ledger = data.get("ledger", {})
    asked = APIS[api_named(data)].asked(request)
    if not asked.tools:
        yield "The request declares no tools, so the answer was passed through unread."
    elif asked.tool_choice == "none":
        yield 'The request says tool_choice: "none", so the answer was passed through unread.'
    if data.get("observed"):
        yield "This was only observed: the client got what the server sent."
    lines = list(ledger_lines(ledger))
    yield from lines
    if aborted := data.get("aborted"):
        yield printable(f"The answer broke off: {in_words(aborted)}")
    if failure := ledger.get("failure"):
        last = failure.strip().splitlines()[-1]
        yield printable(f"The rewriter failed, and the rest was passed through unchanged: {last}")
    elif unread := data.get("unread"):
        yield printable(f"The answer was passed through unread: {unread}")
    elif not lines:
        yield "Nothing looked like a leaked or damaged call: the answer was passed through unchanged."


def ledger_lines(ledger: Json) -> Iterator[str]:
    """Say in words what was repaired, and what was left and why, from the JSON of a ledger."""
    if ledger.get("calls") and not ledger.get("repairs"):
        yield f"{LEAKED} made a tool call"
    for name, count in ledger.get("repairs", {}).items():
        repair = Repair.named(name)
        yield printable(f"{repair.words if repair else name}{f' x{count}' if count > 1 else ''}")
    yield from _refusal_lines(ledger)


def _refusal_lines(ledger: Json) -> Iterator[str]:
    for name, excerpt in ledger.get("refusals", []):
        reason = Refused.named(name)
        left = "" if reason in FAULTS else NOT_RUN if reason in CUT else "left as text: "
        yield printable(f"{left}{reason.words if reason else name}: {excerpt}")
        if reason:
            yield f"  {REASONS[reason]}"
