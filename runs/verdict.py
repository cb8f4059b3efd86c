"""Measures what a verdict knows, on registrations of which half are spoilt.

python runs/verdict.py measure DATA OUT.csv [--kinds brain hippocampus headneck none]
                                            [--pairs 100] [--seed 18]
                                            [--transform rigid]
python runs/verdict.py table OUT.csv

DATA holds brain_ixi/, hippocampus/ and headneck_ct/ with their cases.csv. Every pair of
`val` scans is registered as it is (a pair that is drawn again, with a small turn, noise
and other brightness), and once more with its moving scan spoilt in one of the ways
below. A registration is right if the mean Dice of the structures is at least 0.8 times
that of the pair as it is; against another organ or noise, none is.

With --transform, the answer is rigid, a similarity or affine. That of the pair as it is
need not be right then: it is measured against the transform of that kind which lays the
centers of the structures on one another, where there are enough of them. Every answer
is also judged after it was turned and moved (`lost`).
"""

import argparse
import csv
import time
import warnings
from dataclasses import asdict, fields, replace
from itertools import permutations
from pathlib import Path
from typing import cast, get_args

import numpy as np
from jaxtyping import Float
from scipy.ndimage import center_of_mass, gaussian_filter
from scipy.spatial.transform import Rotation
from shared import LabeledScan as Scan
from shared import place, random_pose

import voltween as vt
from voltween.cohorts import Case, cases_of_split, load_case, read_manifest
from voltween.metrics import dice_per_label
from voltween.refinement import TransformKind, choose_refinement
from voltween.registration import (
    Evidence,
    Grade,
    Registration,
    SettledModel,
    TweeningStage,
)
from voltween.registration.usual import usual_of
from voltween.registration.verdict import pass_verdict

SETS = {"brain": "brain_ixi", "hippocampus": "hippocampus", "headneck": "headneck_ct"}
SHIFT_MM = {"brain": 80.0, "hippocampus": 20.0, "headneck": 80.0}
RIGHT = 0.8


def turned(
    scan: Scan, rng: np.random.Generator, shift_mm: float, share: float = 1.0
) -> Scan:
    """The scan in a random pose; see `random_pose`."""
    return place(scan, random_pose(rng, scan[0].grid.center_mm, shift_mm, share))


def mild(scan: Scan, rng: np.random.Generator) -> Scan:
    """The scan turned by up to 15 degrees, with noise and other brightness."""
    image, labels = turned(scan, rng, 5.0, share=1 / 12)
    span = float(np.ptp(np.percentile(image.data, [1, 99])))
    noisy = image.data + 0.02 * span * rng.normal(size=image.grid.shape)
    if image.data.min() >= -100:  # Hounsfield units are what they are
        noisy = rng.uniform(0.7, 1.4) * noisy
    return vt.Image(noisy.astype(np.float32), image.grid), labels


def moved_header(scan: Scan, shift_mm: float) -> Scan:
    """The scan far away, by its header alone."""
    affine = scan[0].grid.affine.copy()
    affine[:3, 3] += shift_mm
    grid = vt.Grid(scan[0].grid.shape, affine)
    return vt.Image(scan[0].data, grid), vt.LabelMap(scan[1].data, grid)


def inverted(scan: Scan) -> Scan:
    """The scan with its contrast inverted, its background too."""
    image, labels = scan
    return vt.Image(image.data.max() - image.data, image.grid), labels


def cropped(scan: Scan, rng: np.random.Generator) -> Scan:
    """One half of the scan, cut across a random axis of its array."""
    image, labels = scan
    axis = int(rng.integers(3))
    half = image.grid.shape[axis] // 2
    first = half if rng.uniform() < 0.5 else 0
    cut = [slice(None)] * 3
    cut[axis] = slice(first, first + half)
    start = np.zeros(3)
    start[axis] = first
    affine = image.grid.affine.copy()
    affine[:3, 3] = image.grid.voxel_to_world(start)
    data, numbers = image.data[tuple(cut)], labels.data[tuple(cut)]
    grid = vt.Grid(data.shape, affine)
    return vt.Image(data, grid), vt.LabelMap(numbers, grid)


def noise(scan: Scan, rng: np.random.Generator) -> Scan:
    """Smooth noise with the histogram of the scan."""
    image, labels = scan
    field = gaussian_filter(rng.normal(size=image.grid.shape), 2)
    data = np.empty(field.size, image.data.dtype)
    data[field.ravel().argsort()] = np.sort(image.data.ravel())
    return vt.Image(data.reshape(field.shape), image.grid), labels


