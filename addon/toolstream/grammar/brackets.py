"""The brackets of a tag, and what they may be instead."""

OPEN = "<‹＜〈⟨《«≤"  # noqa: RUF001
CLOSE = ">›＞〉⟩》»→≥"  # noqa: RUF001
