"""Envelopes that other models are taught for JSON calls, or that stand around other envelopes. LM Studio
teaches the one in square brackets to models whose own format it does not know."""

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
        "[TOOL_REQUEST]~{",
    ),
    wrap_close=("</tools>", "</function_call>", "</tool_calls>", "[END_TOOL_REQUEST]"),
    in_values=False,
)
