"""Makes a sample that did not come out as small as it can be, and a case of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from fuzz.known import case_text
from fuzz.samples import Judged, Sample, Verdict, judge
from qwenproxy.replay.casefile import read_tool
from support.cuts import joined

TRIES = 600  # judgements; each takes some milliseconds


def shrunk(sample: Sample, judged: Judged, seed: int = 0) -> Sample:
    """The sample with all left out that its verdict does not need."""
    if judged.verdict in (Verdict.CUT, Verdict.RAISED, Verdict.LOST):
        core, remake = sample.text, lambda text: replace(sample, text=text)
    elif sample.remake:
        core, remake = sample.core, sample.remake
    else:
        return sample

    def fails(text: str) -> bool:
        shorter = remake(text)
        return shorter is not None and judge(shorter, seed).verdict is judged.verdict

    return remake(shortest(core, fails)) or sample


def shortest(text: str, fails: Callable[[str], bool], tries: int = TRIES) -> str:
    """The text without all lines, and then without all characters, that it fails without as well."""
    for pieces_of in (partial(str.splitlines, keepends=True), list):
        pieces = pieces_of(text)
        size = len(pieces)
        while size:
            at = 0
            while at < len(pieces) and (tries := tries - 1) > 0:
                shorter = pieces[:at] + pieces[at + size :]
                if fails("".join(shorter)):
                    pieces = shorter
                else:
                    at += size
            size //= 2
        text = "".join(pieces)
    return text


def as_case(sample: Sample, judged: Judged) -> str:
    """The case to keep. If it is not known what the text should come to, the case says that it stays text,
    until somebody writes what is right."""
    left, calls = sample.left, sample.calls
    if sample.check or judged.verdict in (Verdict.CUT, Verdict.RAISED):
        left, calls = joined(sample.text), ()
    options = sample.options
    choice = options.get("tool_choice", "auto")
    return case_text(
        [read_tool(line) for line in sample.tools],
        joined(sample.text),
        left,
        calls,
        options.get("recovery", "tolerant"),
        sample.finish,
        title=f"{sample.row} {sample.about}".replace("\n", " ").strip(),
        bug=f"{judged.verdict}",
        choice=choice if isinstance(choice, str) else json.dumps(choice),
        parallel=options.get("parallel", True),
        reasoning=options.get("reasoning", False),
    )
