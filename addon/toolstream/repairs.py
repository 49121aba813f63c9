"""Every departure from the wire format that is mended, and the ledger that counts them.

A repair has one member here, is emitted at its place in the stream and has a case in
`tests/cases`. A candidate that was looked at and left as text is a refusal: it changes
nothing, and the ledger says why, so that a user can see what was not repaired.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

EXCERPT = 120  # characters of the stream that a repair or a refusal quotes
REFUSALS = 100  # refusals kept with their excerpt; a runaway model must not fill the memory


class Named(StrEnum):
    """Names with one line of why each; the name is what cases, goldens and metrics use."""

    why: str

    def __new__(cls, name: str, why: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.why = why
        return member


class Repair(Named):
    """What was mended."""

    MISSING_TOOL_CALL_OPEN = "missing-tool-call-open", "a call with no <tool_call> before it"
    MISSING_TOOL_CALL_CLOSE = "missing-tool-call-close", "<tool_call> was never closed"
    MISSING_FUNCTION_CLOSE = (
        "missing-function-close",
        "</function> is missing; </tool_call>, another call or the end came instead",
    )
    MISSING_PARAMETER_CLOSE = "missing-parameter-close", "a value was ended by another tag, or by the end"
    ORPHAN_THINK_CLOSE = "orphan-think-close", "a </think> that closes nothing, right before a call"
    MISSING_PARAMETER_OPEN = (
        "missing-parameter-open",
        "a value without its opening tag; the tool requires exactly one parameter",
    )
    STRAY_OPENER = "stray-opener", "<tool_call> or <function=…> a second time"
    STRAY_CLOSER = "stray-closer", "a closing tag or a stop token that closes nothing"
    EMPTY_ENVELOPE = "empty-envelope", "<tool_call></tool_call> with nothing in it"
    FOREIGN_SPELLING = "foreign-spelling", "a tag in the spelling of another dialect"
    DAMAGED_TAG = (
        "damaged-tag",
        "a tag that lost a bracket, or has something in it that does not belong there",
    )
    NAME_MISPLACED = "name-misplaced", "the tool's name is not where it belongs"
    JSON_BODY = "json-body", "a JSON call where the model was taught XML"
    UNTAGGED_JSON = "untagged-json", "a JSON call with no tag around it"
    NAME_NORMALISED = (
        "name-normalised",
        "the name differs from the declared one in quotes, prefix, case, _ or -",
    )
    NAME_INFERRED = "name-inferred", "a call without a name; only one tool has these parameters"
    NAME_GUESSED = "name-guessed", "a misspelt name that resembles only one declared tool"
    VALUE_AS_NAME = (
        "value-as-name",
        "an enum's value stood where the name belongs; it was moved to its parameter",
    )
    UNDECLARED_NAME = "undeclared-name", "a complete call of a tool the request did not declare"
    REPEATED_PARAMETER = "repeated-parameter", "a parameter given twice; the first value is kept"
    COERCION_FAILED = "coercion-failed", "the value does not fit its schema; passed on as a string"
    TEXT_IN_CALL = "text-in-call", "text between parameters; passed on as content"
    PARALLEL_DROPPED = "parallel-dropped", "a further call was dropped because parallel_tool_calls is false"
    DAMAGED_KEY = "damaged-key", "a key written as K=V; split into parameter K with value V"
    JSON_REPAIRED = "json-repaired", "broken JSON in a call"
    # calls that the server parsed itself
    CALL_SHAPE = "call-shape", "id, index, type, name or arguments were missing, empty or repeated"
    WRONG_TYPE = "wrong-type", "a value of a server-parsed call did not have the type of its schema"
    XML_ARGUMENTS = "xml-arguments", "the arguments of a server-parsed call were XML"
    DOUBLE_ENCODED = "double-encoded", "the arguments of a server-parsed call were encoded twice"
    REPEATED_ARGUMENTS = (
        "repeated-arguments",
        "the arguments of a server-parsed call came twice, or after an empty {}",
    )
    SWALLOWED_CALL = "swallowed-call", "an argument of a server-parsed call held further parameters or calls"
    DUPLICATE_CALL = "duplicate-call", "the same call came twice: parsed and as text, or under one id"
    FINISH_REASON = "finish-reason", "the finish_reason did not match the answer"
    BROKEN_HISTORY = "broken-history", "an earlier call in the request had arguments that no server can read"
    ENGINE_ERROR = "engine-error", "the server answered with an error that held the call"
    # what the user's rules do
    RULE_DEFAULT = "rule-default", "a rule set a parameter that was missing, empty or not allowed"
    RULE_CONVERTED = "rule-converted", "a rule turned a string into an array, an object or a boolean"
    RULE_REMOVED = "rule-removed", "a rule removed a parameter that the tool does not take"
    RULE_TOOL = "rule-tool", "a rule made it a call of another tool that declares these parameters"


class Refused(Named):
    """Why a candidate was left as text."""

    FENCED = "fenced", "in code, a quotation, a table or a comment"
    NOT_AT_LINE_START = "not-at-line-start", "a bare call in the middle of a line"
    UNDECLARED = "undeclared", "names a tool the request did not declare"
    NAMELESS = "nameless", "names no tool, and no tool or several have these parameters"
    FORBIDDEN = "forbidden", "tool_choice names another tool"
    NO_CALL = "no-call", "an opening tag without a call after it"
    TRUNCATED = "truncated", "the answer was cut inside it"
    UNCLEAR_END = "unclear-end", "its end is missing, or something else follows its closing tag"
    NOT_ALONE = "not-alone", "a JSON call without tags that is not the whole message"
    IN_RESULT = "in-result", "in a tool result that the model made up"
    IN_MARKUP = "in-markup", "a generic XML tag directly after another tag: ordinary markup"
    INVALID_JSON = "invalid-json", "a JSON body that cannot be read"
    REASONING = "reasoning", "in the reasoning, but not the last thing the model said"
    LIMIT = "limit", "too much text was held back; it was released"
    MISFIT = "misfit", "a value of a server-parsed call does not fit its schema and was left as it is"
    SECOND_OBJECT = "second-object", "further arguments after those of a server-parsed call; dropped"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One candidate left as text."""

    reason: Refused
    excerpt: str


