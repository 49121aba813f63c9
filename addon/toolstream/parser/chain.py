"""The tags in a row that may open a call: envelopes, and what is inside of them.

Tags in a dialect table are read first and need no other evidence. Other tags are read by their place
(P21). A damaged opening tag of an envelope is believed if an exact function's tag follows. A damaged
function's tag is believed if it is the first thing in an envelope, or if one of the tool's own parameters
follows. An unknown word in brackets, alone on its line, is an envelope if the exact tags of a function
and a parameter follow. The name of a tool is never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..grammar.dialect import BY_PLACE
from ..grammar.dialects import BASE
from ..grammar.kinds import MORE, Cost, Following, TagKind, Wait, decided
from ..grammar.likeness import ENVELOPE, FUNCTION, SYNONYMS, alike, squeeze
from ..grammar.tag import Tag
from ..grammar.text import skip_whitespace
from ..grammar.tokens import Token, end_of_tag, opens_json, read_tag
from ..limits import AFTER_CALL, DAMAGED_ENVELOPES, WRAPS
from ..schema.schema import Tool
from ..schema.tool_name import are_parameters, read_opening
from .by_place import by_place, index_after, is_by_place, is_cut, is_in_table
from .fence import Fence, read_fence
from .json_head import lacks_bracket, name_of_empty, name_of_python, read_first_key, read_head
from .message import Message
from .noise import end_of_noise, end_of_tokens, is_function
from .openers import OF_NO_TOOL, chosen, is_unknown_word, is_word, named_line
from .run import KnownChain
from .runs import proves


@dataclass(slots=True)
class Chain:
    """Opening tags of envelopes, and what is after them at the index `at`: a `tag`, `json`, or nothing
    that can open a call. `inside`: an envelope is open before them. `fence`: the characters that opened a
    code fence between them."""

    at: int
    inside: bool
    wraps: list[Tag] = field(default_factory=list)
    fence: str = ""
    tag: Tag | None = None
    json: bool = False

    @property
    def first(self) -> Tag | None:
        """The first of its tags."""
        return self.wraps[0] if self.wraps else self.tag

    @property
    def opens(self) -> bool:
        """Whether there is something inside."""
        return self.json or self.tag is not None

    @property
    def wrapped(self) -> bool:
        """Whether an envelope is open at `at`."""
        return self.inside or bool(self.wraps)

    @property
    def loops(self) -> bool:
        """Whether it is the same tag again and again."""
        first = self.wraps[0]
        return len(self.wraps) == WRAPS and all(tag.exact and tag.raw == first.raw for tag in self.wraps)

    @property
    def worst(self) -> Cost:
        """The cost of the most damaged tag of an envelope."""
        damaged = (tag.cost for tag in self.wraps if not is_in_table(tag))
        return max(damaged, default=Cost.EXACT)


def read_chain(m: Message, at: int, inside: bool = False) -> Chain | Wait:
    """The chain at `at`; MORE if more text is needed. `inside`: an envelope is open already."""
    start, chain = m.buffer.base + at, _as_known(m, at, inside)
    while True:
        found = _read_next(m, chain)
        if found is MORE:
            return MORE
        if isinstance(found, Fence):
            chain.fence, chain.at = found
        elif isinstance(found, Tag) and _may_add(chain, found):
            _add(m, chain, found)
            _note(m, chain, start)
        else:
            return _judged(m, chain, found)


def _as_known(m: Message, at: int, inside: bool) -> Chain:
    """The chain at `at`, as far as it was read before."""
    base, known, chain = m.buffer.base, m.chain, Chain(at, inside)
    if known and known.start == (base + at, inside):
        chain.wraps = [tag.moved(-base) for tag in known.wraps]
        chain.at, chain.fence = known.end - base, known.fence
    return chain


def _note(m: Message, chain: Chain, start: int) -> None:
    """Note the tags of a chain that begins at the position `start`, if something follows them, so that they
    need not be read again."""
    if chain.at < len(m.buffer.text):
        base = m.buffer.base
        wraps = [tag.moved(base) for tag in chain.wraps]
        m.chain = KnownChain((start, chain.inside), wraps, base + chain.at, chain.fence)


def _add(m: Message, chain: Chain, wrap: Tag) -> None:
    """Add the opening tag of an envelope, with a surplus bracket. One too many counts to the last one."""
    if m.tolerant and m.buffer.text.startswith(">", wrap.end):
        wrap = replace(wrap, end=wrap.end + 1, raw=wrap.raw + ">", dialect=BY_PLACE)
    if len(chain.wraps) == WRAPS:
        wrap = replace(chain.wraps.pop(), end=wrap.end)
    chain.wraps.append(wrap)
    chain.at = index_after(m.buffer.text, wrap)


def _may_add(chain: Chain, tag: Tag) -> bool:
    """Whether a tag belongs to the chain: it opens one of a few envelopes, or the same again within what may
    wait."""
    if tag.kind is not TagKind.WRAP_OPEN:
        return False
    if len(chain.wraps) < WRAPS:
        return True
    return chain.loops and tag.raw == chain.wraps[0].raw and tag.end - chain.wraps[0].start < AFTER_CALL


def _read_next(m: Message, chain: Chain) -> Tag | Fence | Following | Wait | None:
    """What comes next: a tag, the fence around what follows, or JSON; None if it is nothing that can open a
    call."""
    if not _skip_noise(m, chain):
        return MORE
    if chain.at >= len(m.buffer.text):
        return None if m.buffer.over else MORE
    if found := read_spelt(m, chain.at, chain.wrapped):
        return found if found is MORE else _or_better(m, found, chain)
    if chain.wrapped and (inner := _read_inside(m, chain)):
        return inner
    if not m.tolerant or sum(map(is_by_place, chain.wraps)) >= DAMAGED_ENVELOPES:
        return None
    return _read_by_place(m, chain.at, chain)


def _read_inside(m: Message, chain: Chain) -> Fence | Following | Wait | None:
    """What only stands in an envelope, apart from tags: JSON, or a fence around it; or half a tag."""
    text, at, over = m.buffer.text, chain.at, m.buffer.over
    if json := _is_json(m, at):
        return MORE if json is MORE else Following.JSON
    if m.tolerant and not chain.fence and (fence := read_fence(text, at, over)):
        return fence
    return MORE if not over and m.lookout.envelope.may_begin(text, at) else None


def _skip_noise(m: Message, chain: Chain) -> bool:
    """Count what says nothing after the tag of the last envelope as a part of that tag; False if more text is
    needed."""
    if not chain.wraps or not m.tolerant or chain.wraps[-1].dialect is BY_PLACE:
        return True
    text, wrap = m.buffer.text, chain.wraps[-1]
    end = _end_of_noise(m, chain.at)
    if end is MORE:
        return False
    if end > chain.at:
        chain.wraps[-1] = replace(wrap, end=end, raw=text[wrap.start : end], dialect=BY_PLACE)
        chain.at = index_after(text, chain.wraps[-1])
    return True


def _end_of_noise(m: Message, at: int) -> int | Wait:
    """The end of what says nothing at `at`, or `at` itself. After special tokens a function's
    tag has to follow, or a call of a declared tool in JSON."""
    text, over = m.buffer.text, m.buffer.over
    end = end_of_tokens(text, at, over)
    if end is MORE or end == at:
        return end if end is MORE else end_of_noise(text, at, over, m.toolset, m.context.thinking)
    follows = _is_call(m, end) if text[end : end + 1] in ("{", "[") else is_function(text, end, over)
    return decided(follows, end, at)


# Tags in a dialect table


def read_spelt(m: Message, at: int, wrapped: bool) -> Tag | Wait | None:
    """The tag at `at` that is in a dialect table. `wrapped`: it is in an envelope."""
    tag = (m.lookout.envelope if wrapped else m.lookout.openers).match(m.buffer.text, at)
    if not wrapped:
        return None if tag and is_word_of_ours(tag) else tag
    return tag if tag and not _says_no_tool(m, tag) else _or_longer(m, tag, at)


def _or_longer(m: Message, tag: Tag | None, at: int) -> Tag | Wait | None:
    """The tag, which names no tool, or a longer spelling if that fits better."""
    text, tags = m.buffer.text, m.lookout.envelope
    longer = tag and tags.match_declared(text, at)
    may_come = not (longer or m.buffer.over) and tags.may_begin_declared(text, at)
    return MORE if may_come else longer or tag


def _or_better(m: Message, tag: Tag, chain: Chain) -> Tag | Wait:
    """The tag. But a function's tag that names no tool is read by its place, because its name may have
    surplus text."""
    if tag.kind is not TagKind.CALL_OPEN or not m.tolerant:
        return tag
    if read_opening(tag, m.buffer.text, m.toolset, m.grammar.level):
        return tag
    better = _read_by_place(m, tag.start, chain)
    if better is MORE or better is None:
        return better or tag
    return better if better.kind is TagKind.WRAP_OPEN or m.toolset.find(better.name) else tag


def is_word_of_ours(tag: Tag) -> bool:
    """Whether a tag that is named after a tool is primarily one of Qwen's own: `<TOOL_CALL>`."""
    return tag.dialect.by_name and squeeze(tag.name) in SYNONYMS


