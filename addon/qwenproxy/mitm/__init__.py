"""mitmproxy where its hooks end: its listeners, its internals, its terminal, its signals."""
