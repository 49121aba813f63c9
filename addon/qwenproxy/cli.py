"""The command `qwen-fix`.

`run` and `web` start mitmdump and mitmweb in this process, with the script and a listener. What they do
not know themselves goes to mitmproxy as it is. The other commands have a parser of their own, where their
work is done; here they only have their names.
"""

import argparse
import difflib
import importlib
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from mitmproxy.exceptions import OptionsError

from . import __version__, demo, live, replay, service, upstream
from .addresses import Address, BadAddressError, read_backend, read_listener, refuse_taken
from .matching import Library
from .options import OPTIONS, PREFIX, misspelt, read
from .recording import RecordingError

SCRIPT = Path(__file__).parents[1] / "qwen_fix.py"
LISTEN = "127.0.0.1:9090"
EXAMPLE = demo.SCENES[0].recording

HELP = """\
usage: qwen-fix COMMAND …

Between an agent and the server of a Qwen model: turns tool calls that leak as text into tool_calls, while
they stream. Point the agent at http://127.0.0.1:9090/v1 instead of the server.

  qwen-fix run --backend http://localhost:8080    do it (llama.cpp; vLLM is on 8000, Ollama on 11434)
  qwen-fix web --backend http://localhost:8080    the same, to be watched in the browser
  qwen-fix demo                                   see it done on recorded answers, without a model

  qwen-fix replay [FOLDER]      run recordings through today's rules, compare with their goldens
  qwen-fix replay summary FOLDER | import | shrink | compare
                                what recordings hold; make them; reduce one; ask a server the same again
  qwen-fix record NAME --backend URL    record one answer of a server
  qwen-fix serve FOLDER         answer from recordings, as a model server
  qwen-fix service --backend URL        a systemd unit, its environment, a compose file

Each has a --help."""

RUN = """\
Start the proxy: an OpenAI-compatible model server behind, your agent in front.

  qwen-fix {name} --backend http://localhost:8080
  qwen-fix {name} --backend https://openrouter.ai --listen 9191     base URL http://127.0.0.1:9191/api/v1
  qwen-fix {name} --backend 8080 --set qwen_record=flows            keep each chat, without secrets

Without --backend recorded answers are served, so that you can try it without a model."""

OPTIONS_HELP = """\
options of mitmproxy's pass through (-w FILE, --set NAME=VALUE, --ssl-insecure …). Those of ours:

{ours}

environment: QWEN_FIX_BACKEND and QWEN_FIX_LISTEN stand for --backend and --listen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(HELP)
        return 0
    if name in ("-V", "--version"):
        print(f"qwen-fix {__version__}, mitmproxy {version('mitmproxy')}, Python {sys.version.split()[0]}")
        return 0
    if name not in COMMANDS:
        return complain(f"{name}: there is no such command; write {', '.join(COMMANDS)}, or --help")
    return COMMANDS[name](rest)


def complain(line: str) -> int:
    print(f"qwen-fix {line}", file=sys.stderr)
    return 2


# run and web


def run(arguments: Sequence[str]) -> int:
    return _start("run", "mitmdump", arguments)


def web(arguments: Sequence[str]) -> int:
    return _start("web", "mitmweb", arguments)


def _start(name: str, program: str, arguments: Sequence[str]) -> int:
    parser = parser_of(name)
    options, passed = parser.parse_known_args(arguments)
    try:
        refuse_misplaced(passed, parser)
        refuse_settings(passed)
        listener = read_listener(options.listen)
        backend = read_backend(options.backend, listener) if options.backend else ""
        refuse_taken(listener)
    except (BadAddressError, OptionsError) as e:
        return complain(f"{name}: {e}")
    with ExitStack() as stack:
        if not backend:
            try:
                library = library_in(options.recordings)
            except RecordingError as e:
                return complain(f"{name}: {e}")
            backend = stack.enter_context(upstream.in_background(library))
            print(_offer(library, listener), flush=True)
        logging.getLogger("mitmproxy.proxy.mode_servers").addFilter(_is_no_listener_line)
        mode = f"reverse:{backend}@{listener}"
        return start(program, ["-s", str(SCRIPT), "--mode", mode, *passed])


def library_in(folder: Path) -> Library:
    """The recordings in a folder, at least one. Raises RecordingError."""
    try:
        library = upstream.read_library([folder])
    except OSError as e:
        raise RecordingError(f"{folder}: {e.strerror or e}") from None
    if not library.by_name:
        raise RecordingError(f"{folder}: there are no recordings in it")
    return library


def start(program: str, arguments: Sequence[str]) -> int:
    """Run one of mitmproxy's programs until it ends."""
    tools = importlib.import_module("mitmproxy.tools.main")  # not before it is needed: it takes a while
    return getattr(tools, program)(arguments) or 0


def parser_of(name: str) -> argparse.ArgumentParser:
    ours = "\n".join(f"  --set {o.name}={o.default or '…'}\n{_wrapped(o.help)}" for o in OPTIONS)
    parser = argparse.ArgumentParser(
        prog=f"qwen-fix {name}",
        usage=f"qwen-fix {name} --backend URL [--listen [HOST:]PORT] [mitmproxy's options …]",
        description=RUN.format(name=name),
        epilog=OPTIONS_HELP.format(ours=ours),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--backend",
        default=os.environ.get("QWEN_FIX_BACKEND", ""),
        metavar="URL",
        help="the model server: scheme, host and port, such as http://localhost:8080",
    )
    parser.add_argument(
        "--listen",
        default=os.environ.get("QWEN_FIX_LISTEN", LISTEN),
        metavar="[HOST:]PORT",
        help=f"where clients connect ({LISTEN}); 0.0.0.0:9090 lets other machines in",
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        default=demo.recordings(),
        metavar="FOLDER",
        help="what to serve without --backend (a few that come along)",
    )
    return parser


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


def refuse_misplaced(passed: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """Raise OptionsError for what was hardly meant for mitmproxy."""
    if passed and not passed[0].startswith("-"):
        raise OptionsError(f"{passed[0]}: write --backend {passed[0]}")
    ours = list(parser._option_string_actions)
    for word in passed:
        name = word.partition("=")[0]
        if name.startswith("--") and (near := difflib.get_close_matches(name, ours, n=1, cutoff=0.75)):
            raise OptionsError(f"{name}: there is no such option; write {near[0]}")


def refuse_settings(passed: Sequence[str]) -> None:
    """Raise OptionsError for a bad value of one of our own options, before mitmproxy says more than that."""
    given = [value for word, value in pairwise([*passed, ""]) if word == "--set"]
    given += [word.removeprefix("--set=") for word in passed if word.startswith("--set=")]
    values = dict(pair.split("=", 1) for pair in given if pair.startswith(PREFIX) and "=" in pair)
    for line in misspelt(values):
        raise OptionsError(line)
    read(values)


def _offer(library: Library, listener: Address) -> str:
    names = list(library.by_name)
    example = EXAMPLE if EXAMPLE in names else names[0]
    return (
        f"No --backend: {upstream.counted(library)} stand in for a model server. Ask for one by its name as "
        f"the model, such as {example}; http://{listener}/v1/models lists them."
    )


def _is_no_listener_line(record: logging.LogRecord) -> bool:
    """Our ready line says it, too."""
    return " listening at " not in str(record.msg)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "web": web,
    "demo": demo.command,
    "replay": replay.main,
    "record": live.command,
    "serve": upstream.main,
    "service": service.command,
}
