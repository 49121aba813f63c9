"""make e2e: the status page in Chromium, on a real proxy and on a stand-in.

    page.py [URL] [--screenshots FOLDER]

With a URL only the checks for any proxy run, on the page there; the proxy must have kept a chat. A
script error, or any other line in the browser's console, is a failure. Without Chromium the script says so
and tests nothing.

Prints one row for each check. The exit code is 0 only if all are right.
"""

import argparse
import json
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import browser
import stage  # makes the next import work  # noqa: F401
from browser import ENTER, TAB, Browser
from proxy import LEAK, Proxy, Upstream, ask, chat, completion, events, sized, streamed
from stand_in import BROKEN, LEFT, PASSED, REFUSED, REPAIRED, SHOWN, StandIn, message

from toolstream.repairs import Refused

WIDTHS = (360, 768, 1280, 1920)
THEMES = ("light", "dark")
SILENT = "The proxy does not answer."
ON_MACHINE = "What was said is shown only on the proxy's own machine"
CONTRAST = (4.5, 3.0)  # WCAG AA: for text, and for large text

VERDICT = "return document.querySelector('#verdicts').innerText"
CHATS = "return Number(document.querySelector('#figure-chats dd span').textContent.replaceAll(',', ''))"
FOCUS = "return document.activeElement.closest(arguments[0]) !== null"
POLLED = "return performance.getEntriesByType('resource').filter(e => /stats$/.test(e.name)).length"
WIDTH = "return [document.documentElement.scrollWidth, innerWidth]"

# Every text with too little contrast: [contrast, text, element]. Colours are drawn on a canvas, because the
# browser returns them in several notations.
FAINT = """
const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
const known = new Map();
const mixed = colours => {
  if (!known.has(colours.join())) known.set(colours.join(), mix(colours));
  return known.get(colours.join());
};
const mix = colours => {
  for (const colour of ['white', ...colours]) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = rgb => rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
const grounds = node => node ? [...grounds(node.parentElement), getComputedStyle(node).backgroundColor] : [];
const found = [];
for (const node of document.querySelectorAll('body *')) {
  const text = [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
  if (!text || !node.checkVisibility() || !node.getClientRects().length) continue;
  const style = getComputedStyle(node), ground = grounds(node), size = parseFloat(style.fontSize);
  const colour = node instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [light(mixed(ground)), light(mixed([...ground, colour]))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
  const enough = arguments[large ? 1 : 0];
  if (contrast < enough) found.push([contrast, text.slice(0, 40), node.parentElement.className]);
}
return found;
"""

# Elements with a role or a control, but without a name.
NAMELESS = """
const named = node => node.ariaLabel || node.labels?.length || node.textContent.trim() ||
  document.getElementById(node.getAttribute('aria-labelledby'))?.textContent;
return [...document.querySelectorAll('button, textarea, select, summary, section, [role]')]
  .filter(node => node.checkVisibility() && node.role !== 'status' && !named(node))
  .map(node => node.outerHTML);
"""


class Shots:
    """Saves screenshots, if they are wanted."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def take(self, window: Browser, name: str) -> None:
        if self.folder:
            window.screenshot(self.folder / f"{name}.png")


# Checks for any proxy


def check(
    window: Browser, url: str, another_chat: Callable[[], object] | None = None, shots: Shots | None = None
) -> None:
    """Check the page at a URL; `another_chat` sends one more chat. Raises AssertionError."""
    shots = shots or Shots(None)
    window.size(1280)
    show(window, url)
    assert window.run(CHATS) >= 1, "a chat is needed that was kept"
    if another_chat:
        before = window.run(CHATS)
        another_chat()
        window.until(f"{CHATS} > arguments[0]", before, what="the counter of chats counts without a reload")
    opens_by_keyboard(window)
    shots.take(window, "chat-open")
    repairs_the_example(window, shots)
    for theme in THEMES:
        window.theme(theme)
        for width in WIDTHS:
            window.size(width)
            fits(window)
            is_readable(window)
            shots.take(window, f"all-{theme}-{width}")
    quiet(window)


def show(window: Browser, url: str) -> dict[str, Any]:
    """Open the page, wait until it shows the proxy's counts, and return them."""
    window.open("about:blank")
    window.logs()
    window.open(url)
    with urllib.request.urlopen(urljoin(url, "stats"), timeout=10) as response:
        stats: dict[str, Any] = json.load(response)
    window.until(
        "return document.querySelector('#figure-chats') && "
        "(document.querySelector('.chat') || document.querySelector('#heads').hidden)",
        what="the page shows what the proxy counted",
    )
    window.until(f"{CHATS} >= arguments[0]", stats["total"]["chats"], what="all chats are counted")
    shown = window.run(VERDICT)
    for verdict in stats["verdicts"][:1]:
        assert verdict["model"][:20] in shown, (verdict, shown)
    assert "Asking" not in shown
    return stats


