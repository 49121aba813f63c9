"""A recording in mitmweb: shown as it was recorded, not rewritten once more."""

import http.client
import json
import sys
from collections.abc import Callable
from pathlib import Path

from answers import LEAKING
from proxy import PATIENCE, Proxy, closed_port

from qwenproxy.recording import save

MITMWEB = (sys.executable, "-c", "from mitmproxy.tools.main import mitmweb; mitmweb()")


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Authorization": "Bearer secret"})  # 11 does not ask for it
    return connection.getresponse().read()


def test_it_is_opened_and_left_alone(start_proxy: Callable[..., Proxy], tmp_path: Path) -> None:
    path, port = tmp_path / "leaking.flow", closed_port()
    save(LEAKING, path)
    arguments = ("-n", "-r", str(path), "--no-web-open-browser", "--web-port", str(port))
    proxy = start_proxy("", *arguments, program=MITMWEB, web_password="secret")
    proxy.wait_for("Web server listening")
    (flow,) = json.loads(get(port, "/flows"))
    assert flow["comment"] == ""
    assert get(port, f"/flows/{flow['id']}/response/content.data") == LEAKING.body
