"""Registrations as a new user tries them, many of them out of the ordinary.

python runs/trials.py DATA [--only WORD]

DATA holds brain_ixi/, hippocampus/, headneck_ct/ and abdomen_ct/ of the shared scans.
Every trial is `voltween.register(fixed, moving)` without options, unless it says so.
Prints one row per trial: model, verdict, similarity, and Dice before and after.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation
from shared import LabeledScan as Scan
from shared import place

import voltween as vt
from voltween.cohorts import cases_of_split, load_case, read_manifest
from voltween.errors import InputError
from voltween.metrics import dice_per_label


class Trial(NamedTuple):
    """A pair, the options of its registration, and its name."""

    name: str
    fixed: Scan
    moving: Scan
    options: dict[str, Any]


def scans(data: Path, name: str, count: int) -> list[Scan]:
    """The first `val` scans of a set, with their labels."""
    cases = cases_of_split(read_manifest(data / name / "cases.csv"), "val")[:count]
    loaded = [load_case(case) for case in cases]
    return [(image, labels) for image, labels in loaded if labels is not None]


def turned(scan: Scan, degrees: float, axis: str = "z", shift_mm: float = 0) -> Scan:
    """The scan turned about its center and shifted, resampled on a larger grid."""
    pose = rotation(degrees, axis)
    center = scan[0].grid.center_mm
    pose[:3, 3] = center - pose[:3, :3] @ center + shift_mm
    return place(scan, vt.Affine(pose))


def rotation(degrees: float, axis: str) -> np.ndarray:
    """A rotation about the world's origin, as a 4 x 4 matrix."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    return matrix


def header(scan: Scan, degrees: float, axis: str = "z") -> Scan:
    """The scan turned by its header alone."""
    affine = rotation(degrees, axis) @ scan[0].grid.affine
    grid = vt.Grid(scan[0].grid.shape, affine)
    return vt.Image(scan[0].data, grid), vt.LabelMap(scan[1].data, grid)


def moved(scan: Scan, mm: float) -> Scan:
    """The scan with its content shifted along x, resampled once."""
    matrix = np.eye(4)
    matrix[0, 3] = -mm
    shift = vt.Affine(matrix)
    return tuple(shift.resample(volume, onto=scan[0].grid) for volume in scan)


def changed(scan: Scan, change: Any) -> Scan:
    """The scan with other intensities."""
    return vt.Image(change(scan[0].data), scan[0].grid), scan[1]


def stripped(scan: Scan) -> Scan:
    """The scan with 0 outside its labels."""
    return changed(scan, lambda data: np.where(scan[1].data > 0, data, 0))


