"""The mitmproxy side: hooks, options, recordings. The parsing is `toolstream`'s."""

__version__ = "0.1.0"
