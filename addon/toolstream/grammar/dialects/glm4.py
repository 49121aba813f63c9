"""What the chat template of GLM 4.7 teaches the model to write: keys and values in elements of their own.

GLM 4.5 writes a line break after the name. Such a call is read as well, but counts as a foreign spelling,
because Qwen models write it when they drift.
"""

from ..dialect import Dialect
from ..writing import Writing

DIALECT = Dialect(
    "glm4",
    level="tolerant",
    taught=True,
    needs_no_closer=True,
    in_values=False,
    wrap_open=("<tool_call>",),
    wrap_close=("</tool_call>",),
    call_in_envelope=("{tool}~<arg_key>", "{tool}~</tool_call>"),
    parameter_open=("<arg_key>{name}</arg_key>{gap}<arg_value>",),
    parameter_close=("</arg_value>",),
    writing=Writing(
        call="<tool_call>{name}{arguments}</tool_call>",
        parameter="<arg_key>{key}</arg_key><arg_value>{value}</arg_value>",
        result="<tool_response>{content}</tool_response>",
        tools=(
            "# Tools\n\nThese functions can be called:\n<tools>\n{tools}</tools>\n\n"
            "To call one, write exactly this, with one pair of elements for each argument:\n"
            "<tool_call>FUNCTION<arg_key>NAME</arg_key><arg_value>VALUE</arg_value></tool_call>"
        ),
    ),
)
