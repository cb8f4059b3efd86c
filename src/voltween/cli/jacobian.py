"""Command: write a map of the volume change of a transform."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli.reference_grid import read_reference_grid
from voltween.cli.results import give_result, report_written
from voltween.spatial import jacobian_determinant
from voltween.storage import check_is_no_input


@dataclass(frozen=True)
class Jacobian:
    """Write a map of the volume change of a transform (Jacobian).

    The map is the determinant of the transform's derivative at every voxel of --onto:
    local volume in the moving scan over that in the fixed scan, for a fixed_to_moving
    transform. Above 1, tissue is larger in the moving scan.
    """

    transform: Annotated[Positional[Path], tyro.conf.arg(metavar="TRANSFORM")]
    """ITK transform (.h5, .tfm, .txt, .mat) or displacement field image."""
    onto: Path
    """Image whose grid the map gets: the fixed scan."""
    out: Path
    """Image to write."""
    log: bool = False
    """Write the natural logarithm; refused if a voxel folds, as it has none there."""
    without_affine: bool = False
    """Divide by the determinants of the affine parts, which leaves the volume change by
    the displacement fields alone."""

    def run(self) -> None:
        """Read, compute, write."""
        check_is_no_input(self.out)
        io.check_image_name(self.out)
        transform = io.read_transform(self.transform)
        change = jacobian_determinant(
            transform,
            onto=read_reference_grid(self.onto),
            without_affine=self.without_affine,
            log=self.log,
        )
        io.write(change, self.out)
        low, high = float(change.data.min()), float(change.data.max())
        name = "log Jacobian determinant" if self.log else "Jacobian determinant"
        mean = float(change.data.mean())
        give_result(mean=mean, least=low, greatest=high)
        report_written(
            self.out, f"{name}, mean {mean:.4g}, from {low:.4g} to {high:.4g}"
        )
