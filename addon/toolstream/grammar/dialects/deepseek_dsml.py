"""DSML, which DeepSeek V3.2 and V4 are taught.

The bars are full-width. `string="true"` says that a value is text, `string="false"` that it is JSON. Both
are ignored: the types come from the tool's schema.
"""

# ruff: noqa: RUF001

from ..dialect import Dialect
from ..writing import Declared, Writing

DIALECT = Dialect(
    "deepseek_dsml",
    level="tolerant",
    taught=True,
    in_values=False,
    wrap_open=("<｜DSML｜function_calls>", "<｜DSML｜tool_calls>"),
    wrap_close=("</｜DSML｜function_calls>", "</｜DSML｜tool_calls>"),
    call_open=('<｜DSML｜invoke name="{name}">',),
    call_close=("</｜DSML｜invoke>",),
    parameter_open=(
        '<｜DSML｜parameter name="{name}" string="true">',
        '<｜DSML｜parameter name="{name}" string="false">',
        '<｜DSML｜parameter name="{name}">',
    ),
    parameter_close=("</｜DSML｜parameter>",),
    writing=Writing(
        call=(
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="{name}">\n{arguments}</｜DSML｜invoke>\n'
            "</｜DSML｜function_calls>"
        ),
        parameter='<｜DSML｜parameter name="{key}" string="{is_string}">{value}</｜DSML｜parameter>\n',
        result="<result>{content}</result>",
        tools=(
            "# Tools\n\nThese functions can be called:\n<tools>\n{tools}</tools>\n\n"
            "To call one, write exactly this, with one parameter for each argument:\n"
            '<｜DSML｜function_calls>\n<｜DSML｜invoke name="FUNCTION">\n'
            '<｜DSML｜parameter name="NAME" string="true">TEXT</｜DSML｜parameter>\n'
            '<｜DSML｜parameter name="NAME" string="false">JSON</｜DSML｜parameter>\n'
            "</｜DSML｜invoke>\n</｜DSML｜function_calls>"
        ),
        declared=Declared.FUNCTIONS,
    ),
)
