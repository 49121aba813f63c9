"""The command `qwen-fix`. A program named "qwen-fix" runs in a forked process, QWEN_FIX in one of its own."""

import asyncio
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from mitmproxy.options import Options
from mitmproxy.tools import cmdline
from mitmproxy.tools.dump import DumpMaster
from proxy import LEAK, PATIENCE, ROOT, Proxy, Upstream, ask, chat, closed_port, events, streamed, understood
from ruamel.yaml import YAML

from qwenproxy import cli, service
from qwenproxy.arguments import MISTAKEN, refuse_misplaced
from qwenproxy.backend.addresses import BadAddressError
from qwenproxy.options import OPTIONS, BadValueError, Option
from qwenproxy.replay import command as replay

OURS = list(cli.parser_of("run")._option_string_actions)
QWEN_FIX = (sys.executable, "-m", "qwenproxy")


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def qwen_fix(*arguments: str) -> tuple[int, str, str]:
    """Run a command that ends, in this process; return its exit code, output and errors."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = cli.main(arguments)
        except SystemExit as e:
            code = int(e.code or 0)
    return code, out.getvalue(), err.getvalue()


# run and web


def test_run_repairs_what_the_backend_answers(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    program = (*QWEN_FIX, "run", "--backend", f"{upstream.url}/v1", "--listen", "127.0.0.1:0")
    proxy = start_proxy("", program=program, script=False, qwen_recovery="strict")
    upstream.answer = streamed(events(f"<tool_call>\n{LEAK}"))
    assert understood(ask(proxy).body).calls == [("get_weather", {"city": "Zürich", "days": 3})]
    assert f"qwen_fix ready: {proxy.url} -> {upstream.url} (recovery strict, mode fix)" in proxy.log
    assert proxy.log.count(f"{proxy.url} ->") == 1  # one listener, one line
    assert f"status page: {proxy.url}/_qwen/" in proxy.log
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log


def test_the_log_can_be_read_while_it_is_written(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    """As journalctl or tee do. Proxy sets PYTHONUNBUFFERED, a service does not."""
    program = (*QWEN_FIX, "run", "--backend", upstream.url, "--listen", "0")
    proxy = start_proxy("", program=program, script=False, environment={"PYTHONUNBUFFERED": ""})
    proxy.wait_for("answers, with qwen")


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_it_listens_on_ipv6(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    program = ("qwen-fix", "run", "--backend", upstream.url, "--listen", "[::1]:0")
    log = start_proxy("", program=program, script=False).log
    ready = re.search(r"qwen_fix ready: http://\[::1\]:(\d+) ->", log)
    assert ready
    connection = http.client.HTTPConnection("::1", int(ready[1]), timeout=PATIENCE)
    connection.request("GET", "/_qwen/health")
    assert connection.getresponse().status == 200


def test_all_addresses_are_said_to_be_open(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    program = ("qwen-fix", "run", "--backend", upstream.url, "--listen", "0.0.0.0:0")
    proxy = start_proxy("", program=program, script=False)
    assert "and on all other addresses of this machine" in proxy.wait_for("qwen_fix ready")
    assert ask(proxy).status == 200


def test_ctrl_c_at_once_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from qwenproxy import cli\ncli.COMMANDS['run'] = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nraise SystemExit(cli.main(['run']))"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_ctrl_c_ends_the_recordings_too(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("", program=("qwen-fix", "run", "--listen", "0"), script=False)
    recordings = re.search(r"ready: \S+ -> http://(\S+) ", proxy.log)
    assert recordings
    connection = http.client.HTTPConnection(recordings[1], timeout=PATIENCE)
    assert ask(proxy, chat(model="llamacpp-raw-noopen"), connection=connection).status == 200
    assert proxy.stop(signal.SIGINT) == 0  # while that connection is open
    assert "Traceback" not in proxy.log
    assert "Exception" not in proxy.log
    assert "destroyed" not in proxy.log


def test_options_of_mitmproxy_pass_through(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    program = ("qwen-fix", "run", "-w", str(tmp_path / "saved.flow"), "--set", "qwen_mode=observe")
    environment = {"QWEN_FIX_BACKEND": upstream.url, "QWEN_FIX_LISTEN": "0"}
    proxy = start_proxy("", program=program, script=False, environment=environment)
    assert "mode observe" in proxy.log
    assert ask(proxy).status == 200
    proxy.stop()
    assert (tmp_path / "saved.flow").stat().st_size > 0


def test_without_a_backend_recordings_stand_in(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("", program=("qwen-fix", "run", "--listen", "0"), script=False)
    model = re.search(r"use its name as the model, such as (\S+);", proxy.log)
    assert model
    assert understood(ask(proxy, chat(model=model[1])).body).finish == "tool_calls"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_of_the_readme_works_without_a_backend(start_proxy: Callable[..., Proxy]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^curl .*?\n(?=```)", readme, re.M | re.S)
    proxy = start_proxy("", program=("qwen-fix", "run", "--listen", "0"), script=False)
    command = command.replace("http://127.0.0.1:9090", proxy.url)
    said = subprocess.check_output(command, shell=True, stderr=subprocess.DEVNULL)
    message = understood(said)
    assert message.calls == [("get_weather", {"city": "Zürich", "days": 3, "detailed": True})]
    assert (message.content, message.finish) == ("I'll create the file.", "tool_calls")


def test_web_shows_it_in_mitmweb(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    web_port = closed_port()
    own = ("--no-web-open-browser", "--web-port", str(web_port))
    program = ("qwen-fix", "web", "--backend", upstream.url, "--listen", "0", *own)
    proxy = start_proxy("", program=program, script=False, web_password="secret")
    proxy.wait_for("Web server listening")
    upstream.answer = streamed(events(LEAK))
    ask(proxy)
    connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=PATIENCE)
    connection.request("GET", "/flows", headers={"Authorization": "Bearer secret"})
    (flow,) = json.loads(connection.getresponse().read())
    assert flow["comment"] == "get_weather · call without <tool_call> · qwen"


def test_web_finds_another_port_for_its_pages(upstream: Upstream) -> None:
    assert cli._web_port(["--web-port", str(closed_port())], "") == []
    with pytest.raises(BadAddressError, match="another program listens there"):
        cli._web_port([f"--web-port={upstream.port}"], "")
    option, port = cli._web_port([], f"http://localhost:{cli.WEB_PORT}")
    assert option == "--web-port"
    assert int(port) not in (0, cli.WEB_PORT)


REFUSED = {
    "--backend localhost:8080": "localhost:8080: write http://localhost:8080, or https://",
    "--backend https://openrouter.ai/api/v1": "in your client the base URL http://127.0.0.1:9090/api/v1",
    "--backend 18200 --listen 18200": "18200: this is the address of the proxy itself",
    "--backend 8080 --listen here": "here: write a port, or a host and a port",
    "http://localhost:8080": "http://localhost:8080: write --backend http://localhost:8080",
    "--backnd 8080": "--backnd: there is no such option; write --backend",
    "--backend 8080 --set qwen_recovery=lax": "qwen_recovery=lax: write strict, tolerant or aggressive",
    "--backend 8080 --set=qwen_mdoe=fix": "qwen_mdoe: there is no such option; write qwen_mode",
    "--recordings /dev/null/x --listen 0": "/dev/null/x: Not a directory",
    "--backend= --listen 0": "--backend or QWEN_FIX_BACKEND is empty: write the address of your model server",
    "--backend 8080 --listen-port 1": "--listen-port: write --listen [HOST:]PORT",
    "--backend 8080 -p9191": "-p9191: write --listen [HOST:]PORT",
    "--backend 8080 --host 0.0.0.0": "--host: write --listen [HOST:]PORT",
    "--upstream http://x": "--upstream: write --backend URL",
    "--server=http://x": "--server: write --backend URL",
    "--url http://x": "--url: write --backend URL",
    "-b 8080": "-b: write --backend URL",
    "--backend 8080 --mode regular": "--mode: write --backend URL and --listen",
    "--backend 8080 --mode observe": "--mode: write --set qwen_mode=observe",
    "--backend 8080 --record flows": "--record: write --set qwen_record=flows",
    "--backend 8080 --qwen-record": "--qwen-record: write --set qwen_record=VALUE",
    "--backend 8080 --qwen_record_what=failed": "--qwen_record_what: write --set qwen_record_what=failed",
    "--backend 8080 --qwen-recod x": "--qwen-recod: there is no such option; write --set qwen_record=VALUE",
    "--backend 8080 --observe": "--observe: write --set qwen_mode=observe",
    "--backend 8080 --strict": "--strict: write --set qwen_recovery=strict",
    "--backend 8080 --insecure": "--insecure: write --ssl-insecure",
    "--backend 8080 --debug": "--debug: write --set termlog_verbosity=debug",
    "--backend 8080 --web": "--web: write qwen-fix web instead of qwen-fix run",
    "--backend 8080 --api-key x": "--api-key: leave it out: the client sends its own key",
    "--backend 8080 --set termlog_verbosity=loud": "loud: write error, warn, info, alert or debug",
    "--backend 8080 --set record=flows": "record: write --set qwen_record=flows",
    "--backend 8080 --set qwen-record=flows": "qwen-record: there is no such option; write qwen_record",
    "--backend 8080 --set qwen_loop_guard=on": "qwen_loop_guard: there is no such option; write one of qwen_",
    "--backend 8080 --set qwen_mode": "qwen_mode: write --set qwen_mode=VALUE",
    "--backend 8080 --set qwen_mode=fix --set qwen_mode=observe": "qwen_mode: given more than once",
    "--backend 8080 --set qwen_rules=/no/such": "qwen_rules: /no/such: write default, or the path of a YAML",
}


@pytest.mark.parametrize("command", ["run", "web"])
@pytest.mark.parametrize("arguments", REFUSED)
def test_nonsense_is_refused_with_one_line(
    command: str, arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "start", lambda *_: pytest.fail("it was started"))
    assert cli.main([command, *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"qwen-fix {command}: ")
    assert REFUSED[arguments] in line


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_of_ours_may_be_tried_as_a_flag(option: Option) -> None:
    for flag in (f"--{option.field}", f"--qwen-{option.field.replace('_', '-')}", f"--{option.name}"):
        value = option.choices[0] if option.choices else "x"
        with pytest.raises(BadValueError) as refused:
            refuse_misplaced([flag, value], OURS, "8080")
        assert str(refused.value) == f"{flag}: write --set {option.name}={value}"


def test_every_other_flag_of_mitmproxy_passes_through() -> None:
    async def flags() -> set[str]:
        options = DumpMaster(Options()).options
        parsers = (cmdline.mitmdump(options), cmdline.mitmweb(options))
        return {flag for parser in parsers for flag in parser._option_string_actions}

    refused = set(MISTAKEN) & (there_are := asyncio.run(flags()))
    assert refused == {"--listen-host", "--listen-port", "--mode", "--server", "-m", "-p"}
    for flag in there_are - refused - {*OURS}:
        refuse_misplaced([flag, "x"], OURS, "8080")


def test_the_version_is_ours_whatever_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--backend", "8080", "--version"]) == 0
    assert capsys.readouterr().out.startswith("qwen-fix ")


def test_a_taken_port_is_refused(upstream: Upstream) -> None:
    code, out, err = qwen_fix("run", "--backend", "http://127.0.0.1:1", "--listen", str(upstream.port))
    assert (code, out) == (2, "")
    assert err == (
        f"qwen-fix run: 127.0.0.1:{upstream.port}: another program listens there; "
        f"write another port, such as 127.0.0.1:{upstream.port + 1}\n"
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("backend=http://x:1", "backend=http://x:1: write BACKEND=http://x:1"),
        ("PORT=9191", "PORT=9191: write LISTEN=9191"),
        ("args=-v", "args=-v: write it in capital letters"),
    ],
)
def test_make_refuses_a_variable_that_it_would_ignore(given: str, advice: str) -> None:
    make = ["make", "--dry-run", "run"]
    done = subprocess.run([*make, given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert advice in done.stderr
    name, _, value = given.partition("=")
    environment = os.environ | {name: value}  # of another program
    assert subprocess.run(make, cwd=ROOT, capture_output=True, env=environment, check=False).returncode == 0


# The others


@pytest.mark.parametrize(
    "command",
    [
        "replay summary {folder}",
        "replay import {folder}/llamacpp-raw-prose.flow --into {new}",
        "replay shrink {folder}/llamacpp-raw-noopen.flow --keep repair=missing-tool-call-open",
    ],
)
def test_a_reader_that_has_enough_is_no_error(command: str, tmp_path: Path) -> None:
    """As `head` is."""
    reading, writing = os.pipe()
    os.close(reading)
    arguments = command.format(folder=ROOT / "recordings", new=tmp_path).split()
    done = subprocess.run([*QWEN_FIX, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_an_output_that_is_full_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*QWEN_FIX, "--help"], stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (2, b"qwen-fix the output: No space left on device\n")


def test_help_names_every_command_and_every_option() -> None:
    _, said, _ = qwen_fix("--help")
    assert all(f"qwen-fix {name}" in said for name in cli.COMMANDS)
    _, said, _ = qwen_fix("run", "--help")
    assert all(f"--set {option.name}=" in said for option in OPTIONS)
    assert max(map(len, said.splitlines())) <= 110


def test_it_says_its_version() -> None:
    said = subprocess.check_output([*QWEN_FIX, "--version"], text=True)
    assert re.fullmatch(r"qwen-fix \d\S+, mitmproxy \d\S+, Python \d\S+\n", said)


def test_an_unknown_command() -> None:
    code, _, err = qwen_fix("start")
    assert code == 2
    assert err.startswith("qwen-fix start: there is no such command; write run, web, ")


def test_the_demo_is_right(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the folder was run')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "qwenproxy", "demo"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.endswith("4 of 4 outcomes are right.\n")


@pytest.mark.parametrize("name", [*cli.COMMANDS, *(f"replay {name}" for name in replay.COMMANDS)])
def test_every_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*name.split(), "--help"])
    assert left.value.code == 0
    said = "qwen-fix record" if name == "replay record" else f"qwen-fix {name}"
    assert capsys.readouterr().out.startswith(f"usage: {said}")


# service


def test_a_unit_that_starts_this_program() -> None:
    _, unit, _ = qwen_fix("service", "systemd")
    assert "RestartPreventExitStatus=2" in unit
    (start,) = re.findall(r"^ExecStart=(.*) run \$QWEN_FIX_ARGS$", unit, re.M)
    assert subprocess.check_output([*start.split(), "--version"], text=True).startswith("qwen-fix ")
    assert "EnvironmentFile=%h/.config/qwen-fix.env" in unit


def test_what_systemd_would_read_otherwise_is_quoted() -> None:
    assert service._quoted("/opt/my tools/qwen-fix") == '"/opt/my tools/qwen-fix"'
    assert service._quoted("/opt/100%/$x") == "/opt/100%%/$$x"


def test_the_environment_that_it_reads(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    arguments = ("service", "environment", "--backend", upstream.url, "--listen", str(closed_port()))
    _, said, _ = qwen_fix(*arguments)
    pairs = [line.split("=", 1) for line in said.splitlines() if line and not line.startswith("#")]
    proxy = start_proxy("", program=("qwen-fix", "run"), script=False, environment=dict(pairs))
    assert ask(proxy).status == 200


def test_a_compose_file_next_to_vllm() -> None:
    compose = YAML(typ="safe").load(qwen_fix("service", "compose", "--listen", "9191")[1])
    proxy, vllm = compose["services"]["qwen-fix"], compose["services"]["vllm"]
    assert proxy["depends_on"] == ["vllm"]
    assert proxy["ports"] == ["127.0.0.1:9191:9090"]
    assert "reverse:http://vllm:8000@0.0.0.0:9090" in proxy["command"]
    for volume in proxy["volumes"]:
        here, there, _ = volume.split(":")
        assert Path(here).exists()
        assert there.startswith("/addon/")
    assert vllm["image"] == "vllm/vllm-openai"


def test_service_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    assert service.command(["--backend", "localhost:1"]) == 2
    assert "write http://localhost:1" in capsys.readouterr().err
    assert service.command(["--listen", "0"]) == 2
    assert "0: a service needs a fixed port" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        service.command(["launchd"])
    assert "launchd: write systemd, environment, compose, or nothing for all" in capsys.readouterr().err
