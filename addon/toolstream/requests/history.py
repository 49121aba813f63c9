"""Earlier calls in a request whose arguments no server can read.

Servers render earlier calls into the prompt, and parse their arguments for that. So one call that was cut
off or damaged makes every later request of the conversation fail (400 "Unterminated string", "must be in
JSON format"). What can be mended with certainty is mended. Otherwise the arguments become `{}`; the
result of the tool, which follows the call, still tells what happened.
"""

import json

from ..ledger import Ledger
from ..native.new_arguments import new_arguments
from ..parser.parser import argument_parsers
from ..repairs import Repair
from ..schema.json_read import Json
from ..schema.json_write import encodable, quoted
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from ..wire import WIRES
from ..wire.earlier_calls import EARLIER_CALLS, Arguments
from ..wire.json_edit import Edit, span, splice, with_members


def repair_request(request_body: bytes, body: Json, api: str = "chat") -> tuple[bytes, list[Repair]]:
    """The bytes of a request in which the arguments of all earlier calls are readable, and one repair for
    each call that was not. `body` is the request, decoded. Nothing but those arguments changes; if there
    is nothing to repair, the same object is returned. Never raises, whatever `body` holds."""
    broken = [arguments for arguments in EARLIER_CALLS[api](body) if not arguments.is_right]
    if not broken:
        return request_body, []
    toolset = Toolset(WIRES[api](body).asked.tools)
    text = request_body.decode()
    edits = [_edit(text, arguments, _mended(arguments, toolset)) for arguments in broken]
    return splice(text, edits).encode(), [Repair.BROKEN_HISTORY] * len(broken)


def _edit(text: str, arguments: Arguments, mended: str) -> Edit:
    """The edit that puts the mended arguments in their place, or adds them if they are missing."""
    new = quoted(mended) if arguments.as_text else mended
    *holder, member = arguments.path
    where = span(text, tuple(holder))
    if where is None or span(text, arguments.path):
        return arguments.path, new
    return tuple(holder), with_members(text[slice(*where)], {str(member): new})


def _mended(arguments: Arguments, toolset: Toolset) -> str:
    """The arguments as the JSON text of an object."""
    match arguments.value:
        case dict() as value:
            return encodable(json.dumps(value, ensure_ascii=False))
        case str() as text:
            return _read(text, toolset, toolset.find(str(arguments.name)) or Tool(""))
    return "{}"


def _read(arguments: str, toolset: Toolset, tool: Tool) -> str:
    mended = new_arguments(toolset, argument_parsers(toolset))(tool, Ledger())
    mended.feed(arguments)
    mended.close(stopped=True)
    return mended.text if mended.findings.complete else "{}"
