"""Every repair and every refusal by name.

Each repair has a member here and a case in `tests/cases`, and is emitted at its place in the stream. A
refusal is a candidate for a call that was left as text. It changes nothing.
"""

from enum import StrEnum
from typing import Self


class Named(StrEnum):
    """Names with a description. Cases, goldens and metrics use the names; the log, mitmweb, the status
    page and the manual use the words."""

    words: str

    def __new__(cls, name: str, words: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.words = words
        return member

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Return the member of this name; None if there is none, as recordings may be older or newer."""
        return next((member for member in cls if member == name), None)


class Repair(Named):
    MISSING_TOOL_CALL_OPEN = "missing-tool-call-open", "call without <tool_call>"
    MISSING_TOOL_CALL_CLOSE = "missing-tool-call-close", "<tool_call> never closed"
    MISSING_FUNCTION_CLOSE = "missing-function-close", "</function> missing"
    MISSING_PARAMETER_CLOSE = "missing-parameter-close", "</parameter> missing"
    ORPHAN_THINK_CLOSE = "orphan-think-close", "stray </think> before a call"
    THINK_CLOSED = "think-closed", "call in a <think> that never ends; </think> put before it"
    MISSING_PARAMETER_OPEN = (
        "missing-parameter-open",
        "value without <parameter=…>; the tool requires exactly one",
    )
    STRAY_OPENER = "stray-opener", "<tool_call> or <function=…> twice"
    STRAY_CLOSER = "stray-closer", "closing tag or stop token that closes nothing"
    EMPTY_ENVELOPE = "empty-envelope", "<tool_call></tool_call> with nothing in it"
    FOREIGN_SPELLING = "foreign-spelling", "tag in the spelling of another dialect"
    DAMAGED_TAG = "damaged-tag", "damaged tag"
    NAME_MISPLACED = "name-misplaced", "tool name in the wrong place"
    JSON_BODY = "json-body", "JSON call where XML was taught"
    UNTAGGED_JSON = "untagged-json", "JSON call without tags"
    NAME_NORMALISED = "name-normalised", "tool name that differs in quotes, prefix, case, _ or -"
    NAME_INFERRED = "name-inferred", "call without a name; only one tool has these parameters"
    NAME_GUESSED = "name-guessed", "misspelt tool name"
    VALUE_AS_NAME = "value-as-name", "enum value in place of the tool name; moved to its parameter"
    UNDECLARED_NAME = "undeclared-name", "complete call of an undeclared tool"
    REPEATED_PARAMETER = "repeated-parameter", "parameter given twice; the first one kept"
    COERCION_FAILED = "coercion-failed", "value that does not fit its schema; passed on as a string"
    TEXT_IN_CALL = "text-in-call", "text between parameters; passed on as content"
    PARALLEL_DROPPED = "parallel-dropped", "further call dropped, because parallel_tool_calls is false"
    DAMAGED_KEY = "damaged-key", "key written as K=V"
    JSON_REPAIRED = "json-repaired", "broken JSON in a call"
    # calls that the server parsed itself
    CALL_SHAPE = (
        "call-shape",
        "server's call with id, index, type, name or arguments missing, empty or repeated",
    )
    WRONG_TYPE = "wrong-type", "server's call with a value of the wrong type"
    XML_ARGUMENTS = "xml-arguments", "server's call with XML as arguments"
    DOUBLE_ENCODED = "double-encoded", "server's call with arguments encoded twice"
    REPEATED_ARGUMENTS = "repeated-arguments", "server's call with arguments twice, or after an empty {}"
    NESTED_ARGUMENTS = "nested-arguments", "server's call with its arguments wrapped in another object"
    SWALLOWED_CALL = "swallowed-call", "server's call with more parameters or calls in an argument"
    DUPLICATE_CALL = "duplicate-call", "same call twice: parsed and as text, or under one id"
    FINISH_REASON = "finish-reason", "finish_reason that did not match the answer"
    BROKEN_HISTORY = "broken-history", "earlier call in the request with unreadable arguments"
    ENGINE_ERROR = "engine-error", "server's error that contained the call"
    ENVELOPE = "envelope", "answer without the indexes and numbers that SDKs need"
    # changes by the user's rules
    RULE_DEFAULT = "rule-default", "rule: parameter set that was missing, empty or not allowed"
    RULE_CONVERTED = "rule-converted", "rule: string turned into an array, an object or a boolean"
    RULE_REMOVED = "rule-removed", "rule: parameter removed that the tool does not take"
    RULE_TOOL = "rule-tool", "rule: turned into a call of another tool"


# What was done: each repair, and the text it was found in or the name of the rule that did it
Applied = list[tuple[Repair, str]]


class Refused(Named):
    """Why a candidate was left as text."""

    FENCED = "fenced", "in code, a quotation, a table or a comment"
    NOT_AT_LINE_START = "not-at-line-start", "a bare call in the middle of a line"
    UNDECLARED = "undeclared", "a tool that the request does not declare"
    NAMELESS = "nameless", "no tool named, and not exactly one tool has these parameters"
    FORBIDDEN = "forbidden", "tool_choice names another tool"
    NO_CALL = "no-call", "an opening tag without a call after it"
    TRUNCATED = "truncated", "cut off inside"
    UNCLEAR_END = "unclear-end", "no clear end"
    UNREAD = "unread-parameter", "one of its parameters cannot be read"
    NOT_ALONE = "not-alone", "a JSON call without tags beside other text"
    IN_RESULT = "in-result", "in a tool result that the model made up"
    IN_MARKUP = "in-markup", "ordinary markup: a generic tag directly after another tag"
    INVALID_JSON = "invalid-json", "JSON that cannot be read"
    REASONING = "reasoning", "in the reasoning, but not the last thing said"
    LIMIT = "limit", "too long to be held back"
    MISFIT = "misfit", "a value of the server's call does not fit its schema; passed on"
    SECOND_OBJECT = "second-object", "further arguments after those of the server's call; dropped"