def quiet(window: Browser, *expected: str) -> None:
    """Check that nothing was logged, except requests that had to fail."""
    for entry in window.logs():
        failed = entry["source"] == "network" and any(part in entry["message"] for part in expected)
        assert failed, f"the browser logged: {entry}"


def polled(window: Browser, times: int = 3) -> None:
    """Wait until the page has polled so often."""
    window.run("performance.clearResourceTimings()")
    window.until(f"{POLLED} >= arguments[0]", times, what=f"{times} polls")


def opens_by_keyboard(window: Browser) -> None:
    """Tab to the first chat and open it with Enter: before and after are shown, and stay during polls."""
    for _ in range(40):
        window.press(TAB)
        if window.run(FOCUS, ".chat > summary"):
            break
    else:
        raise AssertionError("Tab does not lead to a chat")
    outline = window.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "what has the focus shows it"
    window.press(ENTER)
    window.until("return document.querySelector('.chat[open] .inside h3')", what="Enter opens a chat")
    identity = window.run("return window.opened = document.querySelector('.chat[open]').dataset.id")
    shown = window.run("return document.querySelector('.chat[open] .inside').innerText")
    assert "The model sent" in shown, shown
    assert "our client received" in shown, shown
    polled(window)
    assert window.run("return document.querySelector('.chat[open]')?.dataset.id") == identity, "it stays open"
    assert window.run(FOCUS, f".chat[data-id='{identity}'] > summary"), "the focus stays where it was"


def repairs_the_example(window: Browser, shots: Shots) -> None:
    """One click on the example shows a repair. Tools that are not JSON are reported before sending."""
    window.run("document.querySelector('#try-example').click()")
    window.until("return document.querySelector('#tried .call')", what="the example becomes a call")
    shown = window.run("return document.querySelector('#tried').innerText")
    assert "call without <tool_call>" in shown, shown
    assert "write" in shown, shown
    shots.take(window, "tried")
    window.run("performance.clearResourceTimings(); document.querySelector('#try-tools').value = '[{'")
    window.run("document.querySelector('#try-form').requestSubmit()")
    window.until("return !document.querySelector('#tried-problem').hidden", what="broken tools are told of")
    assert "not valid JSON" in window.run("return document.querySelector('#tried-problem').textContent")
    sent = "return performance.getEntriesByType('resource').some(e => /test$/.test(e.name))"
    assert not window.run(sent), "nothing was sent"
    window.run("document.querySelector('#try-example').click()")
    window.until("return document.querySelector('#tried .call')", what="the example becomes a call again")


def fits(window: Browser) -> None:
    """The page is not wider than the window."""
    window.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    wide, inner = window.run(WIDTH)
    assert wide <= inner, f"{wide} pixels in a window of {inner}"


def is_readable(window: Browser) -> None:
    """Contrast meets WCAG AA, and every control has a name."""
    assert not (faint := window.run(FAINT, *CONTRAST)), faint
    assert not (nameless := window.run(NAMELESS)), nameless


# Checks with the stand-in


def busy(window: Browser, proxy: StandIn, shots: Shots) -> None:
    proxy.busy()
    for theme in THEMES:
        window.theme(theme)
        for width in WIDTHS:
            window.size(width)
            show(window, proxy.url)
            fits(window)
            is_readable(window)
            shots.take(window, f"busy-{theme}-{width}")
    label = window.run("return document.querySelector('svg.rate').getAttribute('aria-label')")
    assert "qwen3-coder: " in label, label
    dashes = "return new Set([...document.querySelectorAll('.legend .line')].map(e => e.outerHTML)).size"
    assert window.run(dashes) == 2, "lines differ in more than colour"
    check(window, proxy.url, proxy.chat, shots)


def empty(window: Browser, proxy: StandIn, shots: Shots) -> None:
    for theme in THEMES:
        window.theme(theme)
        for width in (360, 1280):
            window.size(width)
            show(window, proxy.url)
            fits(window)
            is_readable(window)
            shots.take(window, f"empty-{theme}-{width}")
    base = f"http://127.0.0.1:{proxy.port}/v1"
    assert base in window.run("return document.querySelector('#chats-note').textContent")
    assert window.run("return document.querySelectorAll('.chat').length") == 0
    proxy.chat()
    window.until("return document.querySelectorAll('.chat').length === 1", what="the first chat appears")
    quiet(window)


def nothing_moves(window: Browser, proxy: StandIn, shots: Shots) -> None:
    """Counts change, and the visible content stays in its place."""
    proxy.busy()
    window.size(1280)
    show(window, proxy.url)
    polled(window, 1)
    window.run("""window.shifts = []; new PerformanceObserver(list => shifts.push(...list.getEntries().map(
        e => [e.value, e.sources.map(s => s.node?.parentElement?.outerHTML.slice(0, 80))])))
        .observe({type: 'layout-shift'})""")
    for _ in range(3):
        proxy.chat()
        polled(window, 1)
    assert not (shifts := window.run("return window.shifts")), shifts
    quiet(window)


