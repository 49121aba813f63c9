"""What the chat template of Kimi K2 teaches the model to write.

A call names its tool as `functions.NAME:NUMBER`, where the calls of a conversation are counted.
"""

from ..dialect import Body, Dialect

DIALECT = Dialect(
    "kimi_k2",
    level="tolerant",
    taught=True,
    body=Body.JSON,
    in_values=False,
    wrap_open=("<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"),
    wrap_close=("<|tool_calls_section_end|>", "<|tool_call_section_end|>"),
    call_open=(
        "<|tool_call_begin|>{gap}functions.{name}:{number}{gap}<|tool_call_argument_begin|>",
        "<|tool_call_begin|>{gap}{name}:{number}{gap}<|tool_call_argument_begin|>",
        "<|tool_call_begin|>{gap}{name}<|tool_call_argument_begin|>",
    ),
    call_close=("<|tool_call_end|>",),
)
