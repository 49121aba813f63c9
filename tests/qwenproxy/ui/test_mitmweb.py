"""mitmweb shows a recording as it was recorded and does not rewrite it again."""

import json
from collections.abc import Callable
from pathlib import Path

from answers import LEAKING
from proxy import Proxy, closed_port, of_mitmweb

from qwenproxy.recording.format import save


def test_it_is_opened_and_left_alone(start_proxy: Callable[..., Proxy], tmp_path: Path) -> None:
    path, port = tmp_path / "leaking.flow", closed_port()
    save(LEAKING, path)
    arguments = ("-n", "-r", str(path), "--no-web-open-browser", "--web-port", str(port))
    proxy = start_proxy("", *arguments, program=("mitmweb",), web_password="secret")
    proxy.wait_for("Web server listening")
    (flow,) = json.loads(of_mitmweb(port, "/flows"))
    assert flow["comment"] == ""
    assert of_mitmweb(port, f"/flows/{flow['id']}/response/content.data") == LEAKING.body
