"""An answer whose content-type says too little: its first bytes decide what becomes of it (`form`).

Until they do, nothing is sent; they are few. A stream is then rewritten live. A whole answer is held until
its end. Anything else is passed on as it arrives, byte for byte.
"""

from collections.abc import Callable

from toolstream import StreamRewriter

from .answer import StreamedAnswer
from .apis import Api
from .encoding import LIMIT
from .form import Form, form_of
from .outcome import Outcome

LONGEST_START = 1 << 16  # bytes from which it must be clear what a body is


class UntypedAnswer(StreamedAnswer):
    """The stream callable of such an answer. `rewrite_whole` is for one that is not streamed."""

    def __init__(
        self,
        rewriter: StreamRewriter,
        rewrite_whole: Callable[[bytes], Outcome],
        expects_stream: bool,
        observe: bool = False,
        keepalive: float = 0.0,
        *,
        api: Api,
    ) -> None:
        super().__init__(rewriter, None, observe, keepalive=keepalive, api=api)
        self.form = None
        self._rewrite_whole = rewrite_whole
        self._expects_stream = expects_stream
        self._size = 0  # bytes that are held back until the form is known, or the end of a whole answer

    @property
    def held(self) -> int:
        return self._size or super().held

    def _kept_alive(self, out: list[bytes]) -> list[bytes]:
        return super()._kept_alive(out) if self.form is Form.STREAM else out

    def _rewritten(self, piece: bytes) -> list[bytes]:
        if self.form is Form.STREAM:
            return super()._rewritten(piece)
        if self.form is Form.OTHER:
            return [piece]
        self._size += len(piece)
        if self.form is None:
            self.form = self._form()
        if self._size > LIMIT:
            self.form = Form.OTHER
        if self.form in (None, Form.WHOLE):
            return []
        self._size = 0
        body = self._body()
        return super()._rewritten(body) if self.form is Form.STREAM else [body]

    def _form(self) -> Form | None:
        is_enough = self._size > LONGEST_START
        return form_of(self._body(), self._api, self._expects_stream, is_enough)

    def _close(self) -> list[bytes]:
        if self.form is Form.STREAM:
            return super()._close()
        if not self._size:
            return []
        self._size = 0
        body = self._body()
        self.form = self.form or form_of(body, self._api, self._expects_stream, is_over=True)
        out = self._whole(body) if self.form is Form.WHOLE else [body]
        self.outcome.out += out
        return out

    def _whole(self, body: bytes) -> list[bytes]:
        outcome = self._rewrite_whole(body)
        self.outcome.ledger = outcome.ledger
        return outcome.out

    def _body(self) -> bytes:
        return b"".join(self.outcome.chunks)
