"""One finished chat, as shown in the log, the counts, mitmweb and the status page."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from toolstream import Ledger, Refused, Repair

from ..apis import CHAT, Api
from ..recording.format import parse_object
from ..recording.mask import Mask
from ..replay.outline import Call, Message, messages_of, outline_of
from ..replay.overview import client_of
from .endings import CLIENT_LEFT

MOST_TOOLS = 20  # names kept of one answer
LONGEST_NAME = 60  # characters of a name that a client or a model chose
LONGEST_ERROR = 80  # characters
LONGEST_END = 4096  # bytes of a stream in which its last events are
LONGEST_PAGE = 10_000  # bytes of an error page that are read

# Where a server's error may begin to quote what was said, as llama.cpp's "Failed to parse input at …" does.
_QUOTES = re.compile(r"at pos \d+:|[<{\[\"`“«\n]")

# What ends a stream even if it gives no reason
_END = re.compile(rb'^data: ?\[DONE\]|"message_stop"|"done": ?true', re.M)
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title")
_UNSEEN = re.compile(r"(?is)<(script|style)\b.*?(?:</\1>|\Z)")
_TAG = re.compile(r"<[^>]*>?")

# Refusals of candidates that were real calls. The other refusals are quotations, drafts and prose.
LEAKS = frozenset(
    (
        *(Refused.UNDECLARED, Refused.NAMELESS, Refused.TRUNCATED),
        *(Refused.UNCLEAR_END, Refused.INVALID_JSON, Refused.LIMIT),
    )
)
# Those of calls that may have been cut off when their beginning had already been sent.
CUT = (Refused.TRUNCATED, Refused.UNCLEAR_END, Refused.INVALID_JSON)
# Faults of calls that the server parsed, which could not be repaired.
FAULTS = frozenset((Refused.MISFIT, Refused.SECOND_OBJECT))
# Repairs that say nothing about the calls of the model and its server: the client asked for them or caused
# them, or they concern what is around a call.
WISHES = frozenset(
    (
        *(Repair.BROKEN_HISTORY, Repair.PARALLEL_DROPPED),
        *(Repair.RULE_DEFAULT, Repair.RULE_CONVERTED, Repair.RULE_REMOVED, Repair.RULE_TOOL),
        Repair.ENVELOPE,
    )
)


class Kind(StrEnum):
    """How a chat went. If several apply, the first one counts."""

    BACKEND_ERROR = "backend-error"  # no answer came, or one with an error status
    FAILED_OPEN = "failed-open"  # the rewriter failed, and the rest was passed through unchanged
    BROKEN_OFF = "broken-off"
    CLIENT_LEFT = "client-left"  # it disconnected before the end
    NOT_READ = "not-read"  # with tools, but it is no answer that can be read
    LEFT = "left"  # a call was not repaired: it stayed text, or damaged, or was cut off
    REPAIRED = "repaired"
    WOULD_REPAIR = "would-repair"  # observed only
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Report:
    """One chat. Names are safe to print. `tools`: what the client was told to call, or would have been."""

    started: float  # Unix time
    seconds: float
    client: str
    api: str
    model: str
    status: int  # the status that the client got; 0 if none
    streamed: bool
    with_tools: bool
    observed: bool
    tools: tuple[str, ...]
    calls: int  # calls that the client got, without those that were cut off
    truncated: bool  # finish_reason: length
    ledger: Ledger
    aborted: str = ""  # why the answer broke off
    down: str = ""  # why the server gave no answer, or its error
    unread: str = ""  # why its answer was passed on unread
    unfinished: int = 0  # calls that the client got the beginning of, so that it cannot run them
    is_endless: bool = False  # a stream without a finish_reason
    told: tuple[str, ...] | None = None  # what the client was told to call, if that is not `tools`
    why_no_tools: str = ""  # if `with_tools` is false although the request has some

    @property
    def kind(self) -> Kind:
        ledger = self.ledger
        changed = bool(ledger.repairs or ledger.calls)
        if self.down or (self.status >= 400 and not ledger.calls):
            return Kind.BACKEND_ERROR
        if ledger.failure:
            return Kind.FAILED_OPEN
        if self.aborted:
            return Kind.CLIENT_LEFT if self.aborted == CLIENT_LEFT else Kind.BROKEN_OFF
        if self.unread and self.with_tools:
            return Kind.NOT_READ
        if self.left:
            return Kind.LEFT
        if changed:
            return Kind.WOULD_REPAIR if self.observed else Kind.REPAIRED
        return Kind.PASSED

    @property
    def left(self) -> bool:
        """Whether a call stayed text, or stayed damaged."""
        return not (LEAKS | FAULTS).isdisjoint(self.ledger.refused)

    @property
    def is_answer(self) -> bool:
        """Whether there was an answer in which a call could have leaked."""
        return self.with_tools and self.status > 0 and self.kind not in (Kind.BACKEND_ERROR, Kind.NOT_READ)

    @property
    def leaked(self) -> bool:
        """Whether the answer had a call in its text, whether repaired or left."""
        return self.is_answer and (bool(self.ledger.calls) or not LEAKS.isdisjoint(self.ledger.refused))

    @property
    def damaged(self) -> bool:
        """Whether nothing leaked, but calls that the server parsed were wrong, whether repaired or left."""
        found = self.ledger.repairs.keys() - WISHES or FAULTS & self.ledger.refused.keys()
        return self.is_answer and bool(found) and not self.leaked


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client got in an answer: the names of the tools to call, the number of calls, whether it was cut
    off at the token limit, how many calls have no end, whether a stream has none, and an error."""

    tools: tuple[str, ...] = ()
    calls: int = 0
    truncated: bool = False
    unfinished: int = 0
    is_endless: bool = False
    error: str = ""


