"""Finds the call of the server that a piece belongs to, even if the index is missing or always the same,
or ids repeat.
"""

from ..wire.base import CallPiece
from .call import NativeCall

Found = tuple[NativeCall | None, NativeCall | None]


class Routes:
    """Where the pieces of the calls of one message go."""

    def __init__(self) -> None:
        self.turn = 0  # the number of the frame
        self.last: NativeCall | None = None  # the call that began last
        self._by_index: dict[int, NativeCall] = {}  # the server's index
        self._by_id: dict[str, NativeCall] = {}

    def begin_frame(self) -> None:
        """Another frame with calls begins."""
        self.turn += 1

    def add(self, call: NativeCall, piece: CallPiece) -> None:
        """A call begins with this piece."""
        self.last = call
        if piece.index is not None:
            self._by_index[piece.index] = call
        if piece.id:
            self._by_id.setdefault(piece.id, call)

    def find(self, piece: CallPiece, name: str) -> Found:
        """The call that a piece belongs to, and None. Or None if a new call begins, and the call that
        this may be a copy of."""
        known = self._by_id.get(piece.id)
        if piece.whole:
            return None, known
        call = self._by_index.get(piece.index) if piece.index is not None else known or self.last
        if call is None:
            return self._without_call(piece, name, known)
        if not name or not call.named:
            return call, None
        return self._named_again(call, piece, name, known)

    def _without_call(self, piece: CallPiece, name: str, known: NativeCall | None) -> Found:
        """Where a piece goes whose index no call has: only an id or a name begins a call."""
        origin = known or (None if piece.id else self.last)
        return (origin, None) if origin and not name else (None, known)

    def _named_again(self, call: NativeCall, piece: CallPiece, name: str, known: NativeCall | None) -> Found:
        """Where a piece with a name goes if the call with its index already has one: either the name is
        repeated, or the index."""
        other_id, arguments = piece.id not in ("", call.server_id), call.arguments
        is_over = arguments.findings.complete or not arguments.fed or arguments.can_end
        if other_id:
            return (None, known) if name != call.server_name or is_over else (call, None)
        if arguments.findings.complete and piece.text.strip():
            return None, call if piece.id else None
        return call, None
