"""The dialects the parser reads. The first one is canonical: what the model was taught.

Of two spellings that fit, the one of the earlier dialect counts.
"""

from ..dialect import Dialect
from . import (
    announced,
    arg_key,
    attribute_name,
    damaged_tag,
    direct_tag,
    json_envelope,
    misplaced_name,
    qwen3_coder,
)

DIALECTS = (
    qwen3_coder.DIALECT,
    attribute_name.DIALECT,
    damaged_tag.DIALECT,
    misplaced_name.DIALECT,
    json_envelope.DIALECT,
    arg_key.DIALECT,
    announced.DIALECT,
    direct_tag.DIALECT,
)

__all__ = ["DIALECTS", "Dialect"]
