"""Measures filters against the pattern that a network's upsampling leaves in its flow.

    python runs/upsampling_pattern.py brain_ixi/cases.csv --model brain

The pattern has periods of 2 and 4 voxels. Prints Dice, the standard deviation of the
log Jacobian and the percentage of folds of the last stage, without refinement: the flow
read linearly, by a spline through it, by a spline with the flow as its coefficients,
and by a spline through the flow after a wide and after a narrow notch filter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import tyro
from scipy.ndimage import convolve1d
from shared import Manifest, mean_dice, val_scans

from voltween.metrics import dice_per_label, measure_regularity
from voltween.models import load_model
from voltween.registration import register
from voltween.spatial import DisplacementField, Field, SplineField, labels_in_common

TAPS = np.array([1, 2, 2, 2, 1]) / 8  # zeros at both periods
WINDOW_VOXELS = 5.0


def blurred(flow: np.ndarray) -> np.ndarray:
    """The flow without both periods, and with little detail else."""
    for axis in (1, 2, 3):
        flow = convolve1d(flow, TAPS, axis=axis, mode="nearest")
    return flow


def notched(flow: np.ndarray) -> np.ndarray:
    """The flow without both periods; smooth parts stay."""
    once = blurred(flow)
    return 2 * once - blurred(once)


def narrowly_notched(flow: np.ndarray) -> np.ndarray:
    """The flow less what a Gaussian window finds at both periods."""
    reach = int(4 * WINDOW_VOXELS)
    place = np.arange(-reach, reach + 1)
    window = np.exp(-(place**2) / (2 * WINDOW_VOXELS**2))
    waves = 2 * np.cos(np.pi * place / 2) + np.cos(np.pi * place)
    taps = window / window.sum() * waves
    for axis in (1, 2, 3):
        flow = flow - convolve1d(flow, taps, axis=axis, mode="nearest")
    return flow


VARIANTS: dict[str, Callable[[SplineField], Field]] = {
    "linear": lambda field: DisplacementField(field.grid, field.vectors_mm),
    "spline": lambda field: field,
    "coefficients = flow": lambda field: SplineField.from_coefficients(
        field.vectors_mm, field.grid
    ),
    "notch": lambda f: SplineField.from_flow(notched(f.to_flow()), f.grid),
    "narrow notch": lambda f: SplineField.from_flow(
        narrowly_notched(f.to_flow()), f.grid
    ),
}


@dataclass(frozen=True)
class UpsamplingPattern:
    """Measure filters against the pattern that upsampling leaves in a flow."""

    manifest: Manifest
    """Cohort with labels."""
    model: str
    """Model by name or file."""
    pairs: int = 3
    """Number of pairs: neighbors among the `val` cases, the first one fixed."""

    def run(self) -> None:
        """Measures and prints."""
        model = load_model(self.model)
        scans = list(val_scans(self.manifest).values())[: self.pairs + 1]
        for (fixed, fixed_labels), (moving, moving_labels) in pairwise(scans):
            result = register(fixed, moving, model=model)
            affine, field = result.fixed_to_moving.parts()
            for name, variant in VARIANTS.items():
                transform = affine @ variant(field)
                moved = transform.resample(moving_labels, onto=fixed_labels.grid)
                dice = dice_per_label(fixed_labels.data, moved.data)
                shared = labels_in_common(fixed_labels, moving_labels)
                regularity = measure_regularity(transform.determinants(fixed.grid))
                print(
                    f"{name}: Dice {mean_dice({n: dice[n] for n in shared}):.4f}, "
                    f"SD log J {regularity.sd_log_jacobian:.4f}, "
                    f"folding {regularity.folding_percent:.4f} %",
                    flush=True,
                )


if __name__ == "__main__":
    tyro.cli(UpsamplingPattern).run()
