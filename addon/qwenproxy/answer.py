"""One answer on its way to the client: teed, decoded, rewritten, and never lost.

`StreamedAnswer` is the callable that mitmproxy feeds with each piece of a streamed body and,
only if the body ends cleanly, with `b""`. If the callable raises, mitmproxy loses the piece. If it
returns an empty piece, mitmproxy ends the body. So nothing here raises, and nothing empty is
returned. `rewrite_whole` does the same for a body that is complete.

Fail open: an error costs the rewriting, not the answer. The traceback is kept in
`ledger.failure`, and from there on the bytes are passed through unchanged.

While the rewriter holds text back and the server keeps sending, the client gets a sign of life from time to
time, if its API has one: a comment, a ping. Many clients give up after a minute without a byte. These signs
are not recorded.

The `Outcome` holds what came, when it came and what it became, for recordings, the user
interface and the log.
"""

import time
import traceback
from collections.abc import Callable
from typing import Any

from toolstream import Ledger, Rules, StreamRewriter, rewrite_completion

from .apis import CHAT, Api
from .encoding import BrokenError, Decoder, TooLargeError
from .errors import too_large_frame
from .form import Form
from .outcome import Outcome, pass_whole

_SLICE = 1 << 16  # about as much as one read from a socket


class StreamedAnswer:
    """The stream callable of one answer. Without a rewriter everything is passed through."""

    form: Form | None = Form.STREAM

    def __init__(
        self,
        rewriter: StreamRewriter | None,
        decoder: Decoder | None = None,
        observe: bool = False,
        clock: Callable[[], float] = time.monotonic,
        keepalive: float = 0.0,  # longest silence in seconds; 0: no limit
        api: Api = CHAT,
    ) -> None:
        self.outcome = Outcome(ledger=rewriter.ledger if rewriter else Ledger())
        self._rewriter = rewriter
        self._decode: Callable[[bytes], bytes] | None = decoder.feed if decoder else None
        self._observe = observe
        self._clock = clock
        self._start = self._last_sent = clock()
        self._api = api
        self._sign_of_life = api.wire.keep_alive
        self._keepalive = keepalive if self._sign_of_life else 0.0
        self._tail = api.frame_ends[0]  # of what the client has received

    def __call__(self, wire: bytes) -> list[bytes]:
        """Take a piece of the wire, b"" at the end; return what goes to the client."""
        out = self._feed(wire) if wire else self._close()
        if not self._observe:
            return self._kept_alive(out) if wire and self._keepalive else out
        return [wire] if wire else []

    @property
    def held(self) -> int:
        """Return how many bytes are held back."""
        return self._rewriter.held if self._rewriter else 0

    def _kept_alive(self, out: list[bytes]) -> list[bytes]:
        """Return the pieces. After too long a silence return a sign of life, if one may stand here."""
        now = self._clock()
        if out:
            self._last_sent, self._tail = now, (self._tail + b"".join(out))[-4:]
            return out
        is_over = self._rewriter is None or self._decode is _nothing
        in_frame = not self._tail.endswith(self._api.frame_ends)
        if is_over or in_frame or now - self._last_sent < self._keepalive:
            return []
        self._last_sent = now
        return [self._sign_of_life]

    def _feed(self, wire: bytes) -> list[bytes]:
        try:
            piece = self._decoded(wire) if self._decode else wire
        except TooLargeError as e:
            return self._refuse(e)
        if not piece:
            return []
        outcome = self.outcome
        outcome.chunks.append(piece)
        outcome.times.append(self._clock() - self._start)
        out = self._rewritten(piece)
        if b"" in out:
            out = [p for p in out if p]
        outcome.out += out
        return out

    def _rewritten(self, piece: bytes) -> list[bytes]:
        """Rewrite a piece, in slices: the events of a piece full of line breaks take 30 times its size."""
        out: list[bytes] = []
        for start in range(0, len(piece), _SLICE):
            part = piece[start : start + _SLICE]
            try:
                out += self._rewriter.feed(part) if self._rewriter else [part]
            except Exception:
                self._give_up_rewriting()
                out.append(part)
        return out

    def _close(self) -> list[bytes]:
        if self._rewriter is None:
            return []
        try:
            out = [p for p in self._rewriter.close() if p]
        except Exception:
            self._give_up_rewriting()
            return []
        self.outcome.out += out
        return out

    def _decoded(self, wire: bytes) -> bytes:
        assert self._decode is not None
        try:
            return self._decode(wire)
        except TooLargeError:
            raise
        except Exception as e:
            # The client was told that the body is not encoded, so it cannot use the rest.
            self._decode = _nothing
            said = str(e) if isinstance(e, BrokenError) else f"the body cannot be decoded: {e}"
            self.outcome.aborted = said
            return getattr(e, "decoded", b"")

    def _refuse(self, error: TooLargeError) -> list[bytes]:
        """Return what is held back, then the error as an event or a line. Nothing follows."""
        held, frame = self._close(), too_large_frame(error, self._api)
        ends = self._api.frame_ends
        if self.outcome.out and not self.outcome.out[-1].endswith(ends):
            frame = ends[0] + frame
        self._decode, self._rewriter = _nothing, None
        self.outcome.aborted = str(error)
        self.outcome.out.append(frame)
        return [*held, frame]

    def _give_up_rewriting(self) -> None:
        self._rewriter = None
        self._note_failure()

    def _note_failure(self) -> None:
        ledger = self.outcome.ledger
        ledger.failure = ledger.failure or traceback.format_exc()


def _nothing(_wire: bytes) -> bytes:
    return b""


def pass_live(api: Api, form: Form) -> StreamedAnswer:
    """Return the stream callable for an answer that is passed on as it comes."""
    answer = StreamedAnswer(None, observe=True, api=api)
    answer.form = form
    return answer


def rewrite_streamed(
    request_body: dict[str, Any],
    recovery: str,
    decoder: Decoder | None,
    observe: bool,
    rules: Rules | None = None,
    keepalive: float = 0.0,
    api: Api = CHAT,
) -> StreamedAnswer:
    """Return the stream callable for the answer to this request."""
    rewriter = StreamRewriter(request_body, recovery=recovery, rules=rules, api=api.name)
    return StreamedAnswer(rewriter, decoder, observe, keepalive=keepalive, api=api)


def rewrite_whole(
    request_body: dict[str, Any],
    recovery: str,
    body: bytes,
    is_stream: bool,
    rules: Rules | None = None,
    api: Api = CHAT,
) -> Outcome:
    """Rewrite a complete body: an answer that was not streamed, or all of a stream."""
    if is_stream:
        answer = rewrite_streamed(request_body, recovery, None, False, rules, api=api)
        answer(body)
        answer(b"")
        return answer.outcome
    outcome = pass_whole(body)
    try:
        rewritten, outcome.ledger = rewrite_completion(
            request_body, body, recovery=recovery, rules=rules, api=api.name
        )
        outcome.out = [rewritten]
    except Exception:
        outcome.ledger.failure = traceback.format_exc()
    return outcome