def new_chats_wait(window: Browser, proxy: StandIn, shots: Shots) -> None:
    """While a chat is open, new ones are offered with a button."""
    proxy.chat(model="first")
    show(window, proxy.url)
    opens_by_keyboard(window)
    proxy.chat(model="second")
    proxy.chat(BROKEN, model="third")
    window.until("return document.querySelector('#newer').textContent === 'Show 2 new chats'")
    rows = "return [...document.querySelectorAll('.chat')].map(e => e.dataset.id)"
    assert window.run(rows) == ["c1"], "nothing moves while a chat is open"
    window.run("document.querySelector('#newer').focus()")
    window.press(ENTER)
    window.until(f"return (() => {{ {rows} }})().join() === 'c3,c2,c1'", what="the button shows them")
    assert window.run("return document.querySelector('.chat[open]').dataset.id") == "c1", "it stays open"
    assert window.run(FOCUS, ".chat[data-id=c3]"), "the focus goes on to the newest"
    window.press(ENTER)
    window.until("return document.querySelector('.chat[data-id=c3] h3')")
    assert "too long to be kept" in window.run("return document.querySelector('.chat[data-id=c3]').innerText")
    quiet(window)


def every_outcome(window: Browser, proxy: StandIn, shots: Shots) -> None:
    """Observe mode, a degraded proxy, a server that is down, and the words for each outcome."""
    for kind in (REPAIRED, PASSED, SHOWN, LEFT, BROKEN, REFUSED):
        proxy.chat(kind)
    proxy.chat(observed=True)
    proxy.chat(failure="Traceback (most recent call last):\n  KeyError: 'a'")
    proxy.mode, proxy.reason = "observe", "the server does not answer since 08:15"
    proxy.server_answers, proxy.said = False, "connection refused"
    for theme in THEMES:
        window.theme(theme)
        window.size(1280)
        show(window, proxy.url)
        window.run("document.querySelector('.chat').open = true")
        window.until("return document.querySelector('.inside h3')")
        is_readable(window)
        shots.take(window, f"observe-{theme}")
    shown = window.run("return document.body.innerText")
    for words in (
        *(
            "Observe mode: nothing is changed",
            "degraded",
            proxy.reason,
            "does not answer: connection refused",
        ),
        *("would be repaired", "not repaired", "server error", "broken off", "proxy failed", "KeyError"),
        *(
            "left as text: a tool that the request does not declare",
            "in code, a quotation",
            "passed unchanged",
        ),
    ):
        assert words in shown, words
    quiet(window)


def hostile(window: Browser, proxy: StandIn, shots: Shots) -> None:
    """Text of models and clients is shown as text, and stays in its box."""
    image = "<img src=x onerror=window.ran=1>"
    strings = (
        *(
            image,
            "</script><script>window.ran=1</script>",
            "x" * 3000,
            "javascript:window.ran=1",
            "__proto__",
        ),
        *(
            "\u202eright to left\u202d",
            "שלום עולם مرحبا بالعالم",
            "👩‍👩‍👧‍👦🏴‍☠️" * 40,
            "a\u0301" * 500,
            "\x00\x1b[31m",
        ),
    )
    for text in strings:
        calls = (text, {text: text, "nested": {text: [text]}}), (text, text)
        kind = REPAIRED | {
            "sent": [message(text + image * 50, reasoning=text), message("y" * 40_000)],
            "received": [message(text, *calls, finish=text)],
        }
        proxy.chat(kind | {"refusals": [(Refused.FENCED, text)]}, model=text, client=text, failure=text)
    proxy.said = proxy.reason = image + "z" * 3000
    for theme in THEMES:
        window.theme(theme)
        for width in WIDTHS:
            window.size(width)
            show(window, proxy.url)
            window.run("for (const row of document.querySelectorAll('details')) row.open = true")
            loaded = "return document.querySelectorAll('.inside[data-loaded]').length === arguments[0]"
            window.until(loaded, len(strings), what="all chats are open")
            fits(window)
            is_readable(window)
            shots.take(window, f"hostile-{theme}-{width}")
            tall = "return document.querySelector('#verdicts').offsetHeight"
            assert window.run(tall) < 1500, "long names are cut"
    assert window.run("return window.ran") is None, "what a model wrote ran as a script"
    elements = "return document.querySelectorAll('img, script').length"
    assert window.run(elements) == 1, "what a model wrote became elements"
    shown = window.run("return document.body.textContent")
    missing = [text for text in strings if "\x00" not in text and text not in shown]
    assert not missing, missing
    quiet(window)


