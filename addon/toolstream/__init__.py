"""Finds the tool calls that Qwen models write as text, while the text streams.

Sans-IO: text or bytes in, events or bytes out; no mitmproxy, clock, file or log. This is the whole public
API; README.md explains it. `toolstream.wire` is for tools that read recorded streams.
"""

from .events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from .grammar.dialects import DIALECTS, Dialect
from .grammar.grammar import grammar as prepare
from .grammar.likeness import DOCUMENT
from .grammar.names import fold
from .grammar.spelling import UNLISTED
from .ledger import Ledger, Refusal
from .parser.parser import ToolCallParser
from .repairs import Named, Refused, Repair
from .requests.history import repair_request
from .rewriter.stream import StreamRewriter
from .rewriter.whole import recover_error, rewrite_completion
from .schema.call_shape import CALL_KEYS
from .schema.coercion import OMITTED
from .schema.rules import FITTING, Action, Condition, Rule, Rules
from .schema.toolset import parallel_calls

__all__ = [
    "CALL_KEYS",
    "DIALECTS",
    "DOCUMENT",
    "FITTING",
    "OMITTED",
    "UNLISTED",
    "Action",
    "ArgumentsDelta",
    "CallEnd",
    "CallStart",
    "Condition",
    "Dialect",
    "Event",
    "Ledger",
    "Named",
    "Refusal",
    "Refused",
    "Repair",
    "Repaired",
    "Rule",
    "Rules",
    "StreamRewriter",
    "Text",
    "ToolCallParser",
    "fold",
    "parallel_calls",
    "prepare",
    "recover_error",
    "repair_request",
    "rewrite_completion",
]
