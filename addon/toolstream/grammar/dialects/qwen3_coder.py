"""What the chat templates of Qwen3-Coder, Qwen3.5 and later teach the model to write."""

from ..dialect import Dialect

DIALECT = Dialect(
    "qwen3_coder",
    rank=0,
    taught=True,
    level="strict",
    wrap_open=("<tool_call>",),
    wrap_close=("</tool_call>",),
    call_open=("<function={name}>",),
    call_close=("</function>",),
    parameter_open=("<parameter={name}>",),
    parameter_close=("</parameter>",),
    think_open=("<think>",),
    think_close=("</think>",),
    result_open=("<tool_response>", "<tool_result>", "<result>", "<output>"),
    result_close=("</tool_response>", "</tool_result>", "</result>", "</output>"),
    comment_open=("<!--",),
    stray=("<|im_end|>", "<|endoftext|>", "<|im_start|>assistant", "</{closer}>"),
)
