"""Names as XML attributes: other models are taught this, and in long contexts Qwen drifts to it."""

from ..dialect import Dialect

DIALECT = Dialect(
    "attribute_name",
    rank=10,
    common=True,
    wrap_open=("<function_calls>",),
    wrap_close=("</function_calls>",),
    call_open=(
        '<function name="{name}"{attributes}>',
        '<invoke name="{name}"{attributes}>',
        '<tool_call name="{name}"{attributes}>',
    ),
    call_close=("</invoke>",),
    parameter_open=('<parameter name="{name}"{attributes}>',),
)
