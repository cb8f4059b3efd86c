"""Numbers and names in the text headers of NRRD and MetaImage files."""

import math
from pathlib import Path, PurePath

from voltween.errors import InputError
from voltween.io.container import check_file

_MOST_AXES = 8


def numbers_in(text: str, field: str) -> list[float]:
    """The numbers of a field, separated by blanks.

    Raises:
        InputError: If one is no finite number.
    """
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise damaged(f"finite numbers as `{field}`", text)
    return values


def whole_numbers_in(text: str, field: str) -> list[int]:
    """The whole numbers of a field, separated by blanks.

    Raises:
        InputError: If one is no whole number.
    """
    values = numbers_in(text, field)
    if any(value != int(value) for value in values):
        raise damaged(f"whole numbers as `{field}`", text)
    return [int(value) for value in values]


def sizes_in(text: str, field: str, axes: int) -> list[int]:
    """The number of voxels along each axis.

    Raises:
        InputError: If the axes are not 1 to 8, or a size is not positive.
    """
    sizes = whole_numbers_in(text, field)
    if not 1 <= axes <= _MOST_AXES or len(sizes) != axes or min(sizes) < 1:
        raise damaged(f"1 to {_MOST_AXES} axes and a positive size for each", text)
    return sizes


def neighbor(header: Path, name: str) -> Path:
    """The file of voxels beside a header that names it.

    Raises:
        InputError: If it is a path rather than a name: a downloaded header could name
            any file of this computer.
    """
    if name in ("", ".", "..") or PurePath(name).name != name or "\\" in name:
        raise InputError(
            expected="a header whose voxels are in the same file or the same folder",
            got=f"one that names {name!r}",
            advice="move the voxels beside the header and name that file in it",
        )
    return check_file(header.parent / name).path


def damaged(expected: str, got: object) -> InputError:
    """The error on a field of a header."""
    return InputError(expected=expected, got=got, advice="its header is damaged")
