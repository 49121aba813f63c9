"""Past findings at many cuts; those with `#bug` are expected to fail, and to lose that line once mended."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from fuzz.known import ARGUMENTS, FOLDER
from fuzz.native import Mended
from qwenproxy.replay.casefile import Case
from support.cases import read_all
from support.checks import check, normal
from support.cuts import Cuts


def parameters(cases: Iterable[Case]) -> Iterator[Any]:
    for case in cases:
        marks = [pytest.mark.xfail(reason=case.bug, strict=True)] if case.bug else []
        yield pytest.param(case, id=str(case), marks=marks)


@pytest.mark.parametrize("case", list(parameters(read_all(FOLDER))))
def test_finding(case: Case, cuts: Cuts) -> None:
    check(case, cuts)


@pytest.mark.parametrize("case", list(parameters(read_all(ARGUMENTS))))
def test_finding_in_parsed_arguments(case: Case, cuts: Cuts) -> None:
    tool = case.request["tools"][0]
    for pieces in cuts(case.input):
        mended = Mended(tool, pieces, stopped=case.finish == "stop")
        called = [(tool["function"]["name"], mended.text)] if mended.complete else []
        assert normal(called) == normal(case.calls), f"cut into {pieces}"
        assert mended.complete or mended.text == case.text, f"cut into {pieces}"
        assert (mended.repairs, mended.refused) == ([*case.repairs], [*case.refused]), f"cut into {pieces}"
