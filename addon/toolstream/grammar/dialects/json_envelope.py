"""Envelopes that other models are taught for JSON calls, or that stand around other envelopes."""

from ..dialect import Dialect

DIALECT = Dialect(
    "json_envelope",
    rank=40,
    wrap_open=(
        "<tools>~{",
        "<tools>~[",
        "<function>~{",
        "<function_call>~{",
        "<function_call>~[",
        "<function_call>~<function=",
        "<tool_calls>~{",
        "<tool_calls>~[",
        "<tool_calls>~<tool_call>",
        "<tool_calls>~<function=",
        "<tool_calls>~<invoke ",
        "<tool_calls>~<tool>",
        "<tool_calls>~<tool_name>",
        "<tool_calls>~<parameter=",
    ),
    wrap_close=("</tools>", "</function_call>", "</tool_calls>"),
    in_values=False,
)
