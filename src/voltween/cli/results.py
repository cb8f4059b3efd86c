"""The result of a command as JSON types, which --json writes."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from voltween.cli.console import console
from voltween.errors import VoltweenError

_results: ContextVar[dict[str, Any] | None] = ContextVar("results", default=None)
_warnings: ContextVar[list[str] | None] = ContextVar("warnings", default=None)


def give_result(**values: Any) -> None:
    """Adds values to the result of the running command, by their names."""
    results = _results.get()
    if results is not None:
        results.update(values)


def report_written(path: Path, words: str = "") -> None:
    """Says that a file was written, and adds it to the result under `wrote`.

    Args:
        path: The file.
        words: What else there is to say about it, after a colon.
    """
    results = _results.get()
    if results is not None:
        results.setdefault("wrote", []).append(path)
    console.print(f"Wrote {path}: {words}" if words else f"Wrote {path}")


def add_warning(text: str) -> None:
    """Adds a warning to what --json writes."""
    warnings = _warnings.get()
    if warnings is not None:
        warnings.append(text)


@contextmanager
def writing_json(command: str, *, is_wanted: bool) -> Iterator[None]:
    """Writes one JSON object at the end of the block, if it is wanted.

    It has the keys command, result, warnings and error, which is null if there is none:
    the command then did what it could, and its exit code says how it went.
    """
    if not is_wanted:
        yield
        return
    results: dict[str, Any] = {}
    warnings: list[str] = []
    tokens = _results.set(results), _warnings.set(warnings)
    error: str | None = None
    try:
        yield
    except KeyboardInterrupt:
        error = "interrupted"
        raise
    except Exception as caught:
        is_said = isinstance(caught, VoltweenError | OSError)
        error = str(caught) if is_said else f"{type(caught).__name__}: {caught}"
        raise
    finally:
        _results.reset(tokens[0])
        _warnings.reset(tokens[1])
        answer = {"command": command, "result": results, "warnings": warnings}
        print(json.dumps(plain({**answer, "error": error}), indent=1))


def plain(value: Any) -> Any:
    """The value in JSON types: NaN and infinity are null, paths and others texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "item") and not isinstance(value, Path):  # a number of NumPy
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
