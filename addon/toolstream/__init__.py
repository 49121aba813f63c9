"""Finds the tool calls that Qwen models write as text, while the text streams.

Sans-IO: text or bytes in, events or bytes out; no mitmproxy, clock, file or log. See
`ToolCallParser` for text, `StreamRewriter` for a streamed chat completion and
`rewrite_completion` for one that is not streamed.
"""

from .parser.parser import ToolCallParser
from .rewriter.stream import StreamRewriter
from .rewriter.whole import rewrite_completion

__all__ = ["StreamRewriter", "ToolCallParser", "rewrite_completion"]
