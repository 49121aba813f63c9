"""What a file holds arrives as it is: tags, examples, fences and blanks inside of values (P4, P5)."""

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import tools
from fuzz.messages import PLACES, check, outcome_of
from fuzz.noise import noisy_messages
from fuzz.settings import fuzzed
from toolstream.parser.parser import LEVELS


@fuzzed(200)
@given(st.data(), st.sampled_from(LEVELS), PLACES)
def test_values_arrive_as_they_are(data: st.DataObject, level: str, places: list[int]) -> None:
    of = data.draw(tools())
    message = data.draw(noisy_messages(of))
    outcome = outcome_of(message, of, level, places)
    check(message, outcome, of, level)
    assert set(outcome.repairs) <= {"missing-tool-call-open"}, (outcome.repairs, message.text)
