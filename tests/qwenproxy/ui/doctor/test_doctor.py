"""The doctor asks scripted servers over sockets. Each has one fault."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import api_answers
import pytest
from model_servers import CALLS, Call, failing, key_of, leaked, native, of, pages, server, spoken
from proxy import Proxy, Request, Script, Upstream, chunk, closed_port, head, sized, streamed

from qwenproxy import cli
from qwenproxy.apis import APIS
from qwenproxy.replay.record import Limits
from qwenproxy.ui.doctor import command as doctor
from qwenproxy.ui.doctor.diagnosis import unlisted
from qwenproxy.ui.doctor.engines import ENGINES, Signs, cures, recognise, refusing
from qwenproxy.ui.doctor.questions import FILE, QUESTIONS

Json = dict[str, Any]

ALL, WITH_CALLS = 10, 8  # answers


@dataclass
class Said:
    """The doctor's output, in words and as JSON."""

    code: int
    text: str
    progress: str
    json: Json


@pytest.fixture
def ask(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`ask(script, *options)` returns what the doctor says about a server with this script."""

    def asked(script: Script | None = None, *options: str, backend: str = "") -> Said:
        upstream.answer = script or upstream.answer
        arguments = ["--backend", backend or upstream.url, *options]
        code = doctor.command(arguments)
        said = capsys.readouterr()
        assert doctor.command([*arguments, "--json"]) == code
        plain = json.loads(capsys.readouterr().out)
        assert plain["exit_code"] == code
        return Said(code, said.out, said.err, plain)

    return asked


def states(said: Said, **wanted: Any) -> list[str]:
    """Return the states of the answers that match."""
    answers = [a for a in said.json["answers"] if all(a[key] == value for key, value in wanted.items())]
    return [answer["state"] for answer in answers]


# The verdicts


def test_healthy(ask: Callable[..., Said]) -> None:
    said = ask(server(of(native)))
    assert (said.code, said.json["verdict"]) == (0, "healthy")
    assert said.text.startswith("Your server parses tool calls itself: 10 of 10 answers were right.")
    assert "You do not need qwen-fix" in said.text
    assert "What to do" not in said.text
    assert states(said) == ["right"] * ALL
    assert said.json["cures"] == []


def test_leaks(ask: Callable[..., Said], upstream: Upstream) -> None:
    said = ask(server(of(leaked)))
    assert (said.code, said.json["verdict"]) == (1, "leaks")
    assert said.text.startswith("Calls leak as text: 8 of 10 answers. The proxy repairs all of them.")
    assert states(said, question="plain") == ["right", "right"]
    assert states(said, state="leaked", repaired=True, through="right") == ["leaked"] * WITH_CALLS
    assert f"qwen-fix run --backend {upstream.url}" in said.text
    for engine in ENGINES:  # the engine is not known
        assert f"- {engine.name}: " in said.text


def test_only_streams_leak(ask: Callable[..., Said]) -> None:
    said = ask(server(lambda body: (leaked if body["stream"] else native)(CALLS[key_of(body)])))
    assert (said.code, said.json["verdict"]) == (1, "leaks")
    assert "4 of 10 answers" in said.text
    assert "Only streamed answers leak." in said.text


def test_a_leak_that_is_not_repaired(ask: Callable[..., Said]) -> None:
    def fenced(calls: list[Call]) -> Json:
        text = leaked(calls)["content"]
        return {"content": f"```xml\n{text}\n```" if calls else text}

    said = ask(server(of(fenced)))
    assert (said.code, said.json["verdict"]) == (3, "leaks")
    assert "The proxy cannot help there." in said.text
    assert "still text: in code, a quotation" in said.text


@pytest.mark.parametrize(
    ("make", "repair"),
    [
        (lambda calls: native([(n, json.dumps(json.dumps(a))) for n, a in calls]), "double-encoded"),
        (lambda calls: native([(n, {k: str(v) for k, v in a.items()}) for n, a in calls]), "wrong-type"),
        (lambda calls: native(calls, id=None, type=None), "call-shape"),
        (
            lambda calls: native(
                [
                    (n, "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in a.items()))
                    for n, a in calls
                ]
            ),
            "xml-arguments",
        ),
        (lambda calls: native(calls) | {"finish_reason": "stop"}, "finish-reason"),
    ],
    ids=["encoded twice", "all strings", "no id", "XML", "stop"],
)
def test_damaged_and_repaired(
    ask: Callable[..., Said], make: Callable[[list[Call]], Json], repair: str
) -> None:
    said = ask(server(of(make), pages(v1_models={"data": [{"id": "q", "owned_by": "vllm"}]})))
    assert (said.code, said.json["verdict"]) == (1, "damages")
    assert said.text.startswith("Your server's parser damages calls: ")
    assert "The proxy repairs all of them." in said.text
    assert "vLLM: update vLLM" in said.text
    damaged = [answer for answer in said.json["answers"] if answer["state"] == "damaged"]
    assert all(answer["repaired"] and repair in answer["repairs"] for answer in damaged)
    assert damaged


def test_arguments_as_an_object(ask: Callable[..., Said]) -> None:
    def objects(calls: list[Call]) -> Json:
        message = native(calls)
        for call, (_, arguments) in zip(message.get("tool_calls", []), calls, strict=True):
            call["function"]["arguments"] = arguments
        return message

    said = ask(server(of(objects)))
    assert (said.code, said.json["verdict"]) == (1, "damages")
    assert len(states(said, state="damaged", repaired=True)) == WITH_CALLS


def with_file(text: str, make: Callable[[list[Call]], Json] = native) -> Script:
    """Return a server that is right except for the file."""

    def answer(body: Json) -> Json:
        calls = CALLS[key_of(body)]
        return make([(n, a | {"content": text} if "content" in a else a) for n, a in calls])

    return server(answer)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n".join(line.strip() for line in FILE.splitlines()), "indentation or line breaks lost"),
        (" ".join(FILE.split()), "indentation or line breaks lost"),
        (FILE[: FILE.index("<b>")], "a value cut off"),
        (FILE.replace("&", "&amp;").replace("<", "&lt;"), "characters changed"),
        (FILE.replace("å", "\ufffd\ufffd"), "characters changed"),
    ],
    ids=["indentation", "line breaks", "cut", "entities", "bytes"],
)
def test_lost(ask: Callable[..., Said], text: str, words: str) -> None:
    said = ask(with_file(text))
    assert (said.code, said.json["verdict"]) == (3, "damages")
    assert "damages calls: 2 of 10 answers. The proxy cannot help there." in said.text
    assert f"Lost before any proxy can help: {words} (a file)." in said.text
    assert states(said, through="lost") == ["damaged", "damaged"]


def test_the_last_line_break_may_be_the_models(ask: Callable[..., Said]) -> None:
    said = ask(with_file(FILE.rstrip("\n")))
    assert (said.code, said.json["verdict"]) == (0, "healthy")
    assert "end of the file is missing: the server strips line breaks, or the model left it out." in said.text
    said = ask(with_file(FILE.rstrip("\n"), leaked))
    assert said.code == 1
    assert "end of the file is missing: the model left it out." in said.text


def test_leaks_and_damages(ask: Callable[..., Said]) -> None:
    def answer(body: Json) -> Json:
        calls = CALLS[key_of(body)]
        return leaked(calls) if body["stream"] else native([(n, json.dumps(json.dumps(a))) for n, a in calls])

    said = ask(server(answer))
    assert (said.code, said.json["verdict"]) == (1, "leaks-and-damages")
    assert "Calls leak as text: 4 of 10" in said.text
    assert "parser damages calls: 4 of 10" in said.text


def test_no_calls(ask: Callable[..., Said]) -> None:
    said = ask(server(lambda _: {"content": "I cannot look that up."}))
    assert (said.code, said.json["verdict"]) == (3, "no-calls")
    assert said.text.startswith("The model made no call where one was asked for: 8 of 10 answers.")
    assert "llama.cpp: start llama-server with --jinja" in said.text
    assert "qwen-fix run" not in said.text


def test_a_call_that_comes_only_one_time_was_lost(ask: Callable[..., Said]) -> None:
    def answer(body: Json) -> Json:
        calls = CALLS[key_of(body)]
        return native(calls[:1] if body["stream"] else calls)

    said = ask(server(answer))
    assert (said.code, said.json["verdict"]) == (3, "damages")
    assert "a call missing, which came when not streamed (two calls streamed)" in said.text


@pytest.mark.parametrize("message", [{"content": None}, {"content": "", "finish_reason": "tool_calls"}])
def test_an_empty_answer_has_lost_its_call(ask: Callable[..., Said], message: Json) -> None:
    said = ask(server(lambda body: dict(message) if CALLS[key_of(body)] else {"content": "Hello!"}))
    assert (said.code, said.json["verdict"]) == (3, "damages")
    assert states(said, state="damaged", repaired=False) == ["damaged"] * WITH_CALLS


def test_what_a_model_does_otherwise_is_not_held_against_the_server(ask: Callable[..., Said]) -> None:
    def weather(calls: list[Call]) -> Json:
        return native([("get_weather", {"city": "Bonn", "days": 1, "detailed": True})] if calls else [])

    said = ask(server(of(weather)))
    assert (said.code, said.json["verdict"]) == (0, "healthy")
    assert "10 of 10 answers were well-formed" in said.text
    assert "In 8 answers the model did something else than it was asked: another value, " in said.text


def test_cut(ask: Callable[..., Said]) -> None:
    said = ask(server(lambda _: {"content": "Let me think about", "finish_reason": "length"}))
    assert (said.code, said.json["verdict"]) == (3, "cut")
    assert "The token limit cut 10 of 10 answers" in said.text


def test_an_error_in_the_stream(ask: Callable[..., Said]) -> None:
    def answer(body: Json) -> Json | Script:
        if not body["stream"]:
            return native(CALLS[key_of(body)])
        error = {"error": {"message": "backend \x1b[31mexploded"}}
        return streamed([chunk({"content": "Hello"}), b"data: " + json.dumps(error).encode() + b"\n\n"])

    said = ask(server(answer))
    assert (said.code, said.json["verdict"]) == (3, "errors")
    assert "answers with errors: 5 of 10 answers" in said.text
    assert "backend \\x1b[31mexploded" in said.text
    assert "\x1b" not in said.text + said.progress


def test_some_refusals_are_known(ask: Callable[..., Said]) -> None:
    def answer(body: Json) -> Json | Script:
        calls = CALLS[key_of(body)]
        return failing("Cannot use tools with stream") if body["stream"] else native(calls)

    said = ask(server(answer))
    assert (said.code, said.json["verdict"]) == (3, "errors")
    assert "answers with errors: 5 of 10 answers (Cannot use tools with stream)." in said.text
    assert (
        "llama.cpp: start llama-server with --jinja, in a build that streams calls" in said.json["cures"][0]
    )


# Servers that refuse


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("tools param requires --jinja flag", "llama.cpp: start llama-server with --jinja"),
        (
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            "vLLM: start it with --enable-auto-tool-choice --tool-call-parser qwen3_coder",
        ),
        ("registry.ollama.ai/library/qwen:7b does not support tools", "Ollama: update Ollama"),
        (
            'Error rendering prompt with jinja template: "x"',
            "LM Studio: take the model from lmstudio-community",
        ),
        ("No endpoints found that support tool use.", "OpenRouter: choose a model that has tools"),
        ("This model knows no functions", "SGLang: start it with --tool-call-parser"),
    ],
)
def test_tools_are_refused(ask: Callable[..., Said], message: str, cure: str) -> None:
    said = ask(server(lambda body: failing(message) if "tools" in body else {"content": "Hello!"}))
    assert (said.code, said.json["verdict"]) == (3, "refuses-tools")
    assert said.text.startswith(f"Your server refuses tools: status 400: {message}"[:90])
    assert "It answers without them." in said.text
    assert cure in " ".join(said.text.split())


@pytest.mark.parametrize(
    "body",
    [
        {"error": "no such model"},
        {"object": "error", "message": "no such model"},
        {"detail": "no such model"},
    ],
)
def test_any_other_error(ask: Callable[..., Said], upstream: Upstream, body: Json) -> None:
    said = ask(server(lambda _: sized(json.dumps(body).encode(), status="500 Oh")))
    assert (said.code, said.json["verdict"]) == (2, "errors")
    assert said.text == f"{upstream.url} answers with an error: status 500: no such model\n"


def test_no_model_server_at_all(ask: Callable[..., Said]) -> None:
    said = ask(sized(b"<html>hello</html>", "text/html"))
    assert (said.code, said.json["verdict"]) == (2, "errors")
    assert "status 200: <html>hello</html>" in said.text


def test_nobody_listens(ask: Callable[..., Said]) -> None:
    backend = f"http://127.0.0.1:{closed_port()}"
    said = ask(backend=backend)
    assert (said.code, said.json["verdict"]) == (2, "unreachable")
    assert said.text == f"{backend} does not answer: nothing is listening there.\n"


def test_it_hangs_up(ask: Callable[..., Said]) -> None:
    async def hang_up(_request: Request, _writer: asyncio.StreamWriter) -> bool:
        return False

    said = ask(server(lambda _: hang_up))
    assert (said.code, said.json["verdict"]) == (2, "unreachable")
    assert "closed connection without response" in said.text


def test_it_goes_away(ask: Callable[..., Said], upstream: Upstream) -> None:
    async def hang_up(_request: Request, _writer: asyncio.StreamWriter) -> bool:
        return False

    said = ask(server(lambda body: native([]) if body["stream"] else hang_up))
    assert (said.code, said.json["verdict"]) == (3, "errors")
    assert states(said) == ["right", "error"]


def test_it_breaks_off(ask: Callable[..., Said]) -> None:
    async def break_off(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            head("Content-Type: text/event-stream", "Content-Length: 9999") + chunk({"content": "a"})
        )
        await writer.drain()
        return False

    said = ask(server(lambda _: break_off))
    assert (said.code, said.json["verdict"]) == (3, "errors")
    assert "the answer broke off" in said.text


def test_the_proxy_itself(
    ask: Callable[..., Said], upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy(upstream.url)
    said = ask(backend=f"{proxy.url}/v1")
    assert (said.code, said.json["verdict"]) == (2, "qwen-fix")
    assert said.text == f"{proxy.url} is a qwen-fix proxy: give the address of the model server.\n"


# How it asks


def test_the_model_is_the_first_that_is_listed(ask: Callable[..., Said], upstream: Upstream) -> None:
    script = server(of(native), pages(v1_models={"data": [{"id": "first"}, {"id": "second"}]}))
    assert ask(script).json["model"] == "first"
    assert {r.json["model"] for r in upstream.requests if r.body} == {"first"}
    second = ask(script, "--model", "second")
    assert second.json["model"] == "second"
    assert "lists" not in second.text
    assert ask(server(of(native))).json["model"] == "default"


def test_a_model_that_is_not_listed_is_said(ask: Callable[..., Said]) -> None:
    names = ["first", *(f"m{n}" for n in range(9))]
    said = ask(
        server(of(native), pages(v1_models={"data": [{"id": name} for name in names]})), "--model", "nope"
    )
    line = "The server lists no model nope. It lists first, m0, m1, m2, m3, m4, m5, m6 and 2 more."
    assert line in said.text.splitlines()
    assert (said.code, said.json["details"][0]) == (0, line)


def test_ollama_adds_a_tag_to_the_name_of_a_model() -> None:
    assert unlisted("qwen3", ["qwen3:latest"]) == ""
    assert unlisted("qwen3", []) == ""


def test_headers_and_the_path_of_a_gateway(ask: Callable[..., Said], upstream: Upstream) -> None:
    said = ask(server(of(leaked)), "--header", "Authorization: Bearer k", backend=f"{upstream.url}/api/v1")
    assert {r.headers["authorization"] for r in upstream.requests} == {"Bearer k"}
    asked = {r.line.split()[1] for r in upstream.requests if r.body}
    assert asked == {f"/api{api.address}" for api in APIS.values()}
    assert f"qwen-fix run --backend {upstream.url}\n" in said.text
    assert "http://127.0.0.1:9090/api/v1" in said.text


def test_it_says_what_it_waits_for(ask: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TICK", 0.05)

    def slow(body: Json) -> Script:
        async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
            await asyncio.sleep(0.2 if key_of(body) == "text" else 0)
            return await spoken(native(CALLS[key_of(body)]), body["stream"])(request, writer)

        return script

    progress = ask(server(slow)).progress
    assert "asking an unknown server, model default\n" in progress
    assert re.search(r"^1/10 plain, streamed … 0 s ….* right \(0\.\d s\)$", progress, re.M)
    assert re.search(r"^10/10 a file, not streamed … right \(0\.\d s\)$", progress, re.M)


def test_a_server_that_never_answers(ask: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)

    async def silent(_request: Request, writer: asyncio.StreamWriter) -> bool:
        while not writer.is_closing():
            await asyncio.sleep(0.01)
        return False

    said = ask(server(lambda _: silent))
    assert (said.code, said.json["verdict"]) == (2, "unreachable")
    assert "timed out" in said.text


def test_strange_pages_do_no_harm(ask: Callable[..., Said]) -> None:
    for page in (
        {"data": 3},
        {"data": [3, {"id": None, "owned_by": ["x"]}]},
        {"data": [{"id": "a\x1b[2Jb"}]},
    ):
        said = ask(server(of(native), lambda _, page=page: page))
        assert said.code == 0
        assert "\x1b" not in said.text + said.progress


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--backend", "localhost:8080"], "write http://localhost:8080"),
        (["--backend", "99999"], "write a port from 1 to 65535"),
        (["--backend", "http://x/?a=b"], "leave out what stands after the path"),
        (["--backend", "http://x", "--header", "no colon"], "write 'Name: value'"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("qwen-fix doctor: ")
    assert line in said.err
    assert said.err.count("\n") == 1


def test_the_exit_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor", "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert [f"\n  {code}  " in said for code in range(4)] == [True] * 4


# Engines


@pytest.mark.parametrize(
    ("signs", "name"),
    [
        (Signs(owners={"llamacpp"}), "llama.cpp"),
        (Signs(headers={"server": "llama.cpp"}), "llama.cpp"),
        (Signs(pages={"/props": {"default_generation_settings": {}}}), "llama.cpp"),
        (Signs(owners={"vllm"}), "vLLM"),
        (Signs(fingerprints={"vllm-0.32.0-d1085eaf"}), "vLLM"),
        (Signs(pages={"/version": {"version": "0.32.0"}}), "vLLM"),
        (Signs(owners={"sglang"}), "SGLang"),
        (Signs(owners={"library"}), "Ollama"),
        (Signs(fingerprints={"fp_ollama"}), "Ollama"),
        (Signs(owners={"organization_owner"}), "LM Studio"),
        (Signs(fingerprints={"0.32.2-0.32.4-Linux-x86_64"}), "mlx-lm"),
        (Signs(headers={"x-litellm-version": "1", "llm_provider-server": "llama.cpp"}), "LiteLLM"),
        (Signs(headers={"x-generation-id": "gen-1"}), "OpenRouter"),
    ],
)
def test_engines_show_themselves(signs: Signs, name: str) -> None:
    engine = recognise(signs)
    assert engine
    assert engine.name == name


def test_an_engine_that_shows_nothing_is_unknown() -> None:
    assert (
        recognise(Signs(owners={"fake", "None"}, headers={"server": "uvicorn"}, pages={"/props": {}})) is None
    )
    assert refusing("some error") is None


def test_the_parser_fits_the_format_that_leaked(ask: Callable[..., Said]) -> None:
    models = pages(v1_models={"data": [{"id": "qwen", "owned_by": "vllm"}]})
    assert "--tool-call-parser qwen3_coder" in ask(server(of(leaked), models)).json["cures"][0]

    def hermes(calls: list[Call]) -> Json:
        texts = [json.dumps({"name": n, "arguments": a}, ensure_ascii=False) for n, a in calls]
        return {"content": "\n".join(f"<tool_call>\n{text}\n</tool_call>" for text in texts) or "Hello!"}

    said = ask(server(of(hermes), models))
    assert (said.code, said.json["verdict"]) == (1, "leaks")
    assert "--tool-call-parser hermes" in said.json["cures"][0]
    assert said.json["engine"] == "vLLM"


def test_every_cure_can_be_said() -> None:
    for kind in ("leak", "damage", "tools"):
        assert len(cures(None, kind)) == len(ENGINES)
        assert "{" not in "".join(cures(None, kind))


# Questions


def test_the_file_is_quoted_and_the_ticket_stands_last() -> None:
    for question in QUESTIONS:
        text = question.request("m", True)["messages"][0]["content"]
        assert text.endswith(f"\nTicket TASK:{question.ticket}")
    assert f"```\n{FILE}```" in QUESTIONS[-1].text


# Servers that answer without end, or that make the doctor print too much


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(seconds=0.05), "not over after 0.05 seconds"), (Limits(size=50_000), "more than 50000 bytes")],
)
def test_an_answer_without_an_end_is_broken_off(
    ask: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, limits: Limits, reason: str
) -> None:
    async def endless(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head("Content-Type: text/event-stream"))
        while not writer.is_closing():
            writer.write(b": ping\n\n" * 1000)
            await writer.drain()
            await asyncio.sleep(0.01)
        return False

    monkeypatch.setattr(doctor, "LIMITS", limits)
    monkeypatch.setattr(doctor, "GLANCE", 0.2)
    said = ask(server(lambda _: endless))
    assert said.code in (2, 3)
    assert reason in said.progress


def test_a_failure_of_its_own_is_not_taken_for_a_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], upstream: Upstream
) -> None:
    monkeypatch.setattr(doctor.Doctor, "_look_around", lambda _: 1 / 0)
    assert doctor.command(["--backend", upstream.url]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "qwen-fix doctor: ZeroDivisionError: division by zero"


def test_a_key_is_not_said_again(ask: Callable[..., Said], capsys: pytest.CaptureFixture[str]) -> None:
    script = server(lambda _: failing("wrong key sk-very-secret", "401 Unauthorized"))
    said = ask(script, "--header", "Authorization: Bearer sk-very-secret")
    assert "sk-very-secret" not in said.text + said.progress + json.dumps(said.json)
    assert doctor.command(["--backend", "http://x", "--header", "Authorization Bearer sk-very-secret"]) == 2
    assert "sk-very-secret" not in capsys.readouterr().err


def test_a_redirect_says_where(ask: Callable[..., Said], upstream: Upstream) -> None:
    moved = sized(b"", "text/html", "Location: http://elsewhere:8080/v1", status="307 Temporary Redirect")
    said = ask(server(lambda _: moved))
    assert "it redirects to http://elsewhere:8080/v1: ask there" in " ".join(said.text.split())
    assert len([r for r in upstream.requests if r.line.startswith("POST")]) <= 6  # the doctor ran twice


def test_a_small_context_is_the_doctors_own_fault(ask: Callable[..., Said]) -> None:
    message = "This model's maximum context length is 4096 tokens"

    def answer(body: Json) -> Json | Script:
        return failing(message) if body["max_tokens"] > 1000 else of(native)(body)

    said = ask(server(answer))
    assert (said.code, said.json["verdict"]) == (0, "healthy")


# The other APIs of a server


def serving(texts: dict[str, str]) -> Script:
    """Return a healthy server of chat completions that has other APIs, too: {API: its text}."""
    chats = server(of(native))

    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        path = request.line.split()[1]
        name = next((name for name in texts if path.endswith(APIS[name].address)), None)
        if name is None:
            return await chats(request, writer)
        is_stream = APIS[name].asked(request.json).stream
        if is_stream:
            answer = streamed(api_answers.stream(name, texts[name]), kind=api_answers.content_type(name))
        else:
            answer = sized(api_answers.whole(name, texts[name]))
        return await answer(request, writer)

    return script


LEAKED = leaked(CALLS["gw-good"])["content"]
OTHERS = ("messages", "responses", "ollama")


def test_a_server_without_other_apis(ask: Callable[..., Said]) -> None:
    said = ask(server(of(native)))
    assert [(a["api"], a["served"]) for a in said.json["apis"]] == [(name, False) for name in OTHERS]
    assert "It does not serve /v1/messages." in said.text


@pytest.mark.parametrize("name", OTHERS)
def test_calls_that_leak_in_another_api_only(ask: Callable[..., Said], name: str) -> None:
    said = ask(serving({name: LEAKED}))
    assert (said.code, said.json["verdict"]) == (1, "leaks")
    where = APIS[name].address
    assert f"Calls leak on {where}, too: 2 of 2 answers. The proxy repairs all of them." in said.text
    assert "qwen-fix run --backend" in said.text
    (found,) = [a for a in said.json["apis"] if a["served"]]
    assert (found["api"], [a["state"] for a in found["answers"]]) == (name, ["leaked", "leaked"])
    assert (f"(for {where}: http://127.0.0.1:9090)" in said.text) is (name != "responses")


@pytest.mark.parametrize("name", OTHERS)
def test_an_api_in_which_the_model_makes_no_call(ask: Callable[..., Said], name: str) -> None:
    said = ask(serving({name: "Hello!"}))
    assert (said.code, said.json["verdict"]) == (0, "healthy")
    assert f"It also serves {APIS[name].address}." in said.text


def test_an_api_that_answers_with_an_error(ask: Callable[..., Said]) -> None:
    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        refusing = failing("no such model") if "/v1/messages" in request.line else server(of(native))
        return await refusing(request, writer)

    said = ask(script)
    assert said.code == 0
    assert "/v1/messages answers with an error: status 400: no such model." in said.text


def test_a_server_that_answers_every_path_with_chat_completions(ask: Callable[..., Said]) -> None:
    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.line.startswith("GET"):
            return await sized(b"{}", status="404 Not Found")(request, writer)
        asked = request.json
        if "messages" not in asked:
            asked = {"messages": asked["input"], "stream": asked["stream"]}
        return await spoken(native(CALLS[key_of(asked)]), asked["stream"])(request, writer)

    said = ask(script)
    assert (said.code, [a["served"] for a in said.json["apis"]]) == (0, [False] * 3)
