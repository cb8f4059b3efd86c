"""Processor time and error of the inverse of a registration, for pairs of scans.

    OMP_NUM_THREADS=1 python runs/inverse_costs.py FIXED MOVING
    OMP_NUM_THREADS=1 python runs/inverse_costs.py FIXED MOVING --model none

Registers the pair, then inverts the field of its transform, and the whole transform
with the error of the round trip over the fixed scan's foreground, each three times.
Prints the least processor seconds, the same per voxel of the field, the residuals at
these voxels, and the error of the round trip.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from voltween.registration import Registration, register
from voltween.spatial import Field, Transform

T = TypeVar("T")

_REPEATS = 3


def main() -> None:
    """Registers the pair and prints one line per part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fixed", type=Path)
    parser.add_argument("moving", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--refinement", default="auto", help="none: no refinement")
    arguments = parser.parse_args()
    registration = register(
        arguments.fixed,
        arguments.moving,
        model=arguments.model,
        refinement=None if arguments.refinement == "none" else arguments.refinement,
    )
    _measure(registration)


def _measure(registration: Registration) -> None:
    forward = registration.fixed_to_moving
    (field,) = _fields(forward)
    voxels = int(np.prod(field.grid.shape))
    print(f"field of {' x '.join(map(str, field.grid.shape))} voxels")
    _, residuals_mm = _timed("inverse", voxels, field.inverse_with_residuals)
    error_mm = _timed(
        "inverse and its error",
        voxels,
        lambda: replace(registration).round_trip_error_mm,  # keeps nothing
    )
    median, high, largest = np.percentile(residuals_mm, [50, 95, 100])
    residual_mm = {"median": median, "percentile_95": high, "largest": largest}
    for name, figures in {"residual": residual_mm, "round trip": error_mm}.items():
        print(
            f"{name}: {figures['median']:.2g} mm (median), "
            f"{figures['percentile_95']:.2g} mm (95th percentile), "
            f"at most {figures['largest']:.2g} mm"
        )


def _fields(transform: Transform) -> list[Field]:
    return [part for part in transform.parts() if isinstance(part, Field)]


def _timed(name: str, voxels: int, work: Callable[[], T]) -> T:
    """Prints the least processor time of some repetitions; returns the result."""
    taken = []
    for _ in range(_REPEATS):
        start = time.process_time()
        result = work()
        taken.append(time.process_time() - start)
    print(f"{name}: {min(taken):.3f} s, {1e9 * min(taken) / voxels:.0f} ns per voxel")
    return result


if __name__ == "__main__":
    main()
