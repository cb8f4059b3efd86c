"""Lists that a user writes: cases, splits of cases, and names of structures."""

from pathlib import Path

from voltween.cohorts.manifest_row import SPLITS
from voltween.errors import InputError
from voltween.storage import existing_file, read_columns


def read_names(path: Path) -> tuple[str, ...]:
    """Reads one name per line; empty lines and lines that begin with # are skipped.

    Raises:
        InputError: If the file is missing, is no text, or names nothing.
    """
    try:
        text = existing_file(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            about=path, expected="a text file", got="another kind of file"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    names = tuple(line for line in lines if line and not line.startswith("#"))
    if not names:
        raise InputError(about=path, expected="one case per line", got="no case")
    return names


def read_splits(path: Path) -> dict[str, str]:
    """Reads the split of every case that a CSV with columns case and split lists.

    Raises:
        InputError: If the file is missing, has other columns, lists nothing, lists a
            case twice, or has an unknown split.
    """
    rows = read_columns(path, "case", "split")
    splits = dict(rows)
    if unknown := [f"{name}: {split!r}" for name, split in rows if split not in SPLITS]:
        raise InputError(
            about=path, expected=f"splits of {', '.join(SPLITS)}", got=unknown[0]
        )
    if not rows or len(splits) != len(rows):
        raise InputError(
            about=path,
            expected="every case listed once",
            got=f"{len(rows)} rows of {len(splits)} cases",
        )
    return splits


def read_structures(path: Path) -> dict[int, str]:
    """Reads the name of every label that a CSV with columns label and name lists.

    Raises:
        InputError: If the file is missing, has other columns, lists nothing or a label
            twice, or a label is no whole number.
    """
    rows = read_columns(path, "label", "name")
    try:
        names = {int(label): name.strip() for label, name in rows}
    except ValueError as error:
        raise InputError(
            about=path, expected="whole numbers in the column label", got=error
        ) from error
    if not rows or len(names) != len(rows):
        raise InputError(
            about=path,
            expected="every label listed once",
            got=f"{len(rows)} rows of {len(names)} labels",
        )
    return names
