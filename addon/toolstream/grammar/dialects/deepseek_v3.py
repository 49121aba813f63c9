"""What the chat templates of DeepSeek V3.1 and R1 teach, and so their distils of Qwen.

The bars are full-width, and the blanks in a word are lower one eighth blocks. R1 names the kind of the call
first, and puts the arguments into a fence.
"""

# ruff: noqa: RUF001

from ..dialect import Body, Dialect

DIALECT = Dialect(
    "deepseek_v3",
    level="tolerant",
    taught=True,
    body=Body.JSON,
    in_values=False,
    wrap_open=("<｜tool▁calls▁begin｜>",),
    wrap_close=("<｜tool▁calls▁end｜>",),
    call_open=(
        "<｜tool▁call▁begin｜>{tool}<｜tool▁sep｜>",
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{tool}{gap}```json",
    ),
    call_close=("<｜tool▁call▁end｜>", "```<｜tool▁call▁end｜>"),
    stray=("<｜end▁of▁sentence｜>",),
)
