"""How far a moving scan may be turned before a model loses it.

    python runs/poses.py brain_ixi/cases.csv --model brain

Turns the moving `val` scans about each axis, within their grid, and prints mean and
worst Dice before, after the first and after the last stage.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from voltween.cohorts import cases_of_split, load_case, read_manifest
from voltween.models import Model, load_model
from voltween.registration import register
from voltween.spatial import Affine, Image, LabelMap

PAIRS = ((0, 1), (2, 3), (4, 5), (1, 4))
MARGIN_VOXELS = 10


@dataclass(frozen=True)
class Poses:
    """Measure a model on moving scans turned by growing angles."""

    manifest: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases, with labels."""
    model: str
    """Shipped model or model file."""
    degrees: tuple[float, ...] = (0.0, 10.0, 20.0, 30.0, 40.0)
    """Angles."""

    def run(self) -> None:
        """Measure and print."""
        model = load_model(self.model)
        cases = cases_of_split(read_manifest(self.manifest), "val")
        scans = [load_case(case) for case in cases]
        for degrees in self.degrees:
            scores = [
                pair_dice(model, scans[fixed], turned(scans[moving], degrees, axis))
                for axis in range(3)
                for fixed, moving in PAIRS
            ]
            mean, worst = np.mean(scores, axis=0), np.min(scores, axis=0)
            print(f"{degrees:g} degrees: mean {mean.round(3)}, worst {worst.round(3)}")


def turned(
    scan: tuple[Image, LabelMap], degrees: float, axis: int
) -> tuple[Image, LabelMap]:
    """A scan and its labels turned about the scan's middle."""
    image, labels = scan
    matrix = np.eye(4)
    vector = np.radians(degrees) * np.eye(3)[axis]
    matrix[:3, :3] = Rotation.from_rotvec(vector).as_matrix()
    matrix[:3, 3] = image.grid.center_mm - matrix[:3, :3] @ image.grid.center_mm
    onto = image.grid.pad(MARGIN_VOXELS)
    turn = Affine(matrix)
    return turn.resample(image, onto=onto), turn.resample(labels, onto=onto)


def pair_dice(
    model: Model, fixed: tuple[Image, LabelMap], moving: tuple[Image, LabelMap]
) -> list[float]:
    """Mean Dice before, after the first and after the last stage."""
    dice = register(fixed[0], moving[0], model=model).dice(fixed[1], moving[1])
    before, first, *_, last = dice.values()
    return [float(np.mean(list(d.values()))) for d in (before, first, last)]


if __name__ == "__main__":
    tyro.cli(Poses).run()
