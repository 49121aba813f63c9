"""Valid calls with one slip: the outcome is a reading of what was written, never something in between.

Which readings are legal for which slip is the matter of `mutations`; that the checks can fail is
shown in `test_oracle`. Every outcome must moreover be the same at every cut, and, since the
model stopped by itself, for a caller that does not stream.
"""

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import tools
from fuzz.messages import PLACES, check, messages, outcome_of
from fuzz.settings import fuzzed
from toolstream.parser.parser import LEVELS


@fuzzed(150)
@given(st.data(), st.sampled_from(LEVELS), PLACES)
def test_calls_without_a_slip(data: st.DataObject, level: str, places: list[int]) -> None:
    """They are found, with their arguments as they were, and the canonical ones without a repair."""
    of = data.draw(tools())
    message = data.draw(messages(of, slip=False))
    outcome = outcome_of(message, of, level, places)
    check(message, outcome, of, level)


@fuzzed(250)
@given(st.data(), st.sampled_from(LEVELS), PLACES)
def test_a_call_with_one_slip(data: st.DataObject, level: str, places: list[int]) -> None:
    of = data.draw(tools())
    message = data.draw(messages(of, slip=True))
    check(message, outcome_of(message, of, level, places), of, level)
