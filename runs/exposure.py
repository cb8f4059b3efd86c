"""Measures the effect of histogram matching on CTs that differ in exposure.

    python runs/exposure.py headneck_ct/cases.csv --model headneck

Registers pairs of `val` scans as they are, with the moving scan's intensities shifted,
and with the shifted ones matched to the fixed scan's histogram. Prints the distance of
the histograms, the correlation loss of the moved image and the mean Dice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tyro
from shared import LabeledScan, Manifest, final_dice, val_pairs

from voltween.cohorts.intensities import histogram_distance, match_histogram
from voltween.models import Model, load_model
from voltween.registration import register
from voltween.spatial import Image


def brightened(image: Image) -> Image:
    """More contrast and brighter."""
    return Image(image.data * 1.3 + 150, image.grid)


def dimmed(image: Image) -> Image:
    """Less contrast and darker."""
    return Image(image.data * 0.7 - 100, image.grid)


VARIANTS: dict[str, Callable[[Image, Image], Image]] = {
    "as stored": lambda fixed, moving: moving,
    "as stored, matched": lambda fixed, moving: match_histogram(moving, fixed),
    "x 1.3 + 150": lambda fixed, moving: brightened(moving),
    "x 1.3 + 150, matched": lambda f, m: match_histogram(brightened(m), f),
    "x 0.7 - 100": lambda fixed, moving: dimmed(moving),
    "x 0.7 - 100, matched": lambda f, m: match_histogram(dimmed(m), f),
}


@dataclass(frozen=True)
class Exposure:
    """Measure a model with and without histogram matching."""

    manifest: Manifest
    """CSV of cases, with labels."""
    model: str
    """Shipped model or model file."""
    max_pairs: int = 20
    """Number of pairs, drawn with a fixed seed; 0 takes all."""

    def run(self) -> None:
        """Measure and print."""
        model = load_model(self.model)
        pairs = list(val_pairs(self.manifest, self.max_pairs))
        print("| moving scan | histograms apart | correlation loss | Dice |")
        print("|---|---|---|---|")
        for name, change in VARIANTS.items():
            rows = []
            for _, fixed, (moving, labels) in pairs:
                changed = change(fixed[0], moving)
                rows.append(measure(model, fixed, (changed, labels)))
            apart, loss, dice = np.mean(rows, axis=0)
            print(f"| {name} | {apart:.1f} | {loss:.4f} | {dice:.4f} |", flush=True)


def measure(
    model: Model, fixed: LabeledScan, moving: LabeledScan
) -> tuple[float, float, float]:
    """Distance of the histograms, correlation loss and mean Dice after registration."""
    result = register(fixed[0], moving[0], model=model)
    return (
        histogram_distance(moving[0], fixed[0]),
        1 - result.correlation["after"],
        final_dice(result, fixed[1], moving[1]),
    )


if __name__ == "__main__":
    tyro.cli(Exposure).run()
