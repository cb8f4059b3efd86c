"""Paths in a plan: relative to the plan's folder, wherever a command is run."""

import os
from pathlib import Path

from voltween.errors import InputError
from voltween.storage import exists


def whole_path(path: Path, folder: Path, key: str) -> Path:
    """The whole path of a path in a plan.

    Args:
        path: The path as the plan has it.
        folder: The plan's folder.
        key: Dotted key of the path, for errors.

    Raises:
        InputError: If nothing is there, while the working folder has such a file; or if
            no file can have the path.
    """
    try:
        whole, elsewhere = (folder / path).resolve(), path.resolve()
    except ValueError as error:  # a zero byte
        raise InputError(about=key, expected="a path", got=repr(str(path))) from error
    if exists(elsewhere) and not exists(whole):
        raise InputError(
            about=key,
            expected=f"{whole}, as paths in a plan are relative to its folder",
            got=f"no such file, only {elsewhere} in the working folder",
            advice=f"write {relative_path(elsewhere, folder).as_posix()}",
        )
    return whole


def relative_path(path: Path, folder: Path) -> Path:
    """The path relative to the folder; absolute if it is on another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve()))
    except ValueError:  # Windows, another drive
        return path.resolve()
