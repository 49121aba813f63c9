"""The command `qwen-fix`.

`run` and `web` start mitmdump and mitmweb in this process, with the script and a listener. Arguments that
they do not know are passed on to mitmproxy. Each other command is a module with its own argument parser;
only its name is listed here.
"""

import argparse
import errno
import importlib
import io
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from . import __version__, demo, service
from .arguments import refuse_misplaced, refuse_settings
from .backend.addresses import (
    LOCAL,
    PORT,
    Address,
    BadAddressError,
    free,
    read_backend,
    read_listener,
)
from .options import OPTIONS, BadValueError
from .recording.format import RecordingError
from .replay import command as replay
from .replay import record
from .ui.doctor import command as doctor
from .upstream import server as upstream
from .upstream.matching import Library

SCRIPT = Path(__file__).parents[1] / "qwen_fix.py"
LISTEN = f"{LOCAL}:{PORT}"
WEB_PORT = 8081  # mitmweb's default
EXAMPLE = demo.SCENES[0].recording

HELP = """\
usage: qwen-fix COMMAND …

A proxy between an agent and the server of a Qwen model. It turns tool calls that leak as text into
tool_calls, while they stream. Give the agent the base URL http://127.0.0.1:9090/v1 instead of the server's.

  qwen-fix run --backend http://localhost:8080    start it (llama.cpp; vLLM is on 8000, Ollama on 11434)
  qwen-fix web --backend http://localhost:8080    start it and show each answer in the browser
  qwen-fix doctor --backend http://localhost:8080 say what is wrong with a server, and what cures it there
  qwen-fix demo                                   show what it does, on recorded answers without a model

  qwen-fix replay [FOLDER]              run recordings through today's rules, compare with their goldens
  qwen-fix replay summary [FOLDER]      list the recorded chats by client, model and repair
  qwen-fix replay import FILE …         make recordings from other files
  qwen-fix replay shrink FILE           reduce a recording to a small test case
  qwen-fix replay compare FOLDER        send the recorded requests to a server again, and say what changed
  qwen-fix record NAME --backend URL    record one answer of a server
  qwen-fix serve FOLDER                 answer from recordings, like a model server
  qwen-fix service                      print a systemd unit, its environment and a compose file

Each command has a --help."""

RUN = """\
Start the proxy between your agent and an OpenAI-compatible model server.

  qwen-fix {name} --backend http://localhost:8080
  qwen-fix {name} --backend https://openrouter.ai --listen 9191     base URL http://127.0.0.1:9191/api/v1
  qwen-fix {name} --backend 8080 --set qwen_record=flows            keep each chat, without secrets

Without --backend it serves recorded answers, so that you can try it without a model."""

OPTIONS_HELP = """\
mitmproxy's own options pass through (-w FILE, --set NAME=VALUE, --ssl-insecure …). The options of qwen-fix:

{ours}

environment: QWEN_FIX_BACKEND and QWEN_FIX_LISTEN stand for --backend and --listen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):  # a log is read while it is being written, in any locale
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="replace")
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as e:
        if e.errno != errno.ENOSPC:
            raise
        code = complain(f"{e.filename or 'the output'}: {e.strerror}")
        _discard_output()
        return code


def _discard_output() -> None:
    """Let nothing be written any more: nobody reads it, or there is no room, and Python would complain at its
    end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _main(arguments: Sequence[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help", "help"):
        print(HELP)
        return 0
    if {"-V", "--version"} & {*arguments}:
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
        refuse_misplaced(passed, list(parser._option_string_actions), options.backend)
        refuse_settings(passed)
        wanted = read_listener(options.listen)
        backend = None if options.backend is None else _backend(options.backend, wanted)
        listener = free(wanted)
        web_port = _web_port(passed, backend or "") if name == "web" else []
        library = library_in(options.recordings) if backend is None else None
    except (BadAddressError, BadValueError, RecordingError) as e:
        return complain(f"{name}: {e}")
    with ExitStack() as stack:
        if library:
            backend = stack.enter_context(upstream.in_background(library))
            print(_offer(library, listener))
        logging.getLogger("mitmproxy.proxy.mode_servers").addFilter(_is_no_listener_line)
        mode = f"reverse:{backend}@{listener.host}:{listener.port}"  # an IPv6 host has no brackets here
        return start(program, ["-s", str(SCRIPT), "--mode", mode, *web_port, *passed])


def _backend(text: str, listener: Address) -> str:
    if not text.strip():
        raise BadAddressError(
            "--backend or QWEN_FIX_BACKEND is empty: write the address of your model server; "
            "leave both out for recorded answers"
        )
    return read_backend(text, listener)


def _web_port(passed: Sequence[str], backend: str) -> list[str]:
    """Return the port of mitmweb: its default, unless that is taken or is the backend's."""
    given = [value for word, value in pairwise([*passed, ""]) if word == "--web-port"]
    given += [word.partition("=")[2] for word in passed if word.startswith(("--web-port=", "web_port="))]
    if given:
        free(read_listener(given[-1]))
        return []
    try:
        if not backend.endswith(f":{WEB_PORT}"):
            free(Address(LOCAL, WEB_PORT))
            return []
    except BadAddressError:
        pass
    return ["--web-port", str(free(Address(LOCAL, 0)).port)]


def library_in(folder: Path) -> Library:
    """Return the recordings in a folder, at least one. Raises RecordingError."""
    try:
        library = upstream.read_library([folder])
    except OSError as e:
        raise RecordingError(f"{folder}: {e.strerror or e}") from None
    if not library.by_name:
        raise RecordingError(f"{folder}: there are no recordings in it")
    return library


def start(program: str, arguments: Sequence[str]) -> int:
    """Run one of mitmproxy's programs until it ends."""
    tools = importlib.import_module("mitmproxy.tools.main")  # imported late: it takes a while
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
        default=os.environ.get("QWEN_FIX_BACKEND"),
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
        help="what to serve without --backend (default: recordings that come with qwen-fix)",
    )
    return parser


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _offer(library: Library, listener: Address) -> str:
    names = list(library.by_name)
    example = EXAMPLE if EXAMPLE in names else names[0]
    return (
        f"No --backend: {upstream.counted(library)} stand in for a model server. To get one, use its name as "
        f"the model, such as {example}; http://{listener}/v1/models lists them."
    )


def _is_no_listener_line(record: logging.LogRecord) -> bool:
    """Whether to keep a log line: our ready line already names the listener."""
    return " listening at " not in str(record.msg)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "web": web,
    "doctor": doctor.command,
    "demo": demo.command,
    "replay": replay.main,
    "record": record.command,
    "serve": upstream.main,
    "service": service.command,
}
