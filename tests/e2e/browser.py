"""Controls Chromium over WebDriver's plain HTTP (https://www.w3.org/TR/webdriver2/).

Needs only chromium and chromedriver on the PATH. Uses free ports and a temporary profile, and stops
what it started by process id.
"""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT = 15  # seconds for a condition
ENTER, TAB, SPACE = "\ue007", "\ue004", " "


def find() -> tuple[str, str] | None:
    """Return the browser and its driver; None if one is missing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window, as a context manager. The lines of the browser's log are in `logged`."""

    def __init__(self, browser: str, driver: str) -> None:
        self.logged: list[dict[str, Any]] = []
        command = [driver, "--port=0"]
        self._driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._session = ""
        try:
            self._url = f"http://127.0.0.1:{self._port()}"
            self._session = self._ask("POST", "/session", _wanted(browser))["sessionId"]
        except BaseException:
            self.close()
            raise

    def _port(self) -> int:
        for line in self._driver.stdout or ():
            if "started successfully on port" in line:
                return int(line.split()[-1].rstrip("."))
        raise RuntimeError(f"chromedriver did not start, with exit code {self._driver.wait()}")

    def close(self) -> None:
        try:
            if self._session:
                self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.communicate()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        if not path.startswith("/session"):
            path = f"/session/{self._session}{path}"
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._url + path, data, {"content-type": "application/json"})
        request.method = method
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{path}: {json.load(e)['value']['message']}") from None

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function; return its result."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def run_async(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function; return what it passes to its last argument, a callback."""
        return self._ask("POST", "/execute/async", {"script": script, "args": arguments})

    def cdp(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def press(self, *keys: str) -> None:
        """Press keys; the focused element gets them."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def size(self, width: int, height: int = 900) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def theme(self, scheme: str, motion: str = "no-preference") -> None:
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        listed = [{"name": name, "value": value} for name, value in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=listed)

    def screenshot(self, file: Path, whole: bool = True) -> None:
        """Save a picture of the whole page, or of its visible part."""
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def logs(self) -> list[dict[str, Any]]:
        """Return the lines logged since the last call: `source`, `level`, `message`."""
        return list(self._ask("POST", "/se/log", {"type": "browser"}))

    def until(self, script: str, *arguments: Any, what: str = "") -> Any:
        """Wait until a script returns a true value, and return it."""
        return wait(lambda: self.run(script, *arguments), what or script)


def wait(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """Wait until the condition is true, and return its value. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} seconds: {what}"
        time.sleep(0.03)
    return found


def _wanted(browser: str) -> dict[str, Any]:
    arguments = ["--headless=new", "--disable-gpu", "--no-first-run", "--no-proxy-server"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    if Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").total < 256 << 20:
        arguments.append("--disable-dev-shm-usage")
    options = {"binary": browser, "args": arguments}
    always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    return {"capabilities": {"alwaysMatch": always}}