def _says_no_tool(m: Message, tag: Tag) -> bool:
    if tag.kind is TagKind.CALL_OPEN:
        return m.toolset.find(tag.name, m.tolerant) is None
    return tag.kind in OF_NO_TOOL


def _is_json(m: Message, at: int) -> bool | Wait:
    """Whether JSON begins at `at`, and not a tag with another bracket; or a call as in Python, on a line
    of its own."""
    text, over = m.buffer.text, m.buffer.over
    if text[at] in "{[":
        return opens_json(text, at, over)
    name = name_of_python(text, at, over)
    if isinstance(name, str) and name:
        return m.context.at_line_start and m.toolset.find(name) is not None
    return lacks_bracket(text, at, over) if name == "" else MORE


# Tags by their place


def _read_by_place(m: Message, at: int, chain: Chain) -> Tag | Wait | None:
    """A tag that is in no dialect table, as what can stand in its place."""
    found = _read_damaged(m, at, chain)
    if found is MORE or (found and found.cost < Cost.SHAPE and not found.dialect.by_name):
        return found
    if not (chain.wrapped or m.context.at_line_start):
        return found
    return m.outside.slipped_opener(m.buffer.text, at, m.buffer.over, chain.wrapped) or found


def _read_damaged(m: Message, at: int, chain: Chain) -> Tag | Wait | None:
    """A damaged tag of Qwen's own dialect."""
    token = None if is_word(m.buffer.text, at, m.toolset) else read_tag(m.buffer.text, at, m.buffer.over)
    if token is MORE:
        return MORE
    if token is None or not (token.bracket or token.sep or alike(squeeze(token.word))):
        return _named_line(m, at) if chain.wrapped else None
    return None if is_cut(token, m.buffer.text) else _of_token(m, token, chain)


