"""Take the screenshots for the README: the status page and mitmweb, after a scripted session.

    screenshots.py [FOLDER]        by default addon/qwenproxy/ui/screenshots

Needs chromium and chromedriver, and a font with emoji for the marks in mitmweb.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browser
import stage
from browser import Browser
from proxy import Proxy, Upstream, ask, chat, chunk, closed_port, events, streamed

FOLDER = stage.ROOT / "addon" / "qwenproxy" / "ui" / "screenshots"
MITMWEB = (sys.executable, "-c", "from mitmproxy.tools.main import mitmweb; mitmweb()")
PASSWORD = "secret"
OPENCODE, QWEN_CODE = {"User-Agent": "opencode/1.18.33"}, {"User-Agent": "QwenCode/0.24.4"}


def tool(name: str, **parameters: str) -> dict[str, object]:
    properties = {key: {"type": kind} for key, kind in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters)[:1]}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [
    tool("write", filePath="string", content="string"),
    tool("bash", command="string", timeout="integer"),
    tool("read", path="string"),
]
WRITE = """\
I'll create the file.

<function=write>
<parameter=filePath>
/tmp/area.py
</parameter>
<parameter=content>
def area(r):
    return 3.14159 * r ** 2


print(f"<b>{area(2):.2f}</b>")
</parameter>
</function>
</tool_call>"""
BASH = """\
<tool_call>
<function=bash>
<parameter=command>
python3 /tmp/area.py
</parameter>
<parameter=timeout>
60
</parameter>
</function>"""
READ = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "read", "arguments": '{"path": "/tmp/area.py"}'},
}
PARSED = [chunk({"role": "assistant", "tool_calls": [READ]}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
SESSION = [
    ("qwen3-coder", OPENCODE, events(WRITE)),
    ("qwen3-coder", OPENCODE, events(BASH)),
    ("qwen3-coder", OPENCODE, PARSED),
    ("qwen3-coder", OPENCODE, events(f"It is 12.57.\n\n```xml\n{BASH}\n```\nThat is how a call looks.")),
    ("qwen3-coder", OPENCODE, events("All done.")),
    ("qwen3.5-27b", QWEN_CODE, PARSED),
    ("qwen3.5-27b", QWEN_CODE, events("All done.")),
]


@contextmanager
def session() -> Iterator[tuple[str, str]]:
    """Yield the URLs of the status page and of mitmweb, after the chats."""
    upstream, port = Upstream(), closed_port()
    pages = ("--no-web-open-browser", "--web-port", str(port))
    with tempfile.TemporaryDirectory() as confdir:
        proxy = Proxy(
            upstream.url, Path(confdir), *pages, program=MITMWEB, web_password=PASSWORD
        ).wait_ready()
        try:
            for model, client, pieces in SESSION:
                upstream.answer = streamed(pieces)
                ask(proxy, chat(model=model, tools=TOOLS), headers=client)
            yield f"{proxy.url}/_qwen/", f"http://127.0.0.1:{port}/?token={PASSWORD}"
        finally:
            proxy.stop()
            upstream.stop()


def take(window: Browser, folder: Path) -> None:
    with session() as (page, mitmweb):
        window.size(1200, 1060)
        window.open(page)
        window.until("return document.querySelectorAll('.chat').length > 6")
        window.screenshot(folder / "status-page.png", whole=False)
        window.size(1200, 620)
        window.open(mitmweb)
        row = "document.querySelectorAll('tbody td.col-comment')[0]"
        window.until(f"return {row}")
        window.run(f"{row}.click()")
        response = "[...document.querySelectorAll('a')].find(link => link.textContent === 'Response')"
        window.until(f"return {response}")
        window.run(f"{response}.click()")
        window.until("return document.body.innerText.includes('CLIENT RECEIVED')")
        window.screenshot(folder / "mitmweb.png", whole=False)


def main(folder: Path) -> int:
    found = browser.find()
    if not found:
        print("chromium and chromedriver are not both here", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    with Browser(*found) as window:
        window.theme("light")
        take(window, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER))
