"""Images in two files of one name: .hdr and .img, or AFNI's .HEAD and .BRIK."""

import re
from pathlib import Path

from voltween.errors import InputError
from voltween.io.container import check_file

_SUFFIXES = re.compile(r"(?i)\.(hdr|img|head|brik)(\.gz)?$")
_HEADERS = {".img": ".hdr", ".brik": ".HEAD"}


def header_of_pair(path: Path) -> Path:
    """The header of a pair of which one half is named, or the file itself.

    Raises:
        InputError: If the voxels of a pair are named, and there is no header.
    """
    name = path.name.lower().removesuffix(".gz")
    for suffix, header in _HEADERS.items():
        if name.endswith(suffix):
            return half_of_pair(path, header)
    return path


def half_of_pair(path: Path, suffix: str) -> Path:
    """The file beside this one that has the same name but for its suffix.

    Raises:
        InputError: If there is none.
    """
    stem = _SUFFIXES.sub("", path.name)
    endings = (suffix.lower(), f"{suffix.lower()}.gz")
    for sibling in sorted(path.parent.iterdir()):
        ending = sibling.name.removeprefix(stem).lower()
        if sibling.name.startswith(stem) and ending in endings:
            return check_file(sibling).path
    raise InputError(expected=f"a {suffix} beside it, the other half", got="none")