WAYS = ("turned", "turned", "inverted", "cropped", "far", "organ", "noise", "model")
NEVER_RIGHT = ("organ", "noise")
FEWEST_CENTERS = 4
LOST_DEGREES, LOST_SHARE = (15.0, 180.0), (0.1, 0.5)


class Trials:
    """The registrations of one kind: a model's, or those without a model."""

    def __init__(self, kind: str, given: argparse.Namespace) -> None:
        self.kind, self.number = kind, given.pairs
        self.transform: TransformKind = given.transform
        self.rng = np.random.default_rng(given.seed)
        self.plain_dice: dict[tuple[str, int], float] = {}
        self.cases = {
            model: cases_of_split(read_manifest(given.data / name / "cases.csv"), "val")
            for model, name in SETS.items()
        }

    def run(self):
        names = list(SETS) if self.kind == "none" else [self.kind]
        for number in range(self.number):
            name = names[number % len(names)]
            pairs = list(permutations(self.cases[name], 2))
            drawn = int(self.rng.integers(len(pairs)))
            fixed, moving = (load(case) for case in pairs[drawn])
            least = RIGHT * self.plain_dice.get((name, drawn), 0.0)
            way = "mild" if least else "plain"
            scan = mild(moving, self.rng) if least else moving
            usual, answer = self.register(fixed, scan)
            if not least:
                best = max(usual["dice"], self.dice_of_centers(fixed, moving))
                self.plain_dice[name, drawn] = best
                least = RIGHT * best
            yield {"set": name, "way": way, **usual, "right": usual["dice"] >= least}
            if self.transform != "deformable":
                lost = self.lose(answer)
                dice = overlap(lost.fixed_to_moving, fixed[1], scan[1])
                facts = {**usual, "dice": dice, **asdict(lost.verdict.evidence)}
                yield {"set": name, "way": "lost", **facts, "right": dice >= least}
            way = WAYS[number % len(WAYS)]
            model, spoilt = self.kind, self.spoil(way, name, moving)
            if way == "model":
                model = self.other(name) if self.kind != "none" else "brain"
            found, _ = self.register(fixed, spoilt, model)
            right = found["dice"] >= least and way not in NEVER_RIGHT
            yield {"set": name, "way": way, **found, "right": right}

    def other(self, name: str) -> str:
        return str(self.rng.choice([n for n in SETS if n != name]))

    def spoil(self, way: str, name: str, scan: Scan) -> Scan:
        if way == "turned":
            return turned(scan, self.rng, SHIFT_MM[name])
        if way == "inverted":
            return inverted(scan)
        if way == "cropped":
            return cropped(scan, self.rng)
        if way == "far":
            return moved_header(scan, 3 * SHIFT_MM[name])
        if way == "organ":
            cases = self.cases[self.other(name)]
            return load(cases[int(self.rng.integers(len(cases)))])
        return noise(scan, self.rng) if way == "noise" else scan

    def register(
        self, fixed: Scan, moving: Scan, model: str | None = None
    ) -> tuple[dict, Registration]:
        start = time.process_time()
        choices = options(model or self.kind)
        if self.transform != "deformable":
            choices["refinement"] = self.transform
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = vt.register(fixed[0], moving[0], **choices)
            evidence = asdict(result.verdict.evidence)
        facts = {
            "transform": self.transform,
            "dice": overlap(result.fixed_to_moving, fixed[1], moving[1]),
            **evidence,
            "model": result.model_name,
            "stages": " ".join(result.tweening),
            "seconds": time.process_time() - start,
        }
        return facts, result

    def dice_of_centers(self, fixed: Scan, moving: Scan) -> float:
        """Dice of the transform that lays the centers of the structures together."""
        both = sorted(set(fixed[1].labels) & set(moving[1].labels))
        if self.transform == "deformable" or len(both) < FEWEST_CENTERS:
            return 0.0
        sides = [centers_mm(scan[1], both) for scan in (fixed, moving)]
        return overlap(fit(*sides, self.transform), fixed[1], moving[1])

    def lose(self, answer: Registration) -> Registration:
        """The answer, turned and moved so far that nothing can be in its place."""
        foreground_mm = answer.judge.foreground_mm
        center_mm, extent_mm = foreground_mm.mean(axis=0), np.ptp(foreground_mm, axis=0)
        axis, way = (v / np.linalg.norm(v) for v in self.rng.normal(size=(2, 3)))
        degrees = self.rng.uniform(*LOST_DEGREES)
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
        shift_mm = self.rng.uniform(*LOST_SHARE) * extent_mm.min() * way
        matrix[:3, 3] = center_mm - matrix[:3, :3] @ center_mm + shift_mm
        transform = answer.fixed_to_moving @ vt.Affine(matrix)
        return replace(answer, stages=(TweeningStage("lost", transform),))


