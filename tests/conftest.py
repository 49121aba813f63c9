"""Fixtures that start servers and proxies, and end them. What they start is in tests/qwenproxy/proxy.py.

And how much is tried: `make test` shortens some tests, such as those at every cut of long texts. They use the
fixture `cuts`, or `thorough`. `pytest --thorough` runs just those, in full; `make fuzz` begins with it.
"""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from proxy import Proxy, Script, Upstream

from support.cuts import Cuts, all_cuts, some_cuts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="only the tests that are shortened otherwise, in full"
    )


# Nothing that is tested depends on how busy the machine is.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Do not tell of what is outdated in mitmproxy's dependencies. And let the processes that are started
    keep compiled modules, whatever the machine says: compiling mitmproxy takes longer than starting it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    config.addinivalue_line(
        "filterwarnings", "ignore::DeprecationWarning:(ldap3|mitmproxy|passlib|pyparsing)"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """All that is imported and collected stays to the end: do not look for garbage in it, again and again."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --thorough, keep the tests that it makes longer."""
    if config.getoption("thorough"):
        others = [item for item in items if "thorough" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item not in set(others)]
        config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether a test shall try all there is, however long it takes."""
    return bool(pytestconfig.getoption("thorough"))


@pytest.fixture(scope="session")
def cuts(thorough: bool) -> Cuts:
    """`for pieces in cuts(text)`: every cut, or some."""
    return all_cuts if thorough else some_cuts


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
