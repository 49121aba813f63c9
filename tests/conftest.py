"""Fixtures that start servers and proxies, and end them. What they start is in tests/qwenproxy/proxy.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy, Script, Upstream


def pytest_configure(config: pytest.Config) -> None:
    """Do not tell of what is outdated in mitmproxy's dependencies. And let the processes that are started
    keep compiled modules, whatever the machine says: compiling mitmproxy takes longer than starting it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    config.addinivalue_line(
        "filterwarnings", "ignore::DeprecationWarning:(ldap3|mitmproxy|passlib|pyparsing)"
    )


@pytest.fixture
def start_upstream() -> Iterator[Callable[..., Upstream]]:
    """`start_upstream(script)` starts another scripted server."""
    started: list[Upstream] = []

    def start(answer: Script | None = None) -> Upstream:
        started.append(Upstream(answer))
        return started[-1]

    yield start
    for upstream in started:
        upstream.stop()


@pytest.fixture
def upstream(start_upstream: Callable[..., Upstream]) -> Upstream:
    """A scripted server; say what it answers with `upstream.answer = streamed(events("hello"))`."""
    return start_upstream()


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mitmproxy's certificates; making them anew for each proxy would take most of its start."""
    return tmp_path_factory.mktemp("confdir")


@pytest.fixture
def start_proxy(confdir: Path) -> Iterator[Callable[..., Proxy]]:
    """`start_proxy(upstream.url, *arguments, **options)` starts mitmdump and waits until it is ready."""
    started: list[Proxy] = []

    def start(url: str, *arguments: str, ready: bool = True, **options: Any) -> Proxy:
        started.append(Proxy(url, confdir, *arguments, **options))
        return started[-1].wait_ready() if ready else started[-1]

    yield start
    for proxy in started:
        proxy.stop()