def not_on_this_machine(window: Browser, proxy: StandIn, shots: Shots) -> None:
    """The counts are shown, and the reason why chats are not."""
    proxy.busy(20)
    proxy.may_read = False
    window.size(1280)
    show(window, proxy.url)
    window.until("return document.querySelector('#chats-note').textContent === arguments[0]", ON_MACHINE)
    proxy.chat()
    window.until(f"{CHATS} === 21")
    assert proxy.asked["chats"] == 1, "it does not ask again for what it may not read"
    shots.take(window, "not-on-this-machine")
    quiet(window, "/chats")


def goes_and_comes_back(window: Browser, proxy: StandIn, shots: Shots) -> None:
    proxy.busy(20)
    window.size(1280)
    show(window, proxy.url)
    opens_by_keyboard(window)
    proxy.down()
    window.until(f"{VERDICT}.includes(arguments[0])", SILENT)
    polled(window, 2)
    assert window.run("return document.querySelectorAll('.chat').length") == 20, "what was shown stays"
    shots.take(window, "gone")
    proxy.up()
    window.until(f"return !(() => {{ {VERDICT} }})().includes(arguments[0])", SILENT)
    assert window.run("return document.querySelector('.chat[open]')") is not None, "what was open stays open"
    quiet(window, "/stats", "/health", "/chats")
    proxy.down()
    window.until(f"{VERDICT}.includes(arguments[0])", SILENT)
    proxy.empty()
    proxy.counted.since += 86_400
    proxy.chat(model="another")
    proxy.up()
    window.until("return document.querySelectorAll('.chat').length === 1", what="a new start is a new list")
    assert "another" in window.run("return document.querySelector('.chat').innerText")
    quiet(window, "/stats", "/health", "/chats")


def pauses_while_hidden(window: Browser, proxy: StandIn, shots: Shots) -> None:
    proxy.chat()
    show(window, proxy.url)
    hide = """Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event('visibilitychange'))"""
    window.run(hide, True)
    window.run("performance.clearResourceTimings()")
    window.run_async("setTimeout(arguments[0], 2500)")  # nothing may be requested in that time
    assert window.run(POLLED) <= 1, "one poll may have been on its way"
    window.run(hide, False)
    polled(window, 2)
    quiet(window)


CHECKS = (
    *(empty, busy, nothing_moves, new_chats_wait, every_outcome, hostile, not_on_this_machine),
    *(goes_and_comes_back, pauses_while_hidden),
)


def run(name: str, checked: Callable[[], None]) -> bool:
    try:
        checked()
    except AssertionError as e:
        print(f"{name:24} WRONG: {str(e)[:2000]}", flush=True)
        return False
    print(f"{name:24} ok", flush=True)
    return True


def on_stand_in(window: Browser, shots: Shots, one: Callable[[Browser, StandIn, Shots], None]) -> None:
    proxy = StandIn().up()
    try:
        one(window, proxy, shots)
    finally:
        proxy.down()


def on_a_real_proxy(window: Browser, shots: Shots) -> None:
    """Check mitmdump with the addon, with a server that leaks, parses calls, quotes, and fails."""
    upstream = Upstream()
    answers = (
        streamed(events(f"I look.\n\n{LEAK}")),
        sized(completion(LEAK)),
        streamed(events(f"```\n{LEAK}\n```\n")),
        sized(b'{"error": {"message": "Loading model"}}', status="503 Service Unavailable"),
        streamed(events("Hello.")),
    )
    with tempfile.TemporaryDirectory() as confdir:
        proxy = Proxy(upstream.url, Path(confdir)).wait_ready()
        try:
            for upstream.answer in answers:
                ask(proxy, chat(model="qwen3-coder"), headers={"User-Agent": "opencode/1.18.33"})
            check(window, f"{proxy.url}/_qwen/", lambda: ask(proxy, chat(model="qwen3-coder")), shots)
        finally:
            proxy.stop()
            upstream.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", nargs="?", help="the page of a proxy (a stand-in)")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER")
    parser.add_argument("--only", metavar="NAME", help="one check of those with the stand-in")
    options = parser.parse_args()
    found = browser.find()
    if not found:
        print("The status page was not tested: chromium and chromedriver are not both here")
        return 0
    shots = Shots(options.screenshots)
    with Browser(*found) as window:
        if options.url:
            return not run(options.url, lambda: check(window, options.url, shots=shots))
        real = [] if options.only else [run("of a real proxy", lambda: on_a_real_proxy(window, shots))]
        chosen = [one for one in CHECKS if options.only in (None, one.__name__)]
        right = [
            run(one.__name__, lambda one=one: on_stand_in(window, shots, one))  # type: ignore[misc]
            for one in chosen
        ]
    return not all([*real, *right])


if __name__ == "__main__":
    sys.exit(main())
