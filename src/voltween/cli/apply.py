"""Command: apply a transform to an image, a label map or points."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli import console
from voltween.errors import InputError
from voltween.spatial import Volume, looks_like_labels

_POINT_SUFFIXES = (".csv", ".fcsv", ".json")


@dataclass(frozen=True)
class Apply:
    """Apply a transform to an image, a label map or points.

    fixed_to_moving carries images from moving to fixed, onto the grid of --onto, but
    points from fixed to moving. For the other way take moving_to_fixed.
    """

    transform: Annotated[Positional[Path], tyro.conf.arg(metavar="TRANSFORM")]
    """ITK transform (.h5, .tfm, .txt, .mat) or displacement field image."""
    input: Annotated[Positional[Path], tyro.conf.arg(metavar="INPUT")]
    """Image, label map, or points (.csv, .fcsv, .mrk.json)."""
    out: Path
    """File to write."""
    onto: Path | None = None
    """Image whose grid the result gets; needed for images and label maps."""
    labels: bool = False
    """INPUT is a label map: nearest neighbor, whole numbers."""
    frame: str | None = None
    """Frame of a CSV of points, RAS or LPS, if it does not say so itself."""

    def run(self) -> None:
        """Transform and write."""
        transform = io.read_transform(self.transform)
        if self.input.name.endswith(_POINT_SUFFIXES):
            points = transform.map_points(io.read_points(self.input, self.frame))
            io.write(points, self.out)
            console.show_points(self.transform, points)
        elif self.onto is None:
            raise InputError("--onto FIXED is needed to apply a transform to an image")
        else:
            volume = self._read_volume()
            onto = io.read(self.onto).grid
            io.write(transform.resample(volume, onto=onto), self.out)
        console.console.print(f"Wrote {self.out}")

    def _read_volume(self) -> Volume:
        if self.labels:
            return io.read_labels(self.input)
        image = io.read(self.input)
        if looks_like_labels(image.data):
            warnings.warn(
                f"{self.input} looks like a label map and is interpolated as an image, "
                "which mixes labels: give --labels if that is not what you want",
                stacklevel=2,
            )
        return image
