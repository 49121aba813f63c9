"""Keys and values in elements of their own. GLM is taught this; fine-tunes of Qwen write it, too."""

from ..dialect import Dialect

DIALECT = Dialect(
    "arg_key",
    rank=50,
    needs_no_closer=True,
    in_values=False,
    call_in_envelope=("{tool}~</arg_value>",),
    parameter_open=("<arg_key>{name}</arg_key>{gap}<arg_value>",),
    parameter_close=("</arg_value>",),
)
