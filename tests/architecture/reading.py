"""What a module's source says it imports and touches, read without running it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "services"


def modules(package: str) -> list[Path]:
    """The sources of a package and of all below it."""
    found = sorted((SERVICES / package).rglob("*.py"))
    assert found, f"there is no package {package}"
    return found


def name_of(module: Path) -> str:
    """A source's place below `services`, for the names of tests."""
    return module.relative_to(SERVICES).as_posix()


@cache  # several tests read the same sources
def imports(source: str) -> frozenset[str]:
    """The full names of all modules that are imported, wherever in the source it stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            found.add(node.module or "")
    return frozenset(found)


@cache
def touched(source: str) -> frozenset[str]:
    """The full names of what is used of imported modules: `time.time` for all ways to write it."""
    tree = ast.parse(source)
    names = dict(_imported_names(tree))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and (dotted := _dotted(node)) is not None:
            first, _, rest = dotted.partition(".")
            if first in names:
                found.add(f"{names[first]}.{rest}" if rest else names[first])
    return frozenset(found.union(name for name in names.values() if "." in name))


def _imported_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each local name with what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)) is not None:
        return f"{before}.{node.attr}"
    return None
