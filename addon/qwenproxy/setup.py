"""What changes in mitmproxy when the addon is loaded, and what is logged at the start."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from mitmproxy import ctx, http, optmanager, version
from mitmproxy.addonmanager import Loader

from . import optional, options
from .configuration import Configuration
from .mitm import internals
from .mitm.hangup import end_in_silence
from .mitm.listeners import ready_lines, without_server
from .terminal import guard_dumper, guard_handlers
from .ui import contentview
from .ui.log import quieten
from .ui.mitmweb import COLUMNS

log = logging.getLogger("qwen_fix")


def prepare(loader: Loader, is_chat: Callable[[http.Request], bool]) -> None:
    """Declare the options, and adapt mitmproxy."""
    for name, line in options.unreadable(ctx.options.deferred).items():
        del ctx.options.deferred[name]
        log.error(line)  # an OptionsError would not be shown here
    options.register(loader)
    internals.answer_errors_in_json()
    internals.note_hosts()
    internals.send_held()
    internals.keep_whole(is_chat)
    guard_handlers(logging.getLogger().handlers)
    guard_dumper(ctx.master.addons.get("dumper"))
    quieten()
    end_in_silence()
    contentview.register()
    prefer("connection_strategy", "lazy")  # with eager there is no answer when the upstream is down
    if not getattr(ctx.options, "rfile", None):
        prefer("flow_detail", 0)  # each chat already has its line
    prefer("web_columns", COLUMNS)


def prefer(name: str, value: Any) -> None:
    """Change the default of one of mitmproxy's options. A value that the user gave stays."""
    option = ctx.options._options.get(name)
    if option and option.value is optmanager.unset:
        ctx.options.update(**{name: value})


def greet(configuration: Configuration) -> bool:
    """Log what the proxy does; return whether it can start. An error logged now ends mitmproxy."""
    misspelt = options.misspelt(ctx.options.deferred)
    for line in misspelt:
        log.error(line)
    if not misspelt:
        for line in _greeting(configuration):
            log.info(line)
    return not misspelt


def _greeting(configuration: Configuration) -> Iterator[str]:
    if version.VERSION.startswith("11."):
        log.warning("mitmproxy %s lacks security fixes that 12 has; it needs Python 3.12", version.VERSION)
    yield from optional.missing()
    settings, rules = configuration.settings, configuration.rules
    summary = f"recovery {settings.recovery}, mode {settings.mode}{f', {rules.summary}' if rules else ''}"
    servers = ctx.master.addons.get("proxyserver").servers
    if advice := without_server(servers):
        log.warning("%s", advice)
    yield from ready_lines(servers, summary, settings.control)
