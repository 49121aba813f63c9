"""Why an answer is as it is: for `qwen.explain`, which a user asks when a call stayed text."""

from collections.abc import Iterator, Mapping
from typing import Any

from toolstream import Refused, Repair

from ..terminal import printable
from .report import FAULTS
from .words import LEAKED

Json = dict[str, Any]

# What stands behind each reason, and what would have to be different.
REASONS: Mapping[Refused, str] = {
    Refused.FENCED: "Code and quotations are examples, so they never run. The call has to stand outside.",
    Refused.NOT_AT_LINE_START: "Without <tool_call> a call has to begin its line. Prose must not run.",
    Refused.UNDECLARED: "Only tools of the request can run. Look for the name in what the client sends.",
    Refused.NAMELESS: "Without a name the parameters tell the tool. None or several have these.",
    Refused.FORBIDDEN: "The client asked for one tool by tool_choice, and the model called another one.",
    Refused.NO_CALL: "After the opening tag comes nothing of a call: it is prose, or the model gave up.",
    Refused.TRUNCATED: "Half a call must not run. Raise max_tokens, or the context size of the server.",
    Refused.UNCLEAR_END: "Where the call ends decides what is in its last value. Here that cannot be known.",
    Refused.NOT_ALONE: "It may be an example. qwen_recovery=aggressive takes the last fenced block.",
    Refused.IN_RESULT: "The model made up a tool's result; what is in it was not meant as a call.",
    Refused.IN_MARKUP: "The tag is one that any XML document may have, and it stands in one.",
    Refused.INVALID_JSON: "No reading of this JSON is certain: quotes or brackets are missing.",
    Refused.REASONING: "Reasoning is a draft. A call there runs only if it is the last thing said.",
    Refused.LIMIT: "At most 1 MiB is held back. This was more, so it went on as text.",
    Refused.MISFIT: "The server's parser made this value. The client's validator will tell the model.",
    Refused.SECOND_OBJECT: "The server sent one more object behind the arguments. A call has one.",
}


def explained(data: Json | None, request: Json) -> Iterator[str]:
    """What became of an answer, and why; `data` is the flow's metadata, None if it is no chat."""
    if data is None:
        yield "This is no chat that qwen_fix has read: see the options qwen_paths and qwen_models."
        return
    ledger = data.get("ledger", {})
    if not request.get("tools"):
        yield "The request declares no tools, so the answer passed unread: nothing in it could be a call."
    elif request.get("tool_choice") == "none":
        yield 'The request says tool_choice: "none", so the answer passed unread.'
    if data.get("observed"):
        yield "This was only observed: the client got what the server sent."
    lines = list(ledger_lines(ledger))
    yield from lines
    if aborted := data.get("aborted"):
        yield printable(f"The answer broke off: {aborted}")
    if failure := ledger.get("failure"):
        last = failure.strip().splitlines()[-1]
        yield printable(f"The rewriter failed, and the rest passed as it came: {last}")
    elif not lines:
        yield "Nothing looked like a call that leaked or was damaged: the answer passed as it came."


def ledger_lines(ledger: Json) -> Iterator[str]:
    """What was repaired, and what was left with the reason, in words; for the plain JSON of a ledger."""
    if ledger.get("calls") and not ledger.get("repairs"):
        yield f"{LEAKED} made a tool call"
    for name, count in ledger.get("repairs", {}).items():
        repair = Repair.named(name)
        yield printable(f"{repair.words if repair else name}{f' x{count}' if count > 1 else ''}")
    for name, excerpt in ledger.get("refusals", []):
        reason = Refused.named(name)
        left = "" if reason in FAULTS else "left as text: "
        yield printable(f"{left}{reason.words if reason else name}: {excerpt}")
        if reason:
            yield f"  {REASONS[reason]}"
