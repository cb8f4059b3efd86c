"""Parts that several scripts of this folder share: arguments, scans, small training."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from jaxtyping import Float
from PIL import Image as Picture
from scipy.spatial.transform import Rotation

from voltween.cohorts import (
    Case,
    Pair,
    cases_of_split,
    draw_pairs,
    load_case,
    ordered_pairs,
    read_manifest,
)
from voltween.figures import FIXED_OUTLINE, MOVED_OUTLINE, rgb
from voltween.models import load_model
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.registration import Registration
from voltween.spatial import Affine, Grid, Image, LabelMap
from voltween.training import Augmentation, Objective, Recipe, TrainConfig
from voltween.training.samples import store_samples
from voltween.training.validation import measure_stages, stage_means, validation_pairs

Manifest = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
LabeledScan = tuple[Image, LabelMap]

PAIRS = 200  # of `val` cases, on which small networks are measured
_GRAYS = 40  # of a small picture
_OUTLINES = FIXED_OUTLINE, MOVED_OUTLINE, "#ffa500"

SHAPE = (32, 32, 32)
PREPROCESSING = Preprocessing(SHAPE, (2.0, 2.0, 2.0))
AUGMENTATION = Augmentation(
    displacement=0.05, rotation_degrees=15.0, scaling=0.1, translation=0.08, gamma=0.3
)
# 4 halvings end at 2^3, as 6 do from the paper's 128^3; the affine one ends at 4^3.
CASCADE = CascadeConfig("ADD", SHAPE, channels=8, levels=4, affine_levels=3)
TRAINING = TrainConfig(
    learning_rate=5e-4, augmentation=AUGMENTATION, validation_pairs=100, kept_states=1
)
BASE = Recipe(PREPROCESSING, CASCADE, TRAINING)
WITH_OVERLAP = replace(
    BASE,
    training=replace(
        TRAINING,
        objective=replace(
            Objective(), last_similarity="local correlation", overlap=(2.0, 0.0, 0.5)
        ),
    ),
)
WITH_OVERLAP_AND_LARGER_FLOWS = replace(
    WITH_OVERLAP, network=replace(CASCADE, flow_multiplier=10.0)
)


def val_scans(manifest: Path) -> dict[str, LabeledScan]:
    """The `val` scans of a manifest with their labels, by name."""
    cases = cases_of_split(read_manifest(manifest), "val")
    return {case.name: load_case(case) for case in cases}


def val_pairs(
    manifest: Path, most: int
) -> Iterator[tuple[Pair, LabeledScan, LabeledScan]]:
    """Names, fixed and moving scan of drawn `val` pairs."""
    scans = val_scans(manifest)
    for pair in draw_pairs(ordered_pairs(list(scans)), most):
        yield pair, scans[pair[0]], scans[pair[1]]


def random_pose(
    rng: np.random.Generator,
    center_mm: Float[np.ndarray, " 3"],
    shift_mm: float,
    share: float = 1.0,
) -> Affine:
    """A rotation about a center, uniform over all, and a shift up to a length.

    `share` is the part of the drawn rotation's angle that is used.
    """
    rotation = Rotation.random(random_state=int(rng.integers(1 << 31)))
    shift = rng.normal(size=3)
    shift *= shift_mm * rng.uniform() / np.linalg.norm(shift)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(share * rotation.as_rotvec()).as_matrix()
    matrix[:3, 3] = center_mm - matrix[:3, :3] @ center_mm + shift
    return Affine(matrix)


def place(scan: LabeledScan, pose: Affine) -> LabeledScan:
    """The scan in another pose, resampled once on a grid along the world's axes."""
    image, labels = scan
    placed = Grid(image.grid.shape, pose.matrix @ image.grid.affine)
    corners, spacing = placed.corners_mm(), float(image.grid.spacing_mm.min())
    affine = np.diag([spacing, spacing, spacing, 1])
    affine[:3, 3] = corners.min(axis=0)
    i, j, k = np.ceil(np.ptp(corners, axis=0) / spacing).astype(int) + 1
    onto, here = Grid((int(i), int(j), int(k)), affine), Affine.identity()
    return (
        here.resample(Image(image.data, placed), onto=onto),
        here.resample(LabelMap(labels.data, placed), onto=onto),
    )


def final_dice(result: Registration, fixed: LabelMap, moving: LabelMap) -> float:
    """Mean Dice of all labels after the last stage."""
    *_, last = result.dice(fixed, moving).values()
    return mean_dice(last)


def mean_dice(per_label: dict[int, float]) -> float:
    """Mean over the labels."""
    return float(np.mean(list(per_label.values())))


def measure_best(cases: Sequence[Case], recipe: Recipe, best: Path, cache: Path):
    """Means after each stage over all pairs of `val` cases."""
    val = [case for case in cases if case.split == "val"]
    samples = store_samples(val, recipe.preprocessing, cache)
    pairs = validation_pairs(samples, PAIRS)
    network = load_model(best).network
    figures = measure_stages(network, samples, pairs)
    return stage_means(figures, recipe.network.stage_names)


def write_small_picture(picture: Picture.Image, path: Path) -> None:
    """Writes a PNG in 40 grays and the colors of outlines and letters.

    It is a third as large as one of all colors.
    """
    grays = np.linspace(0, 255, _GRAYS).astype(int).repeat(3).tolist()
    colors = [round(255 * c) for name in _OUTLINES for c in rgb(name)]
    palette = Picture.new("P", (1, 1))
    palette.putpalette(grays + colors)
    few = picture.quantize(palette=palette, dither=Picture.Dither.NONE)
    few.save(path, optimize=True)


def write_rows(rows: Sequence[dict], path: Path) -> None:
    """Writes rows with the same keys as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
