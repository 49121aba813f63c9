"""The table of modules in the docstring of a package, and the modules that there are."""

import ast
import re
from pathlib import Path

_ROW = re.compile(r"    (?:\S.*?)?\s{2,}(?:· )?(\w+(?: · \w+)*)")


def listed(package: Path) -> list[str]:
    """The modules in the table of a package, sorted."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    rows = map(_ROW.fullmatch, (ast.get_docstring(tree, clean=False) or "").splitlines())
    return sorted(name for row in rows if row for name in row[1].split(" · "))


def modules_of(package: Path) -> list[str]:
    """The modules and packages in a package, sorted."""
    found = (path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return sorted(path.stem for path in found if not path.stem.startswith("__"))
