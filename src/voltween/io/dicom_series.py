"""Finds the slices of one DICOM series: the only one in a folder, or a named one."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from voltween.errors import InputError
from voltween.io.container import DICOM, check_file
from voltween.io.dicom_slices import Slice, has_image, read_dicom_header, slices_of
from voltween.storage import add_inputs

_MOST_SHOWN = 6
_Headers = list[tuple[Path, Dataset]]


def slices_of_folder(folder: Path, series: str = "") -> list[Slice]:
    """The slices of the one series in a folder, or of the one with this name.

    A name is the UID, description or number of a series. If the folder has no DICOM
    images of its own, those in its subfolders are taken. The files are inputs of the
    command, which are not written over.

    Raises:
        InputError: If there is no series, none of this name, or several, or if a file
            is damaged or does not say where its slices are.
    """
    headers = _headers(folder.iterdir()) or _headers(folder.glob("*/*"))
    by_uid: dict[str, _Headers] = defaultdict(list)
    for path, header in headers:
        by_uid[str(header.get("SeriesInstanceUID", ""))].append((path, header))
    chosen = _chosen(by_uid, series)
    add_inputs(path for path, _ in chosen)
    return [part for path, header in chosen for part in slices_of(path, header)]


def _headers(paths: Iterable[Path]) -> _Headers:
    """The headers of those files that are DICOM images.

    Raises:
        InputError: If other files are named as they are, and may be lost slices.
    """
    headers: _Headers = []
    others = []
    for path in sorted(path for path in paths if path.is_file()):
        if not path.stat().st_size or check_file(path).kind is not DICOM:
            others.append(path)
            continue
        header = read_dicom_header(path)
        if has_image(header):
            headers.append((path, header))
    suffixes = {path.suffix for path, _ in headers} - {""}
    if lost := [path.name for path in others if path.suffix in suffixes]:
        raise InputError(
            expected="DICOM in all files that are named so",
            got=f"something else in {', '.join(lost[:_MOST_SHOWN])}",
            advice="restore these slices, or move the files away",
        )
    return headers


def _chosen(by_uid: dict[str, _Headers], series: str) -> _Headers:
    """The headers of the series of this name, or of the only one."""
    names = {uid: _names(uid, headers[0][1]) for uid, headers in by_uid.items()}
    matching = [uid for uid in by_uid if not series or series in names[uid]]
    if len(matching) == 1:
        return by_uid[matching[0]]
    listed = [
        f"{' / '.join(filter(None, names[uid]))} ({len(by_uid[uid])} files)"
        for uid in matching or by_uid
    ]
    count = len(matching) or (f"none of {len(listed)}" if listed else 0)
    shown = ", ".join(listed[:_MOST_SHOWN]) + (
        ", ..." if len(listed) > _MOST_SHOWN else ""
    )
    raise InputError(
        expected=f"one DICOM series{f' named {series!r}' if series else ''}",
        got=f"{count}: {shown}" if listed else count,
        advice="choose one by number, description or UID: FOLDER#NAME" * bool(listed),
    )


def _names(uid: str, header: Dataset) -> tuple[str, str, str]:
    number = header.get("SeriesNumber")
    description = str(header.get("SeriesDescription") or "").strip()
    return "" if number is None else str(number), description, uid