def _of_token(m: Message, token: Token, chain: Chain) -> Tag | Wait | None:
    """The tag that a token stands for, as what can stand in its place."""
    if chain.wrapped and (holds := _holds_parameters(m, token)):
        return MORE if holds is MORE else by_place(token, TagKind.CALL_OPEN, Cost.TABLE, token.word)
    readings = [] if token.slash and not chain.wrapped else m.outside.alike(token)
    tag: Tag | Wait | None = chosen(token, readings, m.toolset, bool(chain.wraps))
    if tag is None and not chain.wrapped:
        tag = _unknown_envelope(m, token)
    return to_its_end(m, tag) if isinstance(tag, Tag) else tag


def to_its_end(m: Message, tag: Tag) -> Tag | Wait:
    """The tag, including letters that slipped after its bracket."""
    end = end_of_tag(tag.end, tag.spelt, m.buffer.text, m.buffer.over)
    return MORE if end is MORE else replace(tag, end=end)


def _named_line(m: Message, at: int) -> Tag | Wait | None:
    """A function's tag of which little is left but its name and its last bracket. One of the tool's
    parameters has to follow."""
    tag = named_line(m.buffer.text, at, m.buffer.over, m.toolset)
    tool = m.toolset.find(tag.name, False) if isinstance(tag, Tag) else None
    if not isinstance(tag, Tag) or tool is None:
        return tag
    proved = proves(m.inside(tool), tag, m.buffer)
    return decided(proved, tag, None)


def _holds_parameters(m: Message, token: Token) -> bool | Wait:
    """Whether a tag is named after a tool, and its attributes are parameters of that. No text follows it."""
    tool = m.toolset.find(token.word) if squeeze(token.word) not in SYNONYMS else None
    attributes = f"{token.sep}{token.name}{token.attributes}".rstrip(" /")
    if tool is None or not token.closed or token.slash or not are_parameters(attributes, tool):
        return False
    at = skip_whitespace(m.buffer.text, token.end)
    if at == len(m.buffer.text) and not (m.buffer.over or token.raw.endswith("/>")):
        return MORE
    return token.raw.endswith("/>") or m.buffer.text[at : at + 1] in ("", "<")


