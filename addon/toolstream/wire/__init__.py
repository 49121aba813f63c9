"""One file for each API, with its `Wire` (see base.py), and what they share."""

from .anthropic_messages import AnthropicMessages
from .base import Wire
from .chat_completions import ChatCompletions
from .ollama_chat import OllamaChat
from .responses import Responses

WIRES: dict[str, type[Wire]] = {
    wire.name: wire for wire in (ChatCompletions, AnthropicMessages, Responses, OllamaChat)
}
