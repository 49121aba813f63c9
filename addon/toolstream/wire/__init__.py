"""One file for each API, with its `Wire`, and what they share.

A wire reads frames into slices, and its encoder writes them. Nobody else knows the JSON of an API.

    the interface       base
    frames              sse · ndjson · envelope · json_edit
    chat completions    chat_completions · chat_json · chat_calls · chat_encoder · chat_synthesis · chat_whole
    Anthropic Messages  anthropic_messages · anthropic_encoder
    OpenAI Responses    responses · responses_request · responses_items · responses_output · responses_calls
                        · responses_encoder · responses_whole
    Ollama              ollama_chat
    requests            earlier_calls
"""

from .anthropic_messages import AnthropicMessages
from .base import Wire
from .chat_completions import ChatCompletions
from .ollama_chat import OllamaChat
from .responses import Responses

WIRES: dict[str, type[Wire]] = {
    wire.name: wire for wire in (ChatCompletions, AnthropicMessages, Responses, OllamaChat)
}
