"""Scans among the files of a download: one file, a pair of files, or a DICOM folder."""

import gzip
import shutil
import tempfile
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voltween import io
from voltween.cohorts.downloads.analyze import read_pair
from voltween.cohorts.downloads.sources import SourceFile
from voltween.errors import InputError
from voltween.spatial import Image, LabelMap

_KINDS = {
    ".nii.gz": ".nii.gz",
    ".nii": ".nii",
    ".nrrd": ".nrrd",
    ".mha": ".mha",
    ".hdr": ".hdr",
    ".hdr.gz": ".hdr",
    ".img": ".hdr",
    ".img.gz": ".hdr",
    ".mhd": ".mhd",
    ".raw": ".mhd",
    ".zraw": ".mhd",
    ".dcm": ".dcm",
    ".ima": ".dcm",
}  # what a file ends in, and what kind of scan it then belongs to
_HALVES = {
    ".hdr": ((".hdr", ".hdr.gz"), (".img", ".img.gz")),
    ".mhd": ((".mhd",), (".raw", ".zraw")),
}
_UNPACKED = (".hdr.gz", ".img.gz")  # neither ITK nor nibabel reads one of them packed


@dataclass(frozen=True)
class SourceScan:
    """A scan of a download, not yet read."""

    stem: str
    """Its path inside the download without suffix, or its folder if it is DICOM."""
    kind: str
    """What its file ends in, or the header of a pair, or the slices of DICOM."""
    files: tuple[SourceFile, ...]

    @property
    def shown(self) -> str:
        """Its name for people."""
        if self.kind == ".dcm":
            return self.stem
        return self.files[0].shown

    def image(self, *, axes: str) -> tuple[Image, tuple[str, ...]]:
        """The image, and what was said while it was read.

        `axes` are those of Analyze files (see `read_pair`).

        Raises:
            InputError: If it is damaged, or a half of it is missing.
        """
        with self._laid_out() as path, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if self.kind == ".hdr":
                image = Image(*read_pair(path, axes=axes))
            else:
                image = io.read(path)
            remarks = [str(w.message).replace(str(path), self.shown) for w in said]
        return image, tuple(remarks)

    def labels(self, *, axes: str) -> LabelMap:
        """The label map; `axes` as for images.

        Raises:
            InputError: If it is damaged, has fractions, or a half of it is missing.
        """
        with self._laid_out() as path, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said of the image already
            if self.kind == ".hdr":
                return LabelMap(*read_pair(path, axes=axes))
            return io.read_labels(path)

    @contextmanager
    def _laid_out(self) -> Iterator[Path]:
        """The path of the scan in a folder of its own; errors name it as `shown`."""
        for half in _HALVES.get(self.kind, ()):
            if not any(file.name.lower().endswith(half) for file in self.files):
                raise InputError(f"{self.shown}: its other half, {half[0]}, is missing")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in self.files:
                _lay(file, folder)
            is_series = self.kind == ".dcm"
            path = folder if is_series else folder / self._header_name()
            try:
                yield path
            except InputError as error:
                text = str(error).replace(str(path), self.shown)
                raise InputError(text) from error

    def _header_name(self) -> str:
        """The name of the file to read; of a pair, of its header."""
        names = [PurePosixPath(file.name).name for file in self.files]
        if self.kind in _HALVES:
            names = [name.removesuffix(".gz") for name in names]
        return next(name for name in names if name.lower().endswith(self.kind))


def group_scans(files: Iterable[SourceFile]) -> tuple[SourceScan, ...]:
    """The scans that the files make up, in the order of their first files."""
    groups: dict[tuple[str, str, str], list[SourceFile]] = defaultdict(list)
    for file in files:
        if suffix := _suffix(file.name):
            kind = _KINDS[suffix]
            is_slice = kind == ".dcm"
            folder = str(PurePosixPath(file.name).parent)
            stem = folder if is_slice else file.name[: -len(suffix)]
            groups[stem, kind, str(file.path) if file.member else ""].append(file)
    return tuple(
        SourceScan(stem, kind, tuple(g)) for (stem, kind, _), g in groups.items()
    )


def _suffix(name: str) -> str:
    """The longest known suffix of a name; empty if there is none."""
    known = (suffix for suffix in _KINDS if name.lower().endswith(suffix))
    return max(known, key=len, default="")


def _lay(file: SourceFile, folder: Path) -> None:
    """Lay a file into the folder, unpacked where readers would not do that."""
    name = PurePosixPath(file.name).name
    if not name.lower().endswith(_UNPACKED):
        file.copy_to(folder / name)
        return
    target = folder / name.removesuffix(".gz")
    try:
        with file.opened() as packed, target.open("wb") as plain:
            shutil.copyfileobj(gzip.GzipFile(fileobj=packed), plain)
    except (EOFError, zlib.error, InputError) as error:
        raise InputError(f"{file.shown}: is damaged or cut short") from error
