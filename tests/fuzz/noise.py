"""Values that hold what ends, opens or quotes values, in every way the policies promise to keep (P4, P5).

Promised, byte for byte: a tag with other text on both sides of it on its line; a whole example
call, its tags alone on their lines, in any dialect, with the keys of the tool itself; an example on
one line between quotes; fences, think tags, stop tokens, JSON calls, other tags, alone on a line or
not; blank lines, also first and last; CRLF and any other character.

Not promised, and left out, for there the text has two readings:
- a structural tag that ends its line, or stands alone on it, and is no part of a whole example: a
  closing one may be the real one, `<parameter=X>` of a key not yet given a missing closer, an
  opening one the beginning of an example that is not whole;
- a value that ends in `\r`: with the line break of the markup it is CRLF;
- blanks where the tag and the value share a line and the value begins or ends with a line break.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from fuzz.calls import CANONICAL, NEWLINES, Call, Style, Tool, calls, prose, text_of, write, write_json
from fuzz.messages import Block, Message
from fuzz.mutations import Reading

STRUCTURAL = (
    *("<tool_call>", "</tool_call>", "<function=read>", "<function={tool}>", "</function>"),
    *("<parameter={key}>", "<parameter=path>", "</parameter>", "</parameter>\\n</function>"),
    *(
        '<invoke name="{tool}">',
        "</invoke>",
        "</function_calls>",
        '<parameter name="{key}">',
        '<function name="read">',
    ),
)
HARMLESS = (
    *("<think>", "</think>", "<|im_end|>", "<|endoftext|>", "<toolbar>"),
    *("```", "```xml", "~~~", "~~~~", "`", "``", "- ", "> ", "a < b", "std::function<void>", "&lt;", "null"),
    *("<tool_", "</", "<", "</para", "<function", "<parameter", "<tool_call"),
    *('{"name": "{tool}", "arguments": {}}', "{", "}", "[", "]", '"', "\\", "\\n"),
)
CHARACTERS = st.characters(exclude_characters="<\r\n", exclude_categories=["Cs"])
WORDS = st.sampled_from(["x = ", '"', "see ", "#"]) | st.text(CHARACTERS, min_size=1).filter(str.strip)
EDGES = st.sampled_from(["", "", "\n", "\n\n"])


def named(text: str, tool: Tool) -> str:
    """The text with the name of the tool, and of one of its keys."""
    return text.replace("{tool}", tool.name).replace("{key}", next(iter(sorted(tool.keys)), "path"))


@dataclass(frozen=True, slots=True)
class Noise:
    """What the values of one message may hold. A closing sequence that is quoted in full, all on one
    line or alone on its lines, is payload once our own closers come, but not before a call: there is
    no telling an example behind it from the next call. So it is one or the other."""

    tools: list[Tool]
    closers: bool  # closing sequences, and no examples


OTHER = Tool("ls", (("path", "string", False), ("all", "boolean", False)))
EXAMPLES = (CANONICAL, Style(wrapped=False), Style("invoke", wrapped=False), Style("attribute"))
CLOSERS = (
    *("</parameter></function></tool_call>", "</parameter>\n</function>\n</tool_call>"),
    *("</parameter>\n</function>", "</function>\n</tool_call>"),
    *("</parameter>", "</function>", "</tool_call>"),
)


@st.composite
def examples(draw: st.DrawFn, noise: Noise) -> str:
    """A whole call, of one of the tools or of another."""
    call = draw(calls([*noise.tools, OTHER]))
    if draw(st.booleans()):
        return write_json(call, draw(st.sampled_from([None, 2])))
    return text_of(write(call, draw(st.sampled_from(EXAMPLES))))


@st.composite
def quoted_tags(draw: st.DrawFn, tool: Tool) -> str:
    """A line with a tag in the middle."""
    tag = named(draw(st.sampled_from(STRUCTURAL + HARMLESS)), tool)
    return draw(WORDS) + tag + draw(WORDS.filter(lambda text: not text[0].isspace()) | st.just(" there"))


@st.composite
def closers(draw: st.DrawFn) -> str:
    """All that ends a call, and text behind it."""
    lead, tail = draw(WORDS | st.just("Text\n")), draw(st.sampled_from([" there", "\nbehind", "\n\nbehind"]))
    return lead + draw(st.sampled_from(CLOSERS)) + tail


@st.composite
def lines(draw: st.DrawFn, noise: Noise, tool: Tool) -> str:
    """One line, or one example."""
    quoted = examples(noise).map(lambda text: f'text = "{text}"'.replace("\n", "\\n"))
    return draw(
        st.one_of(
            st.sampled_from(["", " ", "\t", "    "]),
            st.text(CHARACTERS, max_size=12),
            quoted_tags(tool),
            st.sampled_from(HARMLESS).map(lambda text: named(text, tool)),
            *([closers()] if noise.closers else [examples(noise), quoted]),
        )
    )


@st.composite
def values(draw: st.DrawFn, noise: Noise, tool: Tool) -> str:
    """A hostile value for a string."""
    text = draw(EDGES) + "\n".join(draw(st.lists(lines(noise, tool), max_size=7))) + draw(EDGES)
    return text.replace("\n", draw(NEWLINES)).rstrip("\r")


@st.composite
def noisy_calls(draw: st.DrawFn, noise: Noise) -> Call:
    """A call with hostile strings."""
    call = draw(calls(noise.tools))
    strings = [key for key, kind, _ in call.tool.types if kind == "string" and key in call.arguments]
    return Call(call.tool, call.arguments | {key: draw(values(noise, call.tool)) for key in strings})


NOISY_STYLES = st.builds(Style, st.just("canonical"), NEWLINES, NEWLINES, st.booleans())
BEHIND = st.one_of(st.just(""), st.just("\n"), prose().map("\n\n{}".format))


@st.composite
def noisy_messages(draw: st.DrawFn, of: list[Tool]) -> Message:
    """One or two calls with hostile values, prose around them."""
    noise = Noise(of, draw(st.booleans()))
    parts: list[Any] = [draw(st.just("") | prose().map("{}\n\n".format))]
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        call = draw(noisy_calls(noise))
        text = text_of(write(call, draw(NOISY_STYLES)))
        parts += [Block(call.name, text, (Reading(call.arguments, slips=0),)), "\n"]
    return Message((*parts[:-1], draw(BEHIND)))