UNHEARD = Heard()


def heard_in(
    body: bytes, is_stream: bool, api: Api = CHAT, mask: Mask = str, may_be_cut: bool = False
) -> Heard:
    """Read the body of an answer. `mask` hides keys in its error. `may_be_cut`: its last call may be cut off
    even if the answer does not say so."""
    messages, error = outline_of(body, is_stream, api)
    cut = any(message.finish_reason == "length" for message in messages)
    unfinished = 0
    if cut or may_be_cut:
        messages = messages_of(body, is_stream, api)
        unfinished = sum(map(_is_unfinished, messages))
    names = [call.name for m in messages for call in (_complete(m) if unfinished else m.calls)]
    is_endless = is_stream and bool(body) and not (error or _has_end(body, messages))
    tools = tuple(map(shown, names[:MOST_TOOLS]))
    return Heard(tools, len(names), cut, unfinished, is_endless, brief(mask(error)))


def _has_end(body: bytes, messages: Iterable[Message]) -> bool:
    return bool(_END.search(body[-LONGEST_END:])) or any(message.finish_reason for message in messages)


def _complete(message: Message) -> Sequence[Call]:
    """Return the calls of a message that have an end."""
    return message.calls[:-1] if _is_unfinished(message) else message.calls


def _is_unfinished(message: Message) -> bool:
    """Whether the last call of a message has no end."""
    return any(call.values is None for call in message.calls[-1:])


def brief(error: str) -> str:
    """Return the beginning of an error, without what it may quote."""
    said = _QUOTES.split(error, maxsplit=1)[0].strip(" :,")[:LONGEST_ERROR]
    return said or ("an error" if error else "")


def error_page(body: bytes) -> str:
    """Return what an error says that has no format of an API: the title of a page, or the first words."""
    if found := parse_object(body):
        return next((v for v in map(found.get, ("detail", "message")) if isinstance(v, str)), "")
    if _BINARY.search(body[:LONGEST_PAGE]):
        return ""
    text = body[:LONGEST_PAGE].decode("utf-8", "replace")
    title = _TITLE.search(text)
    words = _TAG.sub(" ", title[1] if title else _UNSEEN.sub(" ", text))
    return " ".join(html.unescape(words).split())


def client_name(user_agent: str) -> str:
    """Return the name of a client from its User-Agent."""
    return shown(client_of(user_agent))


def shown(name: Any) -> str:
    """Return a foreign name, safe to print."""
    text = "".join(filter(str.isprintable, name)) if isinstance(name, str) else ""
    return text[:LONGEST_NAME] or "unknown"