class Ledger:
    """What was done to one answer: counts of repairs and calls, and the refused candidates."""

    __slots__ = ("calls", "failure", "refusals", "refused", "repairs")

    def __init__(self) -> None:
        self.repairs: Counter[Repair] = Counter()
        self.refused: Counter[Refused] = Counter()
        self.refusals: list[Refusal] = []  # the first REFUSALS of them
        self.calls = 0  # calls that were found in text and emitted
        self.failure = ""  # the traceback of an exception that ended the rewriting (fail open)

    def repaired(self, repair: Repair) -> None:
        """Count a repair."""
        self.repairs[repair] += 1

    def add(self, other: "Ledger") -> None:
        """Count what another ledger has counted as well."""
        self.repairs.update(other.repairs)
        self.refused.update(other.refused)
        self.refusals += other.refusals[: REFUSALS - len(self.refusals)]
        self.calls += other.calls

    def refuse(self, reason: Refused, excerpt: str) -> None:
        """Note a candidate that stays text."""
        self.refused[reason] += 1
        if len(self.refusals) < REFUSALS:
            self.refusals.append(Refusal(reason, excerpt[:EXCERPT]))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data: repairs and refused as {name: count}, refusals as [reason, excerpt]."""
        return {
            "calls": self.calls,
            "repairs": {str(k): n for k, n in sorted(self.repairs.items())},
            "refused": {str(k): n for k, n in sorted(self.refused.items())},
            "refusals": [[str(r.reason), r.excerpt] for r in self.refusals],
            "failure": self.failure,
        }
