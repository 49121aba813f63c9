"""The message is over and a call is open. If the model stopped by itself, the call is mended; otherwise
it is cut off.
"""

from __future__ import annotations

from ..grammar.tokens import Token, read_tag
from ..repairs import Refused, Repair
from .call_events import end_unclosed, use_spare
from .interrupted import break_off
from .message import Call, Message
from .open_value import Value
from .prose import is_whole_at_end
from .states import Step
from .value_text import break_before, finish, leave_open


def at_cut(m: Message) -> Step:
    """State: at the end of the message, with an open call."""
    call = m.open_call
    if m.server_call_end >= 0 and not call.begun and call.tool.required:
        return break_off(m, None)
    why = _why_not_whole(m, call)
    if call.value:
        _end_value(m, call, call.value, why is None)
    m.buffer.at = len(m.buffer.text)
    if why:
        return _leave(m, call, why)
    if not (call.named and (call.certain or is_whole_at_end(m, call))):
        return m.reject()
    use_spare(m, call)
    return end_unclosed(m, call.tool.name)


def _why_not_whole(m: Message, call: Call) -> Refused | None:
    """Why a call in which the message ends is not complete; None if it may be mended."""
    if not m.complete or call.body_cut:
        return Refused.TRUNCATED
    if _is_prose(call):
        return Refused.NO_CALL
    unclear = call.value is not None and (call.unclear or call.value.opened.calls > 0)
    return Refused.UNCLEAR_END if unclear else None


def _is_prose(call: Call) -> bool:
    """Whether an opening tag that nothing closes was only named: text goes on after it, and after that of
    the parameter, if there is one."""
    goes_on_in_value = call.value is not None and call.value.same_line
    return call.text_after_tag and bool(call.stray.strip()) and (goes_on_in_value or not call.begun)


def _leave(m: Message, call: Call, why: Refused) -> Step:
    if m.trial:
        return break_off(m, Refused.NO_CALL if call.is_doubtful() else why)
    if call.spare:
        m.log.commit(call.spare.mark)
    return m.leave_unended(why, call.tool)


def _end_value(m: Message, call: Call, value: Value, complete: bool) -> None:
    """The message ends in the value. If it is `complete`, the value ends here, apart from the remains of
    a closing tag."""
    text, at = m.buffer.text, m.buffer.at
    partial = text.rfind("<", at)
    begins = partial >= 0 and text[partial:] in ("<", "</") and not complete
    end = partial if partial >= 0 and (begins or _is_cut_closer(m, call, value, partial)) else len(text)
    end = break_before(text, at, end)
    end -= not complete and text.startswith("\r", end - 1) and end > at  # half a line break
    if complete:
        finish(m, end)
        m.log.repair(Repair.MISSING_PARAMETER_CLOSE, "")
    else:
        leave_open(m, end)


def _is_cut_closer(m: Message, call: Call, value: Value, at: int) -> bool:
    """Whether the message ends in an unfinished closing tag that begins here."""
    text = m.buffer.text
    if not text.startswith("</", at) or len(text) - at < 3:
        return False
    token = read_tag(text, at, True) if m.tolerant else None
    alike = isinstance(token, Token) and token.end == len(text) and bool(call.place.alike(token))
    return alike or value.tables.within.may_begin(text, at)
