"""What the chat templates of GLM 4.5 to 4.7 teach the model to write: keys and values in elements.

Without the line breaks that 4.5 writes after names and keys, as 4.7 does. With one after the name a call
is counted as a foreign spelling: Qwen writes it so when it drifts.
"""

from ..dialect import Dialect

DIALECT = Dialect(
    "glm4",
    taught=True,
    closed=True,
    in_values=False,
    wrap_open=("<tool_call>",),
    wrap_close=("</tool_call>",),
    call_in_envelope=("{tool}~<arg_key>", "{tool}~</tool_call>"),
    parameter_open=("<arg_key>{name}</arg_key>{gap}<arg_value>",),
    parameter_close=("</arg_value>",),
)
