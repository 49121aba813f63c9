"""Tags named after the tool and its parameters, as agents with their own prompts teach them."""

from ..dialect import Dialect

DIALECT = Dialect(
    "direct_tag",
    rank=70,
    by_name=True,
    in_values=False,
    common=True,
    call_open=("<{tool}>",),
    call_in_envelope=("{tool}\n~<",),
    call_close=("</{tool}>",),
    parameter_open=("<{key}>",),
    parameter_close=("</{key}>",),
)
