"""What the chat template of MiniMax M2 teaches the model to write."""

from ..dialect import Dialect
from ..writing import Declared, Writing

DIALECT = Dialect(
    "minimax_m2",
    level="tolerant",
    taught=True,
    in_values=False,
    wrap_open=("<minimax:tool_call>",),
    wrap_close=("</minimax:tool_call>",),
    call_open=('<invoke name="{name}">',),
    call_close=("</invoke>",),
    parameter_open=('<parameter name="{name}">',),
    parameter_close=("</parameter>",),
    writing=Writing(
        call='<minimax:tool_call>\n<invoke name="{name}">\n{arguments}</invoke>\n</minimax:tool_call>',
        parameter='<parameter name="{key}">{value}</parameter>\n',
        result="<response>{content}</response>",
        tools=(
            "# Tools\n\nThese functions can be called:\n<tools>\n{tools}</tools>\n\n"
            "To call one, write exactly this, with one <parameter> for each argument:\n"
            '<minimax:tool_call>\n<invoke name="FUNCTION">\n'
            '<parameter name="NAME">VALUE</parameter>\n'
            "</invoke>\n</minimax:tool_call>"
        ),
        tool="<tool>{tool}</tool>\n",
        declared=Declared.FUNCTIONS,
    ),
)
