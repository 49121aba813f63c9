"""Under a mitmproxy that was installed alone (brew, pipx, the official binary) the script works.

The virtual environment is real, but nothing is downloaded: each distribution that mitmproxy
requires, and none else, is linked into it from the environment of the tests.
"""

import os
import subprocess
import venv
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from proxy import LEAK, Proxy, Upstream, ask, chat, completion, events, sized, streamed, understood


def needed(name: str, found: dict[str, Distribution] | None = None) -> dict[str, Distribution]:
    """The distributions that `name` needs, and itself."""
    found = {} if found is None else found
    try:
        dist = distribution(name)
    except PackageNotFoundError:
        return found  # of an extra, or for another platform
    key = dist.metadata["Name"].lower()
    if key not in found:
        found[key] = dist
        for requirement in map(Requirement, dist.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name, found)
    return found


def top_level(dist: Distribution) -> set[Path]:
    """What a distribution has put into site-packages."""
    files = [file for file in dist.files or [] if file.parts[0] not in ("..", "__pycache__")]
    return {Path(str(dist.locate_file(file.parts[0]))) for file in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with mitmproxy in it and nothing else."""
    home = tmp_path_factory.mktemp("alone")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-c", where], text=True).strip())
    for path in {p for dist in needed("mitmproxy").values() for p in top_level(dist)}:
        os.symlink(path, site / path.name)
    return python


def test_it_holds_mitmproxy_only(alone: Path) -> None:
    probe = "import importlib.util as u; print([m for m in {} if u.find_spec(m)])"
    modules = ["mitmproxy", "qwenproxy", "toolstream", "pytest", "hypothesis", "openai", "orjson"]
    seen = subprocess.check_output([alone, "-c", probe.format(modules)], text=True, cwd=alone.parent)
    assert seen.strip() == "['mitmproxy']"


def test_the_script_works_there(
    alone: Path, upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    program = (str(alone), *Proxy.program[1:])
    proxy = start_proxy(upstream.url, program=program, qwen_record=tmp_path, qwen_rules="default")
    upstream.answer = streamed(events(LEAK))
    assert understood(ask(proxy).body).calls == [("get_weather", {"city": "Zürich", "days": 3})]
    upstream.answer = sized(completion(LEAK))
    assert ask(proxy, chat(stream=False)).json["choices"][0]["finish_reason"] == "tool_calls"
    assert ask(proxy, path="/_health", method="GET").json["rules"]["count"] == 10
    proxy.stop()
    assert len(list(tmp_path.glob("*-repaired-*.flow"))) == 2
    assert "Traceback" not in proxy.log
