"""The mitmproxy side: hooks, options, recordings. The parsing is `toolstream`'s."""