def _unknown_envelope(m: Message, token: Token) -> Tag | None:
    """An unknown word in brackets, alone on its line."""
    if not m.context.at_line_start or m.context.in_markup or not is_unknown_word(token, m.toolset):
        return None
    text = m.buffer.text
    nameless = SYNONYMS.get(squeeze(token.word)) == FUNCTION  # its name is somewhere else
    if text[token.end : token.end + 1] not in (("\r", "\n", "<") if nameless else ("\r", "\n")):
        return None
    return by_place(token, TagKind.WRAP_OPEN, Cost.ALIKE if nameless else Cost.SHAPE)


# The evidence


def _judged(m: Message, chain: Chain, found: Tag | Following | None) -> Chain | Wait:
    """Decide whether what was found after the envelopes is believed, and complete the chain with it."""
    tag = found if isinstance(found, Tag) else None
    believes_tag = tag is not None and _is_believed(m, chain, tag)
    json = found is Following.JSON and (chain.worst <= Cost.TABLE or _is_call(m, chain.at))
    if believes_tag is MORE or json is MORE:
        return MORE
    chain.tag, chain.json = tag if believes_tag else None, json
    return chain


def _is_believed(m: Message, chain: Chain, tag: Tag) -> bool | Wait:
    """Whether a tag is believed, after these envelopes."""
    if tag.dialect.by_name and any(map(_is_guessed, chain.wraps)):
        return False  # documents have such elements, too
    known = chain.worst <= Cost.TABLE
    if tag.kind is TagKind.CALL_OPEN and not (known and is_in_table(tag)):
        return _opens_damaged(m, chain, tag)
    return known


def _is_guessed(wrap: Tag) -> bool:
    """Whether an envelope's tag is not one of Qwen's, apart from a few slips."""
    return is_by_place(wrap) and wrap.cost is not Cost.ALIKE and squeeze(wrap.raw) != ENVELOPE


def _is_call(m: Message, at: int) -> bool | Wait:
    """Whether JSON begins as a call of a declared tool: that is evidence for a damaged tag before it."""
    head = read_head(m.buffer.text, at, m.buffer.over)
    if head is MORE:
        return MORE
    tool = m.toolset.find(head.name if head else name_of_empty(m.buffer.text, at))
    return tool is not None and m.toolset.allows(tool.name) and not m.context.in_result


def _opens_damaged(m: Message, chain: Chain, tag: Tag) -> bool | Wait:
    """Whether a call opens here, although one of its tags is damaged."""
    tool = m.toolset.find(tag.name)
    if tool is None or not m.toolset.allows(tool.name) or m.context.in_result:
        return False
    if not chain.wrapped:
        return m.context.begins_plain_line and _is_proved(m, tag, tool)
    believed = _is_believed_inside(tag, chain.worst)
    return _is_proved(m, tag, tool) if believed is None else believed


def _is_proved(m: Message, tag: Tag, tool: Tool) -> bool | Wait:
    """Whether what follows a function's tag proves that a call of this tool opens."""
    text = m.buffer.text
    proved = proves(m.inside(tool), tag, m.buffer) or _is_argument(m, tag, tool)
    if proved is True and tag.raw[0] != "<" and "<" in tag.raw:  # a sign, which prose has between tags
        return text.startswith("<", index_after(text, tag))
    return proved


def _is_argument(m: Message, tag: Tag, tool: Tool) -> bool | Wait:
    """Whether JSON follows a tag, with a parameter of its tool."""
    text, at = m.buffer.text, index_after(m.buffer.text, tag)
    first = read_first_key(text, at, m.buffer.over) if text.startswith("{", at) else None
    return MORE if first is MORE else first is not None and tool.declares(first[0])


def _is_believed_inside(tag: Tag, worst: Cost) -> bool | None:
    """Whether a function's tag in an envelope is believed; None if that has to be proved. `worst`: the cost
    of the envelope's tags."""
    if worst is Cost.SHAPE:  # other documents have tags like that of a table, too
        is_ours = tag.dialect.damaged or (tag.exact and tag.dialect in BASE)
        return None if is_ours else False
    is_sure = tag.raw[0] == "<" and not tag.dialect.by_name
    return True if is_sure and (worst <= Cost.TABLE or _is_function(tag)) else None


def _is_function(tag: Tag) -> bool:
    """Whether the tag is in a dialect table and can only be a function's."""
    return tag.spelt and not (tag.dialect.by_name or tag.dialect.needs_no_closer)
