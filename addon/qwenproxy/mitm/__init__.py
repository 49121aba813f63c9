"""The parts of mitmproxy that have no hook: listeners, internals, terminal output, signals."""
