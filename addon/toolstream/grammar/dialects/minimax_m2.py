"""What the chat template of MiniMax M2 teaches the model to write."""

from ..dialect import Dialect

DIALECT = Dialect(
    "minimax_m2",
    taught=True,
    wrap_open=("<minimax:tool_call>",),
    wrap_close=("</minimax:tool_call>",),
    call_open=('<invoke name="{name}">',),
    call_close=("</invoke>",),
    parameter_open=('<parameter name="{name}">',),
    parameter_close=("</parameter>",),
)
