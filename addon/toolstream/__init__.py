"""Finds the tool calls that Qwen models write as text, while the text streams.

Sans-IO: text or bytes in, events or bytes out; no mitmproxy, clock, file or log. See
`ToolCallParser` for text, `StreamRewriter` for a streamed chat completion and
`rewrite_completion` for one that is not streamed.
"""

from .completion import rewrite_completion
from .parser import ToolCallParser
from .rewriter import StreamRewriter

__all__ = ["StreamRewriter", "ToolCallParser", "rewrite_completion"]
