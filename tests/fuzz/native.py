"""Arguments of a call that the server parsed, through the mender: what a client gets of them."""

import json
import re
from collections.abc import Iterable
from typing import Any

from fuzz.samples import Judged, Sample, Verdict, declared
from support.cuts import all_cuts, joined, per_character
from toolstream.ledger import Ledger
from toolstream.native.new_arguments import new_arguments
from toolstream.parser.parser import argument_parsers
from toolstream.schema.schema import read_tools
from toolstream.schema.toolset import Toolset

_PAIR = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")


class Mended:
    """What went out for arguments that came in these pieces; `tool` is as a request declares it."""

    def __init__(self, tool: dict[str, Any], pieces: Iterable[str], stopped: bool) -> None:
        ledger, (declared,) = Ledger(), read_tools([tool]).values()
        toolset = Toolset([tool])
        mended = new_arguments(toolset, argument_parsers(toolset))(declared, ledger)
        for piece in pieces:
            mended.feed(piece)
        mended.close(stopped)
        self.text, self.complete, self.more = (
            joined(mended.text),
            mended.findings.complete,
            mended.findings.swallowed,
        )
        self.repairs = [str(repair) for repair in sorted(ledger.repairs.elements())]
        self.refused = [str(reason) for reason in sorted(ledger.refused.elements())]

    @property
    def outcome(self) -> tuple[Any, ...]:
        """All that must not depend on the cuts. A pair of surrogates that was cut may leave escaped."""
        text = _PAIR.sub(lambda found: joined(chr(int(found[1], 16)) + chr(int(found[2], 16))), self.text)
        return text, self.complete, self.more, self.repairs, self.refused

    @property
    def value(self) -> Any:
        return json.loads(self.text)


def at_every_cut(tool: dict[str, Any], text: str, stopped: bool = True) -> Mended:
    """What goes out for these arguments, the same wherever they are cut."""
    whole = Mended(tool, [text], stopped)
    for pieces in all_cuts(text):
        assert Mended(tool, pieces, stopped).outcome == whole.outcome, pieces
    return whole


def mended(sample: Sample) -> Judged:
    """Judge a sample that is the arguments of its call, of a tool that is its only one."""
    (tool,), ((_, arguments),) = declared(sample.tools), sample.calls
    whole, cut = (Mended(tool, pieces, True) for pieces in ([sample.text], per_character(sample.text)))
    if whole.outcome != cut.outcome:
        return Judged(Verdict.CUT, f"{whole.outcome}\n      or {cut.outcome}")
    if not whole.complete:
        return Judged(Verdict.TEXT, whole.text)
    right = whole.value == arguments and not whole.more
    return Judged(Verdict.EXACT if right else Verdict.WRONG, whole.text)
