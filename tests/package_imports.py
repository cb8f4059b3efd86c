"""What the package's modules and the tests import, read from their text."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "voltween"
MODULES = sorted(PACKAGE.rglob("*.py"))
_OPERATIONS = {"native", "networks.upsampling"}  # what registers them with PyTorch


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NAMES = frozenset(map(module_name, MODULES))


@cache
def imports_of(path):
    """Modules of the package that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "voltween"
        ):
            base = node.module.removeprefix("voltween").lstrip(".")
            inner = {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
            if inner != {"_native"}:  # the compiled module is below all
                found |= {name for name in inner if name in NAMES} or {base}
    return frozenset(found)


@cache
def modules_with_native_operations():
    """Modules that define native operations, or call them where stock ones would do."""
    callers = {
        module_name(path) for path in MODULES if imports_of(path) >= {"native", "stock"}
    }
    return _OPERATIONS | callers


def is_of_native_operations(path):
    """Whether a test file is of such a module."""
    return bool(imports_of(path) & modules_with_native_operations())
