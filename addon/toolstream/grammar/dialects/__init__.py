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

__all__ = ["DIALECTS", "Dialect"]