def half(scan: Scan) -> Scan:
    """The first half of the scan along its longest axis."""
    axis = int(np.argmax(scan[0].grid.shape))
    cut = [slice(None)] * 3
    cut[axis] = slice(0, scan[0].grid.shape[axis] // 2)
    data, labels = (volume.data[tuple(cut)] for volume in scan)
    grid = vt.Grid(data.shape, scan[0].grid.affine)
    return vt.Image(data, grid), vt.LabelMap(labels, grid)


def mirrored(scan: Scan) -> Scan:
    """The scan with its voxels mirrored along the first axis, its header unchanged."""
    image, labels = scan
    return (
        vt.Image(image.data[::-1].copy(), image.grid),
        vt.LabelMap(labels.data[::-1].copy(), labels.grid),
    )


def trials(data: Path) -> Iterator[Trial]:
    """Every trial."""
    a, b = scans(data, "brain_ixi", 2)
    h, g = scans(data, "hippocampus", 2)
    n, m = scans(data, "headneck_ct", 2)
    yield Trial("two heads", a, b, {})
    for degrees in (30, 45, 90, 180):
        yield Trial(f"head turned by {degrees} degrees", a, turned(b, degrees), {})
    yield Trial("head turned by 90 degrees about x", a, turned(b, 90, "x", 60), {})
    yield Trial("fixed head turned by 90 degrees", turned(a, 90, "y"), b, {})
    yield Trial("header turned by exactly 45 degrees", a, header(b, 45), {})
    alone = {"model": None}
    yield Trial("head turned by 90 degrees, no model", a, turned(b, 90), alone)
    yield Trial("a head with itself", a, a, {})
    yield Trial("a head moved by 1 mm", a, moved(a, 1), {})
    bright = changed(moved(a, 2), lambda data: 1.5 * data + 40)
    yield Trial("a head brightened and moved by 2 mm", a, bright, {})
    inverse = changed(b, lambda data: data.max() - data)
    yield Trial("inverted contrast", a, inverse, {})
    yield Trial("inverted contrast, model brain", a, inverse, {"model": "brain"})
    yield Trial("both stripped", stripped(a), stripped(b), {})
    yield Trial("stripped against raw", stripped(a), b, {})
    yield Trial("raw against stripped", a, stripped(b), {})
    yield Trial("half a head", a, half(b), {})
    yield Trial("mirrored voxels", a, mirrored(b), {})
    yield Trial("two hippocampi", h, g, {})
    yield Trial("a hippocampus turned by 120 degrees", h, turned(g, 120, "y"), {})
    yield Trial("two hippocampi, model brain", h, g, {"model": "brain"})
    yield Trial("two necks", n, m, {})
    scaled = [changed(s, lambda d: (d - d.min()) / np.ptp(d)) for s in (n, m)]
    yield Trial("two necks scaled to 0..1", *scaled, {})
    yield Trial("the same, model headneck", *scaled, {"model": "headneck"})
    yield Trial("a head and a neck", a, n, {})
    yield from _abdomens(data)


def _abdomens(data: Path) -> Iterator[Trial]:
    """Two abdomens with their livers, which the files number differently."""
    folder = data / "abdomen_ct"
    files = (
        ("chaos_ct_sample", "chaos_ct_sample_liver", 1),
        (
            "totalsegmentator_example_ct_sm",
            "totalsegmentator_example_ct_sm_117classes",
            5,
        ),
    )
    pair = []
    for image, labels, liver in files:
        numbers = vt.read_labels(folder / "labels" / f"{labels}.nii.gz")
        mask = vt.LabelMap((numbers.data == liver).astype(np.uint8), numbers.grid)
        pair.append((vt.read(folder / "images" / f"{image}.nii.gz"), mask))
    yield Trial("two abdomens (liver)", pair[0], pair[1], {})
    yield Trial("two abdomens, exchanged", pair[1], pair[0], {})


def dice(transform: vt.Transform, fixed: Scan, moving: Scan) -> float:
    """Mean Dice over the structures of both scans."""
    moved_labels = transform.resample(moving[1], onto=fixed[1].grid)
    both = set(fixed[1].labels) & set(moving[1].labels)
    found = dice_per_label(fixed[1].data, moved_labels.data)
    return float(np.mean([found[label] for label in both])) if both else 0.0


def row(trial: Trial) -> str:
    """The row of a trial in the table."""
    start = time.process_time()
    try:
        result = vt.register(trial.fixed[0], trial.moving[0], **trial.options)
    except InputError as error:
        return f"| {trial.name} | - | refused: {error.got} | | | | |"
    seconds = time.process_time() - start
    verdict = result.verdict
    before = dice(vt.Affine.identity(), trial.fixed, trial.moving)
    after = dice(result.fixed_to_moving, trial.fixed, trial.moving)
    reasons = "; ".join(verdict.reasons)
    return (
        f"| {trial.name} | {result.model_name} | {verdict.grade} | {reasons} | "
        f"{verdict.evidence.similarity:.2f} | {before:.3f}, {after:.3f} | "
        f"{seconds:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| trial | model | verdict | reasons | similarity | Dice before, after | s |")
    print("|---|---|---|---|---|---|---|")
    for trial in trials(given.data):
        if given.only in trial.name:
            print(row(trial), flush=True)


if __name__ == "__main__":
    main()
