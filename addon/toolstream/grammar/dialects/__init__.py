"""The dialects that the parser reads. Every module of this folder defines one as `DIALECT`.

They are sorted by rank. If two spellings match, the one of the earlier dialect counts. The first dialect
is what a model was taught, unless its call keeps to another one.
"""

from importlib import import_module
from pkgutil import iter_modules

from ..dialect import Dialect

_TABLES: list[Dialect] = [
    import_module(f"{__name__}.{module.name}").DIALECT for module in iter_modules(__path__)
]

DIALECTS = tuple(sorted(_TABLES, key=lambda dialect: (dialect.rank, dialect.name)))
TAUGHT = tuple(dialect for dialect in DIALECTS if dialect.taught)
BASE = TAUGHT[:1]  # Qwen's own: a call that keeps to no dialect is compared with this one
FOREIGN = tuple(dialect for dialect in DIALECTS if dialect not in BASE and not dialect.damaged)
_FOREIGN_NAMES = frozenset(dialect.name for dialect in FOREIGN)


def foreign(*dialects: Dialect) -> tuple[Dialect, ...]:
    """Those of these dialects that are not Qwen's own, each once, in the order of FOREIGN."""
    names = {dialect.name for dialect in dialects} & _FOREIGN_NAMES
    return tuple(known for known in FOREIGN if known.name in names) if names else ()


__all__ = ["BASE", "DIALECTS", "FOREIGN", "TAUGHT", "Dialect", "foreign"]
