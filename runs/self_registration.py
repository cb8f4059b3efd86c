"""Measures registrations of scans with themselves: left alone, moved, turned.

    python runs/self_registration.py still DATA OUT.csv [--sets brain hippocampus]
    python runs/self_registration.py rigid DATA OUT.csv
    python runs/self_registration.py show OUT.csv

DATA holds brain_ixi/, hippocampus/ and headneck_ct/. `still`: all heads, ten necks
and ten hippocampi, with themselves and with themselves moved by 1 mm along x (resampled
once), by every way to register. `rigid`: five scans of each set, turned to two poses
(all rotations, shifts of up to 80 mm; resampled once), by `--transform rigid` without
a model. The error is that of the transform at the foreground's voxels.
"""

import argparse
import csv
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from shared import place, random_pose, read_rows

from voltween.cohorts import load_case, read_manifest
from voltween.models import load_model
from voltween.preprocessing import looks_like_ct
from voltween.registration import Registration, register
from voltween.spatial import Affine, Image, Transform

SETS = {"brain": "brain_ixi", "hippocampus": "hippocampus", "headneck": "headneck_ct"}
MOST = {"brain": None, "hippocampus": 10, "headneck": 10}
TURNED, POSES, SHIFT_MM = 5, 2, 80.0
WAYS = {
    "network": (True, None),
    "network, fast": (True, "fast"),
    "network, accurate": (True, "accurate"),
    "no model, fast": (False, "fast"),
    "no model, accurate": (False, "accurate"),
}
Row = dict[str, Any]


def still(data: Path, sets: list[str]) -> Iterator[Row]:
    """Rows of scans with themselves, left alone and moved by 1 mm."""
    for name, (image, _) in scans(data, {name: MOST[name] for name in sets}):
        model = load_model(name)
        for shift_mm in (0.0, 1.0):
            matrix = np.eye(4)
            matrix[0, 3] = shift_mm
            truth = Affine(matrix)
            moving = truth.inverse().resample(image, onto=image.grid)
            for way, (has_model, effort) in WAYS.items():
                options = {"model": model if has_model else None, "refinement": effort}
                found = quietly_register(image, moving, options)
                errors_mm = errors(found.fixed_to_moving, truth, image)
                yield {
                    "set": name,
                    "moved_mm": shift_mm,
                    "way": way,
                    "mean_mm": errors_mm.mean(),
                    "most_mm": errors_mm.max(),
                    "verdict": found.verdict.grade,
                }


def rigid(data: Path, sets: list[str]) -> Iterator[Row]:
    """Rows of scans with themselves, turned to any pose."""
    rng = np.random.default_rng(2)
    for name, scan in scans(data, dict.fromkeys(sets, TURNED)):
        for _ in range(POSES):
            pose = random_pose(rng, scan[0].grid.center_mm, SHIFT_MM)
            moving = place(scan, pose)[0]
            options = {"model": None, "refinement": "rigid"}
            found = quietly_register(scan[0], moving, options).fixed_to_moving
            assert isinstance(found, Affine)
            linear = found.matrix[:3, :3]
            left = Rotation.from_matrix(linear @ pose.matrix[:3, :3].T).magnitude()
            errors_mm = errors(found, pose, scan[0])
            yield {
                "set": name,
                "left_degrees": float(np.degrees(left)),
                "mean_mm": errors_mm.mean(),
                "most_mm": errors_mm.max(),
                "from_orthogonal": float(np.abs(linear @ linear.T - np.eye(3)).max()),
            }


def scans(data: Path, most: dict[str, Any]) -> Iterator[Any]:
    """The sets' names with their labeled scans, as many as wanted."""
    for name, number in most.items():
        cases = read_manifest(data / SETS[name] / "cases.csv")
        for case in cases[:number]:
            yield name, load_case(case)


def quietly_register(fixed: Image, moving: Image, options: Row) -> Registration:
    """Registers without printing warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return register(fixed, moving, **options)


def errors(found: Transform, truth: Transform, image: Image) -> np.ndarray:
    """Distances of mapped foreground positions to the true ones, in mm."""
    low = -500 if looks_like_ct(image) else np.percentile(image.data, 70)
    voxels = np.argwhere(image.data > low)[::100].astype(float)
    positions = image.grid.voxel_to_world(voxels)
    offsets = found.map_positions(positions) - truth.map_positions(positions)
    return np.linalg.norm(offsets, axis=1)


def show(path: Path) -> None:
    """Prints one line per set and way: medians, and the largest of all."""
    rows = read_rows(path)
    names = [name for name in ("set", "moved_mm", "way") if name in rows[0]]
    figures = [n for n in rows[0] if n not in (*names, "verdict")]
    print("| " + " | ".join([*names, "scans", *figures]) + " |")
    print("|---" * (len(names) + len(figures) + 1) + "|")
    for key in dict.fromkeys(tuple(row[name] for name in names) for row in rows):
        some = [row for row in rows if tuple(row[name] for name in names) == key]
        cells = [*key, str(len(some))]
        for figure in figures:
            values = [float(row[figure]) for row in some]
            cells.append(f"{np.median(values):.2g} (at most {max(values):.2g})")
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("still", "rigid", "show"))
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    given = parser.parse_args()
    if given.what == "show":
        show(given.paths[0])
        return
    data, out = given.paths
    rows = (still if given.what == "still" else rigid)(data, given.sets)
    with out.open("w", newline="") as file:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
