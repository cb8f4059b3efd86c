"""The running command: its words, and the files that its options name."""

import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from voltween.storage import check_numbers, is_there

words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())
"""The words of the command line, `voltween` first; empty outside of a command."""

# Places to write to; and a list that `prepare` lets a user edit and give again.
_NO_INPUTS = {"out", "cache", "registrations", "splits"}


def named_paths(command: Any) -> dict[str, list[Path]]:
    """The existing files and folders that a command reads, by the names of options."""
    paths: dict[str, list[Path]] = {}
    for name, value in _options(command):
        existing = [path for path in _paths(value) if is_there(path)]
        if existing and name not in _NO_INPUTS:
            paths.setdefault(name, []).extend(existing)
    return paths


def out_of(command: Any) -> Path | None:
    """The file or folder that a command writes; None if it has no `out`."""
    usual = getattr(command, "out", None)
    return next((value for name, value in _options(command) if name == "out"), usual)


def check_options(command: Any) -> None:
    """Checks that the numbers of a command's options are such as programs work with.

    Raises:
        InputError: If one is not finite, or a whole number has more than 64 bits.
    """
    for name, value in _options(command):
        check_numbers(value, f"--{name.replace('_', '-')}")


def paths_to_keep(command: Any) -> list[Path]:
    """The files and folders that a command must not write over.

    Files in the texts of options, such as model:FILE, are among them. A folder in which
    the command writes is not.
    """
    out = out_of(command)
    paths = [path for group in named_paths(command).values() for path in group]
    return [path for path in paths if not _holds(path, out)] + _named_in_texts(command)


def _named_in_texts(command: Any) -> list[Path]:
    texts = [value for _, value in _options(command) if isinstance(value, str)]
    for name, value in _options(command):
        if name not in _NO_INPUTS:  # inverse:FILE is a path that does not exist
            texts += [str(path) for path in _paths(value) if not is_there(path)]
    parts = {part for text in texts for part in (text, *re.split("[,:]", text))}
    return [Path(part) for part in sorted(parts) if part and Path(part).is_file()]


def _options(command: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a command's options, those of nested groups too."""
    for field in fields(command):
        value = getattr(command, field.name)
        if is_dataclass(value):
            yield from _options(value)
        else:
            yield field.name, value


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, tuple):
        return [item for item in value if isinstance(item, Path)]
    return []


def _holds(folder: Path, out: Path | None) -> bool:
    """Whether the command writes in a folder."""
    return (
        out is not None
        and folder.is_dir()
        and folder.resolve() in (out.resolve(), *out.resolve().parents)
    )
