"""The dialects the parser reads. The first one is canonical: what the model was taught."""

from . import attribute_name, qwen3_coder
from .base import Dialect

DIALECTS = (qwen3_coder.DIALECT, attribute_name.DIALECT)

__all__ = ["DIALECTS", "Dialect"]
