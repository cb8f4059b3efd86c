"""Scans in two files: a header, and the voxels beside it."""

import re
from pathlib import Path

_MOST_HEADER_BYTES = 1 << 16
_NAMES = re.compile(
    rb"^(?:(?:data ?)?file: *|ElementDataFile *= *)([^\r\n]+)", re.M | re.I
)
_PAIR = re.compile(r"(?i)\.(hdr|img|head|brik)(\.gz)?$")


def halves_of(file: Path) -> list[Path]:
    """Returns a file and, if it is half of a scan, its other half.

    These are .hdr and .img, .HEAD and .BRIK, and the files that a header of NRRD
    (.nhdr), MetaImage (.mhd) or MRtrix (.mih) names. A file that does not exist is
    returned alone.
    """
    if not file.is_file():
        return [file]
    others = _pair(file) if _PAIR.search(file.name) else _named(file)
    return [file, *(other for other in others if other != file)]


def _pair(file: Path) -> list[Path]:
    """Files of the same name with such a suffix, in upper or lower case."""
    stem = _PAIR.sub("", file.name)
    return sorted(
        other
        for other in file.parent.iterdir()
        if _PAIR.search(other.name) and _PAIR.sub("", other.name) == stem
    )


def _named(header: Path) -> list[Path]:
    """The files beside a header that it names as those of its voxels.

    Those elsewhere are refused by the reader.
    """
    with header.open("rb") as file:
        text = file.read(_MOST_HEADER_BYTES)
    names = [name.decode(errors="replace").strip() for name in _NAMES.findall(text)]
    files = [header.parent / name for name in names if Path(name).name == name]
    return [file for file in files if file.is_file()]
