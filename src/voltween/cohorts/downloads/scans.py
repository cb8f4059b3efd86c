"""The scans in a download: single files, pairs of files, and DICOM folders."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voltween import io
from voltween.cohorts.downloads.analyze import directions_of
from voltween.cohorts.downloads.sources import SourceFile
from voltween.errors import InputError
from voltween.spatial import Image, LabelMap
from voltween.storage import workspace

# The kind of scan that a file belongs to, by its suffix.
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
}
_HALVES = {
    ".hdr": ((".hdr", ".hdr.gz"), (".img", ".img.gz")),
    ".mhd": ((".mhd",), (".raw", ".zraw")),
}


@dataclass(frozen=True)
class SourceScan:
    """A scan of a download that has not been read yet."""

    stem: str
    """Path inside the download without suffix, or the folder of a DICOM series."""
    kind: str
    """Suffix of the file, of the header of a pair, or of the slices of DICOM."""
    files: tuple[SourceFile, ...]

    @property
    def shown(self) -> str:
        """The name for messages."""
        if self.kind == ".dcm":
            return self.stem
        return self.files[0].shown

    def read_image(self, *, axes: str) -> tuple[Image, tuple[str, ...]]:
        """Reads the image; also returns the warnings of its reader.

        `axes` are the directions of Analyze files, such as LAS if the first axis runs
        to the left: programs disagree on what their headers say.

        Raises:
            InputError: If it is damaged, or one file of a pair is missing.
        """
        with self._unpack() as path, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            image = io.read(path, analyze_directions=directions_of(axes))
            remarks = [str(w.message).replace(str(path), self.shown) for w in caught]
        return image, tuple(remarks)

    def read_labels(self, *, axes: str) -> LabelMap:
        """Reads the label map; `axes` as for images.

        Raises:
            InputError: If it is damaged, has fractional values, or one file of a pair
                is missing.
        """
        with self._unpack() as path, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the image gave the same warnings
            return io.read_labels(path, analyze_directions=directions_of(axes))

    @contextmanager
    def _unpack(self) -> Iterator[Path]:
        """Yields the path of the scan in a folder of its own; errors name `shown`."""
        for half in _HALVES.get(self.kind, ()):
            if not any(file.name.lower().endswith(half) for file in self.files):
                raise InputError(
                    about=self.shown,
                    expected=f"a pair of files with a {half[0]}",
                    got="no such file",
                )
        with workspace() as folder:
            for file in self.files:
                file.copy_to(folder / PurePosixPath(file.name).name)
            is_series = self.kind == ".dcm"
            path = folder if is_series else folder / self._header_name()
            try:
                yield path
            except InputError as error:
                name = error.about.replace(str(path), self.shown) or self.shown
                raise error.replace(about=name) from error

    def _header_name(self) -> str:
        """Name of the file to read, the header of a pair."""
        names = [PurePosixPath(file.name).name for file in self.files]
        headers = _HALVES.get(self.kind, ((self.kind,),))[0]
        return next(name for name in names if name.lower().endswith(headers))


def group_scans(files: Iterable[SourceFile]) -> tuple[SourceScan, ...]:
    """Groups the files into scans, in the order of their first files."""
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
    """The longest supported suffix of a name; empty if there is none."""
    suffixes = (suffix for suffix in _KINDS if name.lower().endswith(suffix))
    return max(suffixes, key=len, default="")
