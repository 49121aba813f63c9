"""Calls announced in words, and envelopes that no template of Qwen has: for the aggressive level."""

from ..dialect import Dialect

DIALECT = Dialect(
    "announced",
    rank=60,
    level="aggressive",
    needs_no_closer=True,
    in_values=False,
    wrap_open=(
        "<toolcall>",
        "<tool_code>",
        "<|tool_call|>",
        "<|tool_call_start|>",
        "<tool_call_start|>",
    ),
    wrap_close=(
        "</toolcall>",
        "</tool_code>",
        "<|/tool_call|>",
        "<|tool_call_end|>",
        "<tool_call_end|>",
    ),
    line_open=(
        "[Calling tool: {tool}(~{",
        "Calling tool: {tool}(~{",
    ),
)
