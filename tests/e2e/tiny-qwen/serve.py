"""The tiny model behind llama.cpp's own HTTP server, from the xllamacpp wheel.

    serve.py [--raw] [--alias NAME] [--port N]

--raw is llama-server's --skip-chat-parsing: every form of call comes out as plain content.
Without it the server parses calls, and once a call begins it constrains the model's output with a
grammar. Where the grammar leaves the memorised text, the tiny model writes nonsense.

Prints "listening http://127.0.0.1:N" when it is ready, and serves until SIGTERM or SIGINT.
"""

import argparse
import signal
from pathlib import Path
from types import FrameType

import xllamacpp

MODEL = Path(__file__).parent / "tiny-qwen.gguf"
CONTEXT = 16384  # tokens, shared by two requests


def parameters(options: argparse.Namespace) -> xllamacpp.CommonParams:
    """Return greedy settings on one thread: two would wait for each other in a busy loop under load."""
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(MODEL)
    wanted.model_alias = {options.alias}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = options.port
    wanted.n_ctx = CONTEXT
    wanted.n_parallel = 2
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    wanted.n_gpu_layers = 0
    wanted.sampling.temp = 0.0
    wanted.force_pure_content_parser = options.raw
    wanted.warmup = False
    wanted.offline = True
    wanted.verbosity = 1
    return wanted


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit


def main() -> None:
    parser = argparse.ArgumentParser(description="llama.cpp's server on the loopback")
    parser.add_argument("--raw", action="store_true", help="no tool-call parser")
    parser.add_argument("--alias", default="tiny-qwen3", help="name of the model")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    server = xllamacpp.Server(parameters(parser.parse_args()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    print(f"listening {server.listening_address}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
