"""The tool's name in an element of its own, or in the tag of something else.

Such a name opens a call only if a parameter or JSON arguments follow. `{slot}` is a word such as `name`
in the place of the name.
"""

from ...repairs import Repair
from ..dialect import Dialect

DIALECT = Dialect(
    "misplaced_name",
    rank=30,
    repair=Repair.NAME_MISPLACED,
    needs_no_closer=True,
    in_values=False,
    call_open=(
        "<tool_name>{name}</tool_name>~<parameter",
        "<tool_name>{name}</tool_name>~{",
        "<function>{tool}</function>~{",
        "<function>{tool}</function>~<parameter=",
        "<name>{tool}</name>~<parameter=",
        "<name>{gap}{tool}~<parameter=",
        "<name>{gap}{tool}~</parameter",
        '<name>{tool},{gap}"arguments":~{',
        '<name="{tool}",{gap}"arguments":~{',
        "<parameter={tool}>~<parameter=",
        "<function={slot}>{gap}{tool}~<parameter=",
    ),
    call_in_envelope=(
        "<tool_name>{name}</tool_name>",
        "<function>{name}</function>",
        "<name>{name}</name>",
        '{"name":{gap}"{tool}"{gap},~<parameter=',
        '{"name":{gap}"{tool}"{gap},{gap}"arguments":~<parameter=',
        '{"function={tool}>~<parameter=',
        "{tool}\n~{",
    ),
    parameter_open=("<parameter>{key}</parameter>",),
    wrap_open=("<tool>~<tool_name",),
    wrap_close=("</tool>",),
    stray=("}~</tool_call>",),
    nameless_open=("<tool_name>~<parameter=", "<function=>~<parameter="),
)
