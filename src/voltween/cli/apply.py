"""Command: apply a transform to an image, a label map or points."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli.console import console
from voltween.errors import InputError
from voltween.inputs import check_is_no_input
from voltween.spatial import Transform, Volume, looks_like_labels


@dataclass(frozen=True)
class Apply:
    """Apply a transform to an image, a label map or points.

    fixed_to_moving takes images from the moving to the fixed scan, onto the grid of
    --onto, but points from the fixed to the moving scan. For the opposite direction use
    moving_to_fixed.
    """

    transform: Annotated[Positional[Path], tyro.conf.arg(metavar="TRANSFORM")]
    """ITK transform (.h5, .tfm, .txt, .mat) or displacement field image."""
    input: Annotated[Positional[Path], tyro.conf.arg(metavar="INPUT")]
    """Image, label map, or points (.csv, .fcsv, .mrk.json)."""
    out: Path
    """File to write."""
    onto: Path | None = None
    """Image whose grid the result gets; required for images and label maps."""
    labels: bool = False
    """INPUT is a label map: use nearest-neighbor interpolation and whole numbers."""
    frame: str | None = None
    """Frame of a CSV of points, RAS or LPS, if the file does not state it."""

    def run(self) -> None:
        """Read, transform, write."""
        check_is_no_input(self.out)
        transform = io.read_transform(self.transform)
        if io.is_points_file(self.input):
            self._map_points(transform)
        else:
            self._resample(transform)
        console.print(f"Wrote {self.out}")

    def _map_points(self, transform: Transform) -> None:
        points = transform.map_points(io.read_points(self.input, self.frame))
        io.write(points, self.out)
        console.print(
            f"{len(points.mm)} points mapped in the direction of "
            f"{self.transform.name}: a fixed_to_moving transform maps points of the "
            "fixed scan to the moving scan. RAS+ mm."
        )

    def _resample(self, transform: Transform) -> None:
        if self.onto is None:
            raise InputError(
                about="--onto", expected="an image whose grid to use", got="none"
            )
        volume = self._read_volume()
        onto = io.read(self.onto).grid
        io.write(transform.resample(volume, onto=onto), self.out)

    def _read_volume(self) -> Volume:
        if self.labels:
            return io.read_labels(self.input)
        image = io.read(self.input)
        if looks_like_labels(image.data):
            warnings.warn(
                f"{self.input} looks like a label map but is interpolated as an image, "
                "which mixes labels: give --labels if it is a label map",
                stacklevel=2,
            )
        return image