def centers_mm(labels: vt.LabelMap, numbers: list[int]) -> Float[np.ndarray, "n 3"]:
    """Centers of structures, RAS+ mm."""
    voxels = center_of_mass(labels.data > 0, labels.data, numbers)
    return labels.grid.voxel_to_world(np.array(voxels))


def fit(
    fixed_mm: Float[np.ndarray, "n 3"],
    moving_mm: Float[np.ndarray, "n 3"],
    kind: TransformKind,
) -> vt.Affine:
    """The transform of a kind that lays points nearest to others (least squares)."""
    from_mm, to_mm = fixed_mm.mean(axis=0), moving_mm.mean(axis=0)
    one, other = fixed_mm - from_mm, moving_mm - to_mm
    matrix = np.eye(4)
    if kind == "affine":
        matrix[:3, :3] = np.linalg.lstsq(one, other, rcond=None)[0].T
    else:
        rotation, _ = Rotation.align_vectors(other, one)
        ratio = np.linalg.norm(other) / np.linalg.norm(one)
        matrix[:3, :3] = rotation.as_matrix() * (ratio if kind == "similarity" else 1)
    matrix[:3, 3] = to_mm - matrix[:3, :3] @ from_mm
    return vt.Affine(matrix)


def options(model: str) -> dict:
    if model == "none":
        return {"model": None}
    # As a settled model, it is not refused for scans of another kind.
    return {"model": SettledModel(vt.load_model(model), "it was given")}


def load(case: Case) -> Scan:
    image, labels = load_case(case)
    assert labels is not None
    return image, labels


def overlap(transform: vt.Transform, fixed: vt.LabelMap, moving: vt.LabelMap) -> float:
    moved = transform.resample(moving, onto=fixed.grid)
    both = set(fixed.labels) & set(moving.labels)
    dice = dice_per_label(fixed.data, moved.data)
    return float(np.mean([dice[label] for label in both])) if both else 0.0


def measure(given: argparse.Namespace) -> None:
    with given.out.open("a", newline="") as file:
        writer = None
        for kind in given.kinds:
            for row in Trials(kind, given).run():
                row = {"kind": kind, **row}
                if writer is None:
                    writer = csv.DictWriter(file, list(row))
                    if file.tell() == 0:
                        writer.writeheader()
                writer.writerow(row)
                file.flush()


def table(path: Path) -> None:
    """Prints what the verdicts, recomputed from the kept evidence, get right."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    print("| model | right | of these not good | wrong | of these not good | failed |")
    print("|---|---|---|---|---|---|")
    for kind in dict.fromkeys(row["kind"] for row in rows):
        graded = [(row, grade(row)) for row in rows if row["kind"] == kind]
        right = [g for row, g in graded if row["right"] == "True"]
        wrong = [g for row, g in graded if row["right"] == "False"]
        alarms, caught = (sum(g != "good" for g in part) for part in (right, wrong))
        failed = wrong.count("failed")
        print(
            f"| {kind} | {len(right)} | {alarms} ({alarms / len(right):.0%}) | "
            f"{len(wrong)} | {caught} ({caught / max(1, len(wrong)):.0%}) | {failed} |"
        )
    print("\n| model | way | registrations | right | good | doubtful | failed |")
    print("|---|---|---|---|---|---|---|")
    ways = sorted({(row["kind"], row["way"]) for row in rows})
    for kind, way in ways:
        some = [row for row in rows if (row["kind"], row["way"]) == (kind, way)]
        grades = [grade(row) for row in some]
        right = sum(row["right"] == "True" for row in some)
        counts = " | ".join(str(grades.count(g)) for g in get_args(Grade))
        print(f"| {kind} | {way} | {len(some)} | {right} | {counts} |")


def grade(row: dict[str, str]) -> Grade:
    evidence = Evidence(**{f.name: float(row[f.name]) for f in fields(Evidence)})
    used = usual_of(row["model"])
    kind = cast(TransformKind, row["transform"])
    refinement = choose_refinement(None, has_model=False, transform=kind)
    return pass_verdict(evidence, used, refinement).grade


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("data", type=Path)
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--kinds", nargs="+", default=[*SETS, "none"])
    measuring.add_argument("--pairs", type=int, default=100)
    measuring.add_argument("--seed", type=int, default=18)
    measuring.add_argument(
        "--transform", choices=get_args(TransformKind), default="deformable"
    )
    showing = commands.add_parser("table")
    showing.add_argument("out", type=Path)
    given = parser.parse_args()
    if given.command == "table":
        table(given.out)
    else:
        measure(given)


if __name__ == "__main__":
    main()
