"""What the chat templates of Qwen3-Coder, Qwen3.5 and later teach the model to write."""

from ..dialect import Dialect
from ..writing import Declared, Writing

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
    stray=("<|{ending}|>", "</s>", "<eos>", "<end_of_turn>", "<|im_start|>assistant", "</{closer}>"),
    writing=Writing(
        call="<tool_call>\n<function={name}>\n{arguments}</function>\n</tool_call>",
        parameter="<parameter={key}>\n{value}\n</parameter>\n",
        result="<tool_response>\n{content}\n</tool_response>",
        tools=(
            "# Tools\n\nYou have access to the following functions:\n\n<tools>\n{tools}</tools>\n\n"
            "If you choose to call a function ONLY reply in the following format with NO suffix:\n\n"
            "<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n"
            "</parameter>\n<parameter=example_parameter_2>\nThis is the value for the second parameter\n"
            "that can span\nmultiple lines\n</parameter>\n</function>\n</tool_call>\n\n"
            "<IMPORTANT>\nReminder:\n"
            "- Function calls MUST follow the specified format: an inner <function=...></function> block "
            "must be nested within <tool_call></tool_call> XML tags\n"
            "- Required parameters MUST be specified\n"
            "- You may provide optional reasoning for your function call in natural language BEFORE the "
            "function call, but NOT after\n- If there is no function call available, answer the question "
            "like normal with your current knowledge and do not tell the user about function calls\n"
            "</IMPORTANT>"
        ),
        declared=Declared.XML,
    ),
)
