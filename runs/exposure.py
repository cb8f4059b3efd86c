"""What histogram matching is worth when two CTs differ in exposure.

    python runs/exposure.py headneck_ct/cases.csv --model headneck

Registers pairs of `val` scans as they are, with the moving scan's intensities shifted,
and with the shifted ones matched to the fixed scan's histogram. Prints the distance of
the histograms, the correlation loss of the moved image and the mean Dice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from voltween.cohorts import (
    cases_of_split,
    draw_pairs,
    load_case,
    ordered_pairs,
    read_manifest,
)
from voltween.cohorts.intensities import histogram_distance, match_histogram
from voltween.models import Model, load_model
from voltween.registration import register
from voltween.spatial import Image, LabelMap

Scan = tuple[Image, LabelMap]


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

    manifest: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases, with labels."""
    model: str
    """Shipped model or model file."""
    max_pairs: int = 20
    """Pairs, drawn by a fixed seed; 0 takes all."""

    def run(self) -> None:
        """Measure and print."""
        model = load_model(self.model)
        cases = cases_of_split(read_manifest(self.manifest), "val")
        scans = {case.name: load_case(case) for case in cases}
        pairs = draw_pairs(ordered_pairs(list(scans)), self.max_pairs)
        print("| moving scan | histograms apart | correlation loss | Dice |")
        print("|---|---|---|---|")
        for name, changed in VARIANTS.items():
            rows = []
            for fixed_name, moving_name in pairs:
                fixed, (moving, labels) = scans[fixed_name], scans[moving_name]
                given = changed(fixed[0], moving)
                rows.append(measured(model, fixed, (given, labels)))
            apart, loss, dice = np.mean(rows, axis=0)
            print(f"| {name} | {apart:.1f} | {loss:.4f} | {dice:.4f} |", flush=True)


def measured(model: Model, fixed: Scan, moving: Scan) -> tuple[float, float, float]:
    """Distance of the histograms, correlation loss and mean Dice after registration."""
    result = register(fixed[0], moving[0], model=model)
    *_, after = result.dice(fixed[1], moving[1]).values()
    return (
        histogram_distance(moving[0], fixed[0]),
        1 - result.correlation["after"],
        float(np.mean(list(after.values()))),
    )


if __name__ == "__main__":
    tyro.cli(Exposure).run()
