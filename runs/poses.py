"""Measures how far a moving scan may be rotated before a model fails.

    python runs/poses.py brain_ixi/cases.csv --model brain

Rotates the moving `val` scans about each axis of their grid and prints mean and worst
Dice before registration, after the first stage and after the last stage.
"""

from dataclasses import dataclass

import numpy as np
import tyro
from scipy.spatial.transform import Rotation
from shared import LabeledScan, Manifest, mean_dice, val_scans

from voltween.models import Model, load_model
from voltween.registration import register
from voltween.spatial import Affine

PAIRS = ((0, 1), (2, 3), (4, 5), (1, 4))
MARGIN_VOXELS = 10


@dataclass(frozen=True)
class Poses:
    """Measure a model on moving scans rotated by growing angles."""

    manifest: Manifest
    """CSV of cases, with labels."""
    model: str
    """Shipped model or model file."""
    degrees: tuple[float, ...] = (0.0, 10.0, 20.0, 30.0, 40.0)
    """Angles of rotation."""

    def run(self) -> None:
        """Measure and print."""
        model = load_model(self.model)
        scans = list(val_scans(self.manifest).values())
        for degrees in self.degrees:
            scores = [
                pair_dice(model, scans[fixed], rotate(scans[moving], degrees, axis))
                for axis in range(3)
                for fixed, moving in PAIRS
            ]
            mean, worst = np.mean(scores, axis=0), np.min(scores, axis=0)
            print(f"{degrees:g} degrees: mean {mean.round(3)}, worst {worst.round(3)}")


def rotate(scan: LabeledScan, degrees: float, axis: int) -> LabeledScan:
    """Rotates a scan and its labels about the scan's center."""
    image, labels = scan
    matrix = np.eye(4)
    vector = np.radians(degrees) * np.eye(3)[axis]
    matrix[:3, :3] = Rotation.from_rotvec(vector).as_matrix()
    matrix[:3, 3] = image.grid.center_mm - matrix[:3, :3] @ image.grid.center_mm
    onto = image.grid.pad(MARGIN_VOXELS)
    rotation = Affine(matrix)
    return rotation.resample(image, onto=onto), rotation.resample(labels, onto=onto)


def pair_dice(model: Model, fixed: LabeledScan, moving: LabeledScan) -> list[float]:
    """Mean Dice before, after the first and after the last stage."""
    dice = register(fixed[0], moving[0], model=model).dice(fixed[1], moving[1])
    before, first, *_, last = dice.values()
    return [mean_dice(per_label) for per_label in (before, first, last)]


if __name__ == "__main__":
    tyro.cli(Poses).run()
