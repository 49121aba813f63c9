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
    MISSING_TOOL_CALL_CLOSE = "missing-tool-call-close", "<tool_call> never closed"
    MISSING_FUNCTION_CLOSE = (
        "missing-function-close",
        "</tool_call>, a call or the end instead of </function>",
    )
    MISSING_PARAMETER_CLOSE = "missing-parameter-close", "a value ended by another tag or the end"
    ORPHAN_THINK_CLOSE = "orphan-think-close", "a </think> that closes nothing, right before a call"
    MISSING_PARAMETER_OPEN = (
        "missing-parameter-open",
        "a value without its opening tag; the tool requires only one parameter",
    )
    STRAY_OPENER = "stray-opener", "<tool_call> or <function=…> a second time"
    STRAY_CLOSER = "stray-closer", "a closing tag, or a stop token, that closes nothing"
    EMPTY_ENVELOPE = "empty-envelope", "<tool_call></tool_call> with nothing in it"
    FOREIGN_SPELLING = "foreign-spelling", "a tag spelled as another dialect does"
    DAMAGED_TAG = "damaged-tag", "a tag that lost its < or >, or has more in it than belongs there"
    NAME_MISPLACED = "name-misplaced", "the tool's name in another place than its tag"
    JSON_BODY = "json-body", "a JSON call where the model was taught XML"
    UNTAGGED_JSON = "untagged-json", "a JSON call with no tag around it"
    NAME_NORMALISED = "name-normalised", "quotes, prefix, case, _ or - differ from the declared name"
    NAME_INFERRED = "name-inferred", "a call without a name; only one tool has these parameters"
    NAME_GUESSED = "name-guessed", "a misspelt name, like no other declared one"
    VALUE_AS_NAME = "value-as-name", "a value of an enum where the name belongs; it went to its parameter"
    UNDECLARED_NAME = "undeclared-name", "a complete call of a tool the request did not declare"
    REPEATED_PARAMETER = "repeated-parameter", "the first value won, this one is dropped"
    COERCION_FAILED = "coercion-failed", "the value does not fit its schema; passed on as a string"
    TEXT_IN_CALL = "text-in-call", "text between parameters; passed on as content"
    PARALLEL_DROPPED = "parallel-dropped", "a second call although parallel_tool_calls is false"
    DAMAGED_KEY = "damaged-key", "K=V in one where the parameter K has the value V"
    JSON_REPAIRED = "json-repaired", "JSON of a call that was not quite JSON"
    # calls that the server parsed itself
    CALL_SHAPE = "call-shape", "id, index, type, name or arguments missing, empty or where they must not be"
    WRONG_TYPE = "wrong-type", "a value of a parsed call that has not the type of its schema"
    XML_ARGUMENTS = "xml-arguments", "tags as the arguments of a parsed call"
    DOUBLE_ENCODED = "double-encoded", "the arguments of a parsed call in a JSON string once more"
    REPEATED_ARGUMENTS = "repeated-arguments", "the arguments of a parsed call twice, or {} before them"
    SWALLOWED_CALL = "swallowed-call", "further parameters or calls inside of an argument of a parsed call"
    DUPLICATE_CALL = "duplicate-call", "the same call a second time: parsed and as text, or under one id"
    FINISH_REASON = "finish-reason", "a finish_reason that does not say what the server's answer holds"
    BROKEN_HISTORY = "broken-history", "an earlier call whose arguments no server can read, in the request"
    ENGINE_ERROR = "engine-error", "the server's error held the call it could not parse"
    # what the user's rules do
    RULE_DEFAULT = "rule-default", "a rule set a parameter: missing, empty, or not a value it may have"
    RULE_CONVERTED = "rule-converted", "a rule read an array, an object or a boolean out of a string"
    RULE_REMOVED = "rule-removed", "a rule left out a parameter that the tool does not take"
    RULE_TOOL = "rule-tool", "a rule made it a call of another tool, which declares these parameters"


class Refused(Named):
    """Why a candidate was left as text."""

    FENCED = "fenced", "in code, a quotation, a table or a comment"
    NOT_AT_LINE_START = "not-at-line-start", "a bare call in the middle of a line"
    UNDECLARED = "undeclared", "names a tool the request did not declare"
    NAMELESS = "nameless", "names no tool, and not exactly one has these parameters"
    FORBIDDEN = "forbidden", "tool_choice names another tool"
    NO_CALL = "no-call", "an opener that no call follows"
    TRUNCATED = "truncated", "the answer was cut inside it"
    UNCLEAR_END = "unclear-end", "its end is missing, or was a closing tag with something else behind it"
    NOT_ALONE = "not-alone", "a JSON call with no tag around it, and not the whole message"
    IN_RESULT = "in-result", "in a tool's result that the model made up"
    IN_MARKUP = "in-markup", "a tag that any XML may have, right behind another tag"
    INVALID_JSON = "invalid-json", "a JSON body that cannot be read"
    REASONING = "reasoning", "in the reasoning, and not the last thing the model said"
    LIMIT = "limit", "too much was held to be sure of it"
    MISFIT = "misfit", "a value of a parsed call that does not fit its schema, nor what it says"
    SECOND_OBJECT = "second-object", "other arguments behind those of a parsed call; dropped"


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
