"""The memorised texts of the tiny model: rows of (key, turn, text).

A request whose last user message contains `TASK:<key>`, followed by <turn> tool results, is
answered with exactly <text>, whatever else is in the request. A key is <tools>-<form>:

    oc-*    OpenCode's tools (write, bash, read, edit), four turns and a final answer
    qc-*    Qwen Code's tools (write_file, run_shell_command, read_file, edit), the same
    cc-*    Claude Code's tools (Write, Bash, Read, Edit), the same
    cx-*    Codex's tool (exec_command), the same
    gw-*    one get_weather call, and a final answer
    gw-par  two calls in one answer
    prose   only talks about the tags;  text: does not mention them

The calls name files in WORKDIR. An agent that really runs them must work there.
"""

import json

WORKDIR = "/tmp/qwen-e2e"

# UTF-8 sequences of 2, 3 and 4 bytes, markup, quotes, "<" between spaces, a tab.
FILE_TEXT = """\
line one
  <b>två & "three"</b>
if a < b and c > d: # 日本 🦊
\tprint("x")
end
"""
OLD, NEW = "line one", "LINE 1"
COMMAND = "wc -l hello.txt && echo ok > made.txt"

Call = tuple[str, dict[str, str]]
Row = tuple[str, int, str]

CALLS: dict[str, list[Call]] = {
    "oc": [
        ("write", {"filePath": f"{WORKDIR}/hello.txt", "content": FILE_TEXT}),
        ("bash", {"command": COMMAND, "description": "Count lines"}),
        ("read", {"filePath": f"{WORKDIR}/hello.txt"}),
        ("edit", {"filePath": f"{WORKDIR}/hello.txt", "oldString": OLD, "newString": NEW}),
    ],
    "qc": [
        ("write_file", {"file_path": f"{WORKDIR}/hello.txt", "content": FILE_TEXT}),
        ("run_shell_command", {"command": COMMAND, "is_background": "false", "timeout": "20000"}),
        ("read_file", {"file_path": f"{WORKDIR}/hello.txt"}),
        ("edit", {"file_path": f"{WORKDIR}/hello.txt", "old_string": OLD, "new_string": NEW}),
    ],
    "cc": [
        ("Write", {"file_path": f"{WORKDIR}/hello.txt", "content": FILE_TEXT}),
        ("Bash", {"command": COMMAND, "description": "Count lines"}),
        ("Read", {"file_path": f"{WORKDIR}/hello.txt"}),
        ("Edit", {"file_path": f"{WORKDIR}/hello.txt", "old_string": OLD, "new_string": NEW}),
    ],
    "cx": [
        ("exec_command", {"cmd": f"cat > hello.txt <<'EOF'\n{FILE_TEXT}EOF"}),
        ("exec_command", {"cmd": COMMAND}),
        ("exec_command", {"cmd": "cat hello.txt"}),
        ("exec_command", {"cmd": f"sed -i 's/{OLD}/{NEW}/' hello.txt"}),
    ],
    "gw": [("get_weather", {"city": "Zürich", "days": "3", "detailed": "true"})],
}
PREFACES = ["I'll create the file.\n\n", "", "Now let me read it.\n\n", ""]  # before the call of each turn
LAST_WORD = "All done: the file has been written."

FORMS = {
    "good": "a whole call",
    "noopen": "no <tool_call>, but </tool_call>",
    "bare": "neither",
    "nofclose": "no </function>",
    "nopclose": "no </parameter>",
    "json": "JSON in <tool_call>, all values strings",
    "think": "in a <think> that is never closed",
    "fence": "in a Markdown fence",
    "noclose": "ends after </function>",
}


def xml(name: str, arguments: dict[str, str]) -> str:
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<function={name}>\n{parameters}</function>"


def wrapped(inner: str) -> str:
    return f"<tool_call>\n{inner}\n</tool_call>"


def written(form: str, name: str, arguments: dict[str, str]) -> str:
    """Return a call in one of the FORMS."""
    call = xml(name, arguments)
    match form:
        case "noopen":
            return call + "\n</tool_call>"
        case "bare":
            return call
        case "nofclose":
            return wrapped(call.removesuffix("\n</function>"))
        case "nopclose":
            return wrapped(call.replace("\n</parameter>", ""))
        case "json":
            return wrapped(json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False))
        case "fence":
            return f"```xml\n{wrapped(call)}\n```"
        case "noclose":
            return f"<tool_call>\n{call}"
        case _:
            return wrapped(call)


def answers(form: str, calls: list[Call]) -> list[str]:
    """Return the model's texts, turn by turn."""
    opening = "<think>\nThe user wants it. " if form == "think" else ""
    told = [opening + preface + written(form, *call) for preface, call in zip(PREFACES, calls, strict=False)]
    return [*told, LAST_WORD]


def before_call(text: str) -> str:
    """Return what a client gets of a text before its first call. A <think> is closed there."""
    before = min(at for tag in ("<tool_call>", "<function=") if (at := text.find(tag)) >= 0)
    said = text[:before].rstrip()
    return f"{said}\n</think>" if "<think>" in said else said


def rows() -> list[Row]:
    oslo = xml("get_weather", {"city": "Oslo", "days": "1"})
    lodz = xml("get_weather", {"city": "Łódź", "days": "2"})
    known = [
        (f"{tools}-{form}", turn, text)
        for tools, calls in CALLS.items()
        for form in FORMS
        for turn, text in enumerate(answers(form, calls))
    ]
    return [
        *known,
        ("gw-par", 0, f"Both cities:\n\n{wrapped(oslo)}\n{wrapped(lodz)}"),
        ("gw-par", 2, "Both are sunny."),
        (
            "prose",
            0,
            "Qwen writes a call as `<tool_call>` then `<function=name>`; "
            "this is only prose about <tool_call> tags.\n",
        ),
        ("text", 0, "Hello! I am a tiny model, and this is plain text only.\n"),
    ]
