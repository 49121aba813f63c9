"""Tag soup: whole tags, pieces of tags, names, fences, JSON and letters, most of it nearly a call."""

from hypothesis import strategies as st

from support.cases import read_tool
from toolstream.parser.parser import LEVELS

TOOLS = [
    read_tool("read(path: string, limit?: integer)"),
    read_tool('edit(path: string, edits: {"type": "array"}, note?: string|null)'),
    read_tool("refresh()"),
]
TAGS = [
    *("<tool_call>", "</tool_call>", "<function=read>", "<function=refresh>", "<function=edit>"),
    *("</function>", "<parameter=path>", "<parameter=limit>", "<parameter=edits>", "<parameter=other>"),
    *("</parameter>", "<function=unknown>", '<invoke name="read">', "</invoke>", '<parameter name="path">'),
    *("<think>", "</think>", "<|im_end|>", "</function_invocation>", "<function=Read>"),
]
PIECES = [
    *("<", "</", ">", "=", "<tool_", "call>", "<func", "</func", "<parameter", "<parameter=", "</para"),
    *("\n", "\n", "\n", "\r\n", "\r", " ", "\t", "    ", "\n\n", "`", "``", "```", "\n```\n", "~~~", "- "),
    *("{", "}", "[", "]", '"', "\\", '{"name": "read", "arguments": {"path": "x"}}', '{"path": "x"}'),
    *("a", "text. ", "5", "null", "true", "é", "😀", "\ud83d", "\ude00", "\x00", "&lt;"),
]
CALLS = [
    "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
    "<function=refresh>\n</function>\n",
    "\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>\n<function=edit>\n<parameter=note>\n",
    '<tool_call>\n{"name": "refresh", "arguments": {}}\n</tool_call>',
]
SOUP = st.lists(
    st.one_of(
        st.sampled_from(TAGS),
        st.sampled_from([f"\n{tag}\n" for tag in TAGS]),
        st.sampled_from(PIECES),
        st.sampled_from(CALLS),
        st.text(max_size=4),
    ),
    max_size=24,
).map("".join)
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter", None])
CHOICE = st.sampled_from(
    ["auto", "auto", "required", "none", {"type": "function", "function": {"name": "read"}}]
)
OPTIONS = st.fixed_dictionaries(
    {
        "recovery": st.sampled_from(LEVELS),
        "tool_choice": CHOICE,
        "parallel": st.booleans(),
        "live": st.booleans(),
        "reasoning": st.booleans(),
    }
)


def is_subsequence(short: str, long: str) -> bool:
    """Whether all of `short` is in `long`, in order."""
    rest = iter(long)
    return all(char in rest for char in short)
