"""How options are read. test_addon.py checks that a bad one stops the start."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mitmproxy.exceptions import OptionsError
from mitmproxy.test import taddons

from qwenproxy import options
from qwenproxy.addon import QwenFix
from qwenproxy.rules.file import SHIPPED
from toolstream import ToolCallParser
from toolstream.grammar.grammar import grammar


def test_the_defaults_can_be_read() -> None:
    settings = options.read({})
    assert (settings.recovery, settings.mode, settings.record) == ("tolerant", "fix", None)
    assert settings.apis == {"chat", "messages", "responses", "ollama"}
    assert settings.paths.search("/anything")
    assert settings.models.search("anything")
    assert settings.redact == frozenset()


def test_every_option_has_a_help_that_names_its_choices() -> None:
    for option in options.OPTIONS:
        assert option.help.endswith(".")
    assert all(choice in options.OPTIONS[0].help for choice in options.RECOVERIES)


def test_a_directory_is_not_made_before_it_is_needed(tmp_path: Path) -> None:
    assert options.read({"qwen_record": str(tmp_path / "a" / "b")}).record == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()


def test_apis_are_split() -> None:
    assert options.read({"qwen_apis": " messages,chat ,"}).apis == {"messages", "chat"}


def test_names_are_split() -> None:
    assert options.read({"qwen_redact": " X-Team,user ,, a.b"}).redact == {"x-team", "user", "a.b"}


def test_rules_are_shipped_or_in_a_file() -> None:
    assert options.read({}).rules is None
    assert options.read({"qwen_rules": "default"}).rules == SHIPPED
    assert options.read({"qwen_rules": "./default"}).rules == Path("default")
    assert options.read({"qwen_rules": "~/r.yaml"}).rules == Path.home() / "r.yaml"


def test_the_prefix_of_our_own_endpoints() -> None:
    for prefix in ("", "/_qwen", "/a/b-c.d", "/v", "/v1/_qwen"):
        assert options.read({"qwen_control": prefix}).control == prefix


def test_seconds() -> None:
    for value, seconds in (("5", 5.0), ("0.5", 0.5), ("0", 0.0), ("", 0.0)):
        assert options.read({"qwen_keepalive": value}).keepalive == seconds
    assert options.read({}).keepalive == 5.0


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("qwen_recovery", "", "strict, tolerant or aggressive"),
        ("qwen_recovery", "lax", "strict, tolerant or aggressive"),
        ("qwen_mode", "Fix", "fix or observe"),
        ("qwen_mode", "off", "fix or observe"),
        *(
            ("qwen_apis", value, "one or more of chat, messages, responses and ollama, separated by commas")
            for value in ("", ",", "openai", "chat,anthropic", "chat;ollama", "Chat")
        ),
        ("qwen_paths", "*", "a regular expression"),
        ("qwen_paths", "(", "a regular expression"),
        ("qwen_models", "a{2,1}", "a regular expression"),
        ("qwen_models", "[", "a regular expression"),
        ("qwen_record", "/dev/null/x", "a directory"),
        ("qwen_record", "/dev/null", "a directory"),
        ("qwen_record_what", "everything", "all, repaired, refused or failed"),
        ("qwen_record_what", "none", "all, repaired, refused or failed"),
        ("qwen_redact", "a;b", "names separated by commas"),
        ("qwen_redact", "a b", "names separated by commas"),
        ("qwen_redact", ", ,", "names separated by commas, or nothing"),
        *(
            ("qwen_keepalive", value, "seconds, such as 5, or 0 for none")
            for value in ("-1", "5s", "nan", "inf", "1e3", ".5", "off", "\u0665")
        ),
        *(
            ("qwen_control", value, "a path such as /_qwen, or nothing")
            for value in ("/", "/x/", "x", "_qwen", "/_qwen/", "/a b", "//x")
        ),
    ],
)
def test_a_bad_value_is_one_line_that_says_what_to_write(name: str, value: str, advice: str) -> None:
    with pytest.raises(OptionsError) as caught:
        options.read({name: value})
    line = str(caught.value)
    assert line.startswith(f"{name}={value}: write {advice}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("/v1", "/v1/chat/completions"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/models", "/v1/models"),
        ("/api", "/api/chat"),
        ("/api/v1", "/api/v1/models"),
    ],
)
def test_our_own_endpoints_leave_the_clients_their_paths(value: str, taken: str) -> None:
    with pytest.raises(OptionsError) as caught:
        options.read({"qwen_control": value})
    assert str(caught.value) == (
        f"qwen_control={value}: clients need {taken}; write another path, such as /_qwen"
    )


def test_a_bad_value_while_running_changes_nothing() -> None:
    addon = QwenFix()
    with taddons.context(addon) as context:
        context.configure(addon, qwen_mode="observe")
        with pytest.raises(OptionsError):
            context.configure(addon, qwen_mode="fixed")
        assert context.options.qwen_mode == "observe"
        assert addon.configuration.settings.observe


def test_the_first_answer_does_not_wait_for_the_grammar() -> None:
    addon = QwenFix()
    with taddons.context(addon) as context:
        grammar.cache_clear()
        context.configure(addon, qwen_recovery="strict")
        compiled = grammar.cache_info().misses
        ToolCallParser([{"type": "function", "function": {"name": "read"}}], recovery="strict")
        assert grammar.cache_info().misses == compiled


def test_only_our_own_names_can_be_misspelt() -> None:
    assert options.misspelt({"qwen_path": "x", "other_option": "y", "qwen_mode": "z"}) == [
        "qwen_path: there is no such option; write qwen_paths"
    ]


def test_a_name_in_other_letters_or_without_its_prefix_is_misspelt() -> None:
    given = {name: SimpleNamespace(val=["x"]) for name in ("qwen-mode", "Qwen_Mode", "record-what", "other")}
    assert options.misspelt(given | {"models": "of another script, from a file"}) == [
        "qwen-mode: there is no such option; write qwen_mode",
        "Qwen_Mode: there is no such option; write qwen_mode",
        "record-what: there is no such option; write qwen_record_what",
    ]


def test_a_name_like_no_other_gets_a_list_of_what_there_is() -> None:
    assert options.misspelt({"qwen_loop_guard": "on"}) == [
        f"qwen_loop_guard: there is no such option; write one of {', '.join(options.NAMES)}"
    ]


def test_what_a_configuration_file_gives_is_readable() -> None:
    assert options.unreadable({"qwen_mode": "fix", "qwen_paths": SimpleNamespace(val=["x"])}) == {}
