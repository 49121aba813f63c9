"""The engines that the doctor knows: how to recognise each, how it refuses tools, and the cure at the source.

A new engine is a row in `ENGINES`. A cure is for the person who starts the server. In it `{parser}` stands
for the parser of the format that leaked, and `{parsers}` for both if the format is not known.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Parsers:
    """The server's names for the parsers of Qwen's two formats."""

    xml: str = ""
    json: str = ""

    @property
    def both(self) -> str:
        return f"{self.xml} (Qwen3-Coder, Qwen3.5 and later) or {self.json} (Qwen2.5, Qwen3)"


@dataclass(frozen=True, slots=True)
class Engine:
    """A model server. Any one of the signs is enough."""

    name: str
    leak: str  # what to do if calls leak as text
    damage: str  # if its parser damages them
    tools: str  # if it refuses tools, or the model is not told of them
    owner: str = ""  # pattern: `owned_by` in /v1/models
    fingerprint: str = ""  # pattern: `system_fingerprint` in an answer
    header: tuple[str, str] = ("", "")  # of an answer: name and pattern
    page: tuple[str, str] = ("", "")  # a path, and a key in the JSON there
    refusals: tuple[str, ...] = ()  # patterns: its error, if it refuses tools
    parsers: Parsers = field(default=Parsers())


ENGINES = (
    # A gateway passes on the signs of the server behind it, so it comes first.
    Engine(
        "LiteLLM",
        leak="it is a gateway: ask the server behind it, and put qwen-fix between the two",
        damage="it is a gateway: ask the server behind it, to see which of the two does the damage",
        tools="it is a gateway: ask the server behind it",
        header=("x-litellm-version", ""),
    ),
    Engine(
        "llama.cpp",
        leak="start llama-server without --skip-chat-parsing, with --jinja (older builds need it), and with "
        "the model's own chat template (another one: --chat-template-file)",
        damage="update llama.cpp; or start it with --skip-chat-parsing, and let qwen-fix read the calls",
        tools="start llama-server with --jinja, in a build that streams calls (since May 2025), and with a "
        "chat template that has tools (--chat-template-file)",
        owner="llamacpp",
        header=("server", "llama.cpp"),
        page=("/props", "default_generation_settings"),
        refusals=("requires --jinja", "[Uu]nsupported param: tools", "[Cc]annot use tools with stream"),
    ),
    Engine(
        "vLLM",
        leak="start it with --enable-auto-tool-choice --tool-call-parser {parser}",
        damage="update vLLM (0.24 to 0.25.1 strip values); check --tool-call-parser: {parsers}; or start it "
        "without a parser, and let qwen-fix read the calls",
        tools="start it with --enable-auto-tool-choice --tool-call-parser {parsers}",
        owner="vllm",
        fingerprint="vllm",
        page=("/version", "version"),
        refusals=("--enable-auto-tool-choice", "--tool-call-parser"),
        parsers=Parsers(xml="qwen3_coder", json="hermes"),
    ),
    Engine(
        "SGLang",
        leak="start it with --tool-call-parser {parser}",
        damage="update SGLang; check --tool-call-parser: {parsers}; or start it without a parser, and let "
        "qwen-fix read the calls",
        tools="start it with --tool-call-parser {parsers}",
        owner="sglang",
        page=("/get_server_info", "tool_call_parser"),
        parsers=Parsers(xml="qwen3_coder", json="qwen25"),
    ),
    Engine(
        "Ollama",
        leak="update Ollama and pull the model again; in your own Modelfile write RENDERER and PARSER "
        "(for Qwen3-Coder both are qwen3-coder)",
        damage="update Ollama and pull the model again",
        tools="update Ollama and pull a model that has tools; in your own Modelfile write RENDERER and "
        "PARSER (for Qwen3-Coder both are qwen3-coder)",
        owner="library",
        fingerprint="ollama",
        page=("/api/version", "version"),
        refusals=("does not support tools",),
    ),
    Engine(
        "LM Studio",
        leak="update LM Studio, and take the model from lmstudio-community or repair its prompt template",
        damage="update LM Studio and its runtime",
        tools="take the model from lmstudio-community, or repair its prompt template",
        owner="organization_owner",
        refusals=("rendering prompt with jinja template",),
    ),
    Engine(
        "mlx-lm",
        leak="update mlx-lm, and take a model with its own chat template: the template selects the parser",
        damage="update mlx-lm",
        tools="take a model with its own chat template",
        fingerprint=r"^\d+\.\d+\S*-\d+\.\d+\S*-(Linux|macOS|Darwin)",
    ),
    Engine(
        "OpenRouter",
        leak="choose another provider or model for it",
        damage="choose another provider or model for it",
        tools="choose a model that has tools, or allow more providers",
        header=("x-generation-id", ""),
        refusals=("support tool use", "support the provided 'tool_choice'"),
    ),
)


@dataclass(slots=True)
class Signs:
    """What the server has revealed about itself."""

    owners: set[str] = field(default_factory=set)
    fingerprints: set[str] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    pages: dict[str, Any] = field(default_factory=dict)  # path: JSON


def recognise(signs: Signs) -> Engine | None:
    """Return the engine with these signs."""
    return next((engine for engine in ENGINES if _shows(engine, signs)), None)


def _shows(engine: Engine, signs: Signs) -> bool:
    name, pattern = engine.header
    path, key = engine.page
    page = signs.pages.get(path)
    return bool(
        _any(engine.owner, signs.owners)
        or _any(engine.fingerprint, signs.fingerprints)
        or (name and name in signs.headers and re.search(pattern, signs.headers[name]))
        or (path and isinstance(page, Mapping) and key in page)
    )


def _any(pattern: str, texts: Iterable[str]) -> bool:
    return bool(pattern) and any(re.search(pattern, text) for text in texts)


def refusing(message: str) -> Engine | None:
    """Return the engine that gives this error when it refuses tools."""
    return next((engine for engine in ENGINES if _any("|".join(engine.refusals), [message])), None)


def cures(of: Engine | None, kind: str, is_json: bool = False) -> list[str]:
    """Say what to do at the source for `leak`, `damage` or `tools`; for every engine if it is unknown."""
    return [f"{engine.name}: {_cure(engine, kind, is_json)}" for engine in ([of] if of else ENGINES)]


def _cure(engine: Engine, kind: str, is_json: bool) -> str:
    parsers = engine.parsers
    parser = parsers.json if is_json else parsers.xml
    return str(getattr(engine, kind)).format(parser=parser, parsers=parsers.both)
