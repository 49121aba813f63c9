"""What is imported and compiled in the process from which warm.py forks."""

import mitmproxy.tools.main
import mitmproxy.tools.web.master  # noqa: F401

import qwenproxy.addon
import qwenproxy.cli  # noqa: F401
from toolstream import prepare

prepare("tolerant")
