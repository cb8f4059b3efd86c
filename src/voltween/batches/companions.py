"""The files that come with two scans: labels, masks, landmarks, further images."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Companions:
    """Files that come with the scans of a pair; each is optional."""

    initial: tuple[Path, ...] = ()
    """Transforms, fixed to moving, to start from; of several, the last one is applied
    to fixed positions first. Without any, the poses of the scans are found."""
    fixed_labels: Path | None = None
    """Label map of the fixed scan, also a DICOM segmentation or structure set: it is
    carried to the moving scan, and the overlap with --moving-labels is measured."""
    moving_labels: Path | None = None
    """Label map of the moving scan, which is resampled with it."""
    fixed_mask: Path | None = None
    """Label map: only voxels > 0 of the fixed scan count (to exclude lesions, or
    regions outside the field of view)."""
    moving_mask: Path | None = None
    """The same for the moving scan."""
    fixed_points: Path | None = None
    """Landmarks (.csv, .fcsv, .mrk.json) of the fixed scan, to be mapped to those of
    the moving scan with the same name, or in the same order if one side has no
    names."""
    moving_points: Path | None = None
    """Landmarks of the moving scan."""
    fixed_channels: tuple[Path, ...] = ()
    """Further images of the fixed scan's session, such as T2, to be compared too."""
    moving_channels: tuple[Path, ...] = ()
    """Further images of the moving scan, in the same order."""

    def absolute(self) -> "Companions":
        """The same files by paths that hold in every folder, and on every worker."""
        changes: dict[str, Any] = {
            role: tuple(path.absolute() for path in files)
            if isinstance(getattr(self, role), tuple)
            else files[0].absolute()
            for role, files in self.by_role()
        }
        return replace(self, **changes)

    def by_role(self) -> Iterator[tuple[str, list[Path]]]:
        """Yields the files that there are, by their roles, such as fixed_labels."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value:
                yield field.name, [value] if isinstance(value, Path) else list(value)
