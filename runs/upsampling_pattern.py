"""Measures what removing the pattern of a network's upsampling changes.

    python runs/upsampling_pattern.py brain_ixi/cases.csv --model brain

The pattern has periods of 2 and 4 voxels (`voltween.networks.remove_pattern`). Prints
Dice, the standard deviation of the log Jacobian and the percentage of folds, with the
pattern and without, of the network's answer and of the answer refined as usual.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import tyro
from shared import LabeledScan, Manifest, mean_dice, val_pairs

from voltween.metrics import dice_per_label, measure_regularity
from voltween.models import Model, load_model
from voltween.registration import register
from voltween.spatial import labels_in_common

FILTER = "voltween.registration.candidates.remove_pattern"


@dataclass(frozen=True)
class UpsamplingPattern:
    """Measure registrations with and without the pattern of the upsampling."""

    manifest: Manifest
    """Cohort with labels."""
    model: str
    """Model by name or file."""
    pairs: int = 8
    """Number of pairs of `val` cases."""

    def run(self) -> None:
        """Measures and prints the means, and the largest loss of Dice of a pair."""
        model = load_model(self.model)
        pairs = list(val_pairs(self.manifest, self.pairs))
        for refinement in (None, "auto"):
            tables = []
            for filtering in (patch(FILTER, lambda flow: flow), nullcontext()):
                with filtering:
                    rows = [figures(model, refinement, *pair[1:]) for pair in pairs]
                tables.append(np.array(rows))
                print(refinement, np.mean(rows, axis=0).round(4), flush=True)
            print("largest loss", (tables[0] - tables[1])[:, 0].max().round(4))


def figures(
    model: Model, refinement: str | None, fixed: LabeledScan, moving: LabeledScan
) -> tuple[float, float, float]:
    """Dice, SD of the log Jacobian and folds in percent of one registration."""
    result = register(fixed[0], moving[0], model=model, refinement=refinement)
    moved = result.fixed_to_moving.resample(moving[1], onto=fixed[1].grid)
    dice = dice_per_label(fixed[1].data, moved.data)
    both = labels_in_common(fixed[1], moving[1])
    regularity = measure_regularity(result.fixed_to_moving.determinants(fixed[0].grid))
    return (
        mean_dice({n: dice[n] for n in both}),
        regularity.sd_log_jacobian,
        regularity.folding_percent,
    )


if __name__ == "__main__":
    tyro.cli(UpsamplingPattern).run()
