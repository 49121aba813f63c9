"""The command `qwen-fix`, in a process of its own and from another folder."""

import http.client
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from proxy import LEAK, PATIENCE, ROOT, Proxy, Upstream, ask, chat, closed_port, events, streamed, understood
from ruamel.yaml import YAML

from qwenproxy import cli, replay, service
from qwenproxy.options import OPTIONS

QWEN_FIX = (sys.executable, "-m", "qwenproxy")


def qwen_fix(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [*QWEN_FIX, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=folder,
        check=False,
    )


# run and web


def test_run_repairs_what_the_backend_answers(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    program = (*QWEN_FIX, "run", "--backend", f"{upstream.url}/v1", "--listen", "127.0.0.1:0")
    proxy = start_proxy("", program=program, script=False, qwen_recovery="strict")
    upstream.answer = streamed(events(f"<tool_call>\n{LEAK}"))
    assert understood(ask(proxy).body).calls == [("get_weather", {"city": "Zürich", "days": 3})]
    assert f"qwen_fix ready: {proxy.url} -> {upstream.url} (recovery strict, mode fix)" in proxy.log
    assert proxy.log.count(proxy.url) == 1  # one listener, one line
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log


def test_options_of_mitmproxy_pass_through(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    program = (*QWEN_FIX, "run", "-w", str(tmp_path / "saved.flow"), "--set", "qwen_mode=observe")
    environment = {"QWEN_FIX_BACKEND": upstream.url, "QWEN_FIX_LISTEN": "0"}
    proxy = start_proxy("", program=program, script=False, environment=environment)
    assert "mode observe" in proxy.log
    assert ask(proxy).status == 200
    proxy.stop()
    assert (tmp_path / "saved.flow").stat().st_size > 0


def test_without_a_backend_recordings_stand_in(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("", program=(*QWEN_FIX, "run", "--listen", "0"), script=False)
    model = re.search(r"by its name as the model, such as (\S+);", proxy.log)
    assert model
    assert understood(ask(proxy, chat(model=model[1])).body).finish == "tool_calls"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_of_the_readme_works_without_a_backend(start_proxy: Callable[..., Proxy]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^curl .*?\n(?=```)", readme, re.M | re.S)
    proxy = start_proxy("", program=(*QWEN_FIX, "run", "--listen", "0"), script=False)
    command = command.replace("http://127.0.0.1:9090", proxy.url)
    said = subprocess.check_output(command, shell=True, stderr=subprocess.DEVNULL)
    message = understood(said)
    assert message.calls == [("get_weather", {"city": "Zürich", "days": 3, "detailed": True})]
    assert (message.content, message.finish) == ("I'll create the file.", "tool_calls")


def test_web_shows_it_in_mitmweb(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    web_port = closed_port()
    own = ("--no-web-open-browser", "--web-port", str(web_port))
    program = (*QWEN_FIX, "web", "--backend", upstream.url, "--listen", "0", *own)
    proxy = start_proxy("", program=program, script=False, web_password="secret")
    proxy.wait_for("Web server listening")
    upstream.answer = streamed(events(LEAK))
    ask(proxy)
    connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=PATIENCE)
    connection.request("GET", "/flows", headers={"Authorization": "Bearer secret"})
    (flow,) = json.loads(connection.getresponse().read())
    assert "missing-tool-call-open" in flow["comment"]


REFUSED = {
    "--backend localhost:8080": "localhost:8080: write http://localhost:8080, or https://",
    "--backend https://openrouter.ai/api/v1": "in your client the base URL http://127.0.0.1:9090/api/v1",
    "--backend 18200 --listen 18200": "http://localhost:18200: this is the address of the proxy itself",
    "--backend 8080 --listen here": "here: write a port, or a host and a port",
    "http://localhost:8080": "http://localhost:8080: write --backend http://localhost:8080",
    "--backnd 8080": "--backnd: there is no such option; write --backend",
    "--backend 8080 --set qwen_recovery=lax": "qwen_recovery=lax: write strict, tolerant or aggressive",
    "--backend 8080 --set=qwen_mdoe=fix": "qwen_mdoe: there is no such option; write qwen_mode",
    "--recordings /dev/null/x": "/dev/null/x: Not a directory",
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


def test_a_taken_port_is_refused(upstream: Upstream) -> None:
    done = qwen_fix("run", "--backend", "http://127.0.0.1:1", "--listen", str(upstream.port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"qwen-fix run: 127.0.0.1:{upstream.port}: another program listens there; "
        f"write another port, such as 127.0.0.1:{upstream.port + 1}\n"
    )


# The others


def test_help_names_every_command_and_every_option() -> None:
    said = qwen_fix("--help").stdout
    assert all(f"qwen-fix {name}" in said for name in cli.COMMANDS)
    said = qwen_fix("run", "--help").stdout
    assert all(f"--set {option.name}=" in said for option in OPTIONS)
    assert max(map(len, said.splitlines())) <= 110


def test_it_says_its_version() -> None:
    assert re.fullmatch(r"qwen-fix \d\S+, mitmproxy \d\S+, Python \d\S+\n", qwen_fix("--version").stdout)


def test_an_unknown_command() -> None:
    done = qwen_fix("start")
    assert done.returncode == 2
    assert done.stderr.startswith("qwen-fix start: there is no such command; write run, web, ")


def test_the_demo_is_right(tmp_path: Path) -> None:
    done = qwen_fix("demo", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.endswith("4 of 4 outcomes are right.\n")


@pytest.mark.parametrize("name", [*cli.COMMANDS, *(f"replay {name}" for name in replay.COMMANDS)])
def test_every_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*name.split(), "--help"])
    assert left.value.code == 0
    said = "qwen-fix replay record" if name == "record" else f"qwen-fix {name}"
    assert capsys.readouterr().out.startswith(f"usage: {said}")


# service


def test_a_unit_that_starts_this_program() -> None:
    unit = qwen_fix("service", "systemd").stdout
    (start,) = re.findall(r"^ExecStart=(.*) run \$QWEN_FIX_ARGS$", unit, re.M)
    assert subprocess.check_output([*start.split(), "--version"], text=True).startswith("qwen-fix ")
    assert "EnvironmentFile=%h/.config/qwen-fix.env" in unit


def test_the_environment_that_it_reads(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    said = qwen_fix("service", "environment", "--backend", upstream.url, "--listen", "0").stdout
    pairs = [line.split("=", 1) for line in said.splitlines() if line and not line.startswith("#")]
    proxy = start_proxy("", program=(*QWEN_FIX, "run"), script=False, environment=dict(pairs))
    assert ask(proxy).status == 200


def test_a_compose_file_next_to_vllm() -> None:
    compose = YAML(typ="safe").load(qwen_fix("service", "compose", "--listen", "9191").stdout)
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
    with pytest.raises(SystemExit):
        service.command(["launchd"])
    assert "launchd: write systemd, environment, compose, or nothing for all" in capsys.readouterr().err
