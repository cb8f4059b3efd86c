"""The imports of the package's modules and of the tests, read from their text."""

import ast
import importlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "voltween"
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    """Dotted name below `voltween`; a package has that of its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NATIVE = {"ops._native", "spatial._native"}
"""The compiled modules, which are below all others."""


NAMES = {module_name(path): path for path in MODULES}
PACKAGES = sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py"))


def package_of(name):
    """The package at the top that a module belongs to; empty for the ground."""
    top = name.split(".")[0]
    return top if top in PACKAGES else ""


@cache
def import_nodes(path):
    """All import statements of a file, wherever they stand."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Import, ast.ImportFrom)
    return tuple(node for node in ast.walk(tree) if isinstance(node, kinds))


@cache
def imports_of(path):
    """Modules and packages of Voltween that a file imports."""
    names = set()
    for node in import_nodes(path):
        if isinstance(node, ast.Import):
            full = [alias.name for alias in node.names]
            names |= {n.removeprefix("voltween").lstrip(".") for n in full if _own(n)}
        elif _own(node.module or ""):
            names |= _imported_from(node)
    return frozenset(names - NATIVE)


def _own(module):
    return module.split(".")[0] == "voltween"


def _imported_from(node):
    base = node.module.removeprefix("voltween").lstrip(".")
    inner = {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
    modules = {name for name in inner if name in NAMES or name in NATIVE}
    return modules | ({base} if inner - modules else set())


@cache
def top_imports(path):
    """Full names of the modules that a file imports when it is imported itself."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return frozenset(names)


@cache
def all_imports_of(name):
    """Modules of Voltween that importing one brings along, faces included."""
    reached, open_names = set(), {name}
    while open_names:
        current = open_names.pop()
        reached.add(current)
        for full in top_imports(NAMES[current]):
            inner = full.removeprefix("voltween").lstrip(".")
            if _own(full) and inner in NAMES and inner not in reached:
                open_names.add(inner)
    return frozenset(reached)


def exists(name):
    """Whether a dotted name is a module, or a name in one."""
    module, _, attribute = name.rpartition(".")
    try:
        return bool(importlib.import_module(name))
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), attribute)
