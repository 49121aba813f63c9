"""The dialects the parser reads: every module of this folder has one as `DIALECT`.

They are in the order of their rank. Of two spellings that fit, the one of the earlier dialect counts.
The first dialect is what the model was taught, unless a call keeps to another one.
"""

from importlib import import_module
from pkgutil import iter_modules

from ..dialect import Dialect

_TABLES: list[Dialect] = [
    import_module(f"{__name__}.{module.name}").DIALECT for module in iter_modules(__path__)
]

DIALECTS = tuple(sorted(_TABLES, key=lambda dialect: (dialect.rank, dialect.name)))

__all__ = ["DIALECTS", "Dialect"]
