"""What refinement guarantees, and what it does without a model.

    python runs/refinement.py ways brain_ixi/cases.csv --model brain
    python runs/refinement.py folding brain_ixi/cases.csv --model brain
    python runs/refinement.py modalities brain_ixi/cases.csv
    python runs/refinement.py template brain_ixi/cases.csv --out template

"ways" registers `val` pairs in all the ways there are. "folding" unfolds registrations
and measures what is left, and how far the way there and back leads from where it began.
"modalities" registers pairs without a model, as they are and with the moving scan's
intensities changed: Dice before, affine and refined, folding in percent. "template"
registers the ICBM152 template to heads that nothing was ever trained on.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from scipy.ndimage import binary_dilation

from voltween import io
from voltween.cohorts import (
    cases_of_split,
    draw_pairs,
    load_case,
    mask_by_labels,
    ordered_pairs,
    read_manifest,
)
from voltween.losses import Similarity
from voltween.models import load_model
from voltween.refinement import (
    ACCURATE,
    ACCURATE_ALONE,
    ALONE,
    FAST,
    FAST_ALONE,
    REFINEMENTS,
    Effort,
    Refinement,
)
from voltween.registration import Guidance, Registration, Side, register
from voltween.registration.overview import write_overview
from voltween.spatial import Image, LabelMap

Scan = tuple[Image, LabelMap]
Manifest = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
_POINTS = 5000
_AROUND_BRAIN_MM = 4  # voxels of the template, too


@dataclass(frozen=True)
class Ways:
    """Every way to refine, with overlap, folding and time."""

    manifest: Manifest
    model: str
    """Shipped model or model file."""
    max_pairs: int = 3

    def run(self) -> None:
        """Measure and print a line a way."""
        model = load_model(self.model)
        for name, (has_model, refinement) in WAYS.items():
            rows = []
            for _, (fixed, fixed_labels), (moving, labels) in _pairs(
                self.manifest, self.max_pairs
            ):
                start = time.process_time()
                found = register(
                    fixed,
                    moving,
                    model=model if has_model else None,
                    refinement=refinement,
                )
                seconds = time.process_time() - start
                dice = _dice(found, fixed_labels, labels)
                rows.append([dice, found.folding_percent, seconds])
            dice, folding, seconds = np.mean(rows, axis=0)
            print(f"{name}: {dice:.3f}, {folding:.2g} %, {seconds:.1f} s", flush=True)


@dataclass(frozen=True)
class Folding:
    """No folding after unfolding, and the way there and back."""

    manifest: Manifest
    model: str
    """Shipped model or model file."""
    effort: Effort = "accurate"
    diffeomorphic: bool = False
    """Velocity fields."""
    max_pairs: int = 20

    def run(self) -> None:
        """Measure and print a line a pair, and what all have in common."""
        model = load_model(self.model)
        refinement = replace(REFINEMENTS[self.effort], diffeomorphic=self.diffeomorphic)
        rows = []
        for names, (fixed, fixed_labels), (moving, moving_labels) in _pairs(
            self.manifest, self.max_pairs
        ):
            found = register(fixed, moving, model=model, refinement=refinement)
            mended = found.without_folding()
            row = [
                found.folding_percent,
                mended.folding_percent,
                _round_trip_mm(mended),
                _dice(found, fixed_labels, moving_labels),
                _dice(mended, fixed_labels, moving_labels),
            ]
            print(*names, *(f"{value:.4g}" for value in row), flush=True)
            rows.append(row)
        before, after, trip_mm, dice, mended_dice = np.array(rows).T
        print(
            f"{len(rows)} pairs; folding {before.mean():.4g} % (at most "
            f"{before.max():.3g} %, {(before > 0).sum()} pairs), after unfolding "
            f"{after.max():.3g} %; median round trip {np.median(trip_mm):.3g} mm "
            f"(at most {trip_mm.max():.3g}); Dice {dice.mean():.4f}, "
            f"{mended_dice.mean():.4f}"
        )


@dataclass(frozen=True)
class Modalities:
    """Pairs as they are, and with the moving scan's intensities changed."""

    manifest: Manifest
    similarity: Similarity = "normalized mutual information"
    effort: Effort = "accurate"
    max_pairs: int = 6

    def run(self) -> None:
        """Measure and print a line a change."""
        refinement = replace(ALONE[self.effort], similarity=self.similarity)
        for name, change in CHANGES.items():
            rows = []
            for _, (fixed, fixed_labels), (moving, labels) in _pairs(
                self.manifest, self.max_pairs
            ):
                scan = Image(change(_from_0_to_1(moving)), moving.grid)
                found = register(fixed, scan, model=None, refinement=refinement)
                dice = found.dice(fixed_labels, labels)
                means = [np.mean(list(values.values())) for values in dice.values()]
                rows.append([*means, found.folding_percent])
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
    effort: Effort = "accurate"
    heads: int = 3

    def run(self) -> None:
        """Measure and print a line a head; write what it looks like."""
        template, tissues = _template()
        # A little more than the brain, so that its edge counts, but not the skull.
        around = binary_dilation(template.data > 0, iterations=_AROUND_BRAIN_MM)
        brain = LabelMap(around, template.grid)
        self.out.mkdir(parents=True, exist_ok=True)
        for case in cases_of_split(read_manifest(self.manifest), "val")[: self.heads]:
            head, labels = load_case(case)
            names = _structures(self.manifest.parent / "structures.csv")
            truth = LabelMap(_tissues_of(labels, names), labels.grid)
            stripped = mask_by_labels(head, labels)
            for kind, image, known in (
                ("raw", head, Guidance()),
                ("raw, template masked", head, Guidance(moving=Side(mask=brain))),
                ("stripped", stripped, Guidance()),
            ):
                found = register(
                    image,
                    template,
                    model=None,
                    refinement=ALONE[self.effort],
                    guidance=known,
                )
                line = "; ".join(
                    f"{stage} gray {values[1]:.3f} white {values[2]:.3f}"
                    for stage, values in found.dice(truth, tissues).items()
                )
                fold = f"folding {found.folding_percent:.3g} %"
                print(f"{case.name} {kind}: {line}; {fold}", flush=True)
                write_overview(found, self.out / f"{case.name} {kind}.png")


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
    """Inverted, and the darkest third turned round: not monotonic."""
    inverted = 1 - data
    return np.where(inverted < 0.35, 0.7 - inverted, inverted)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda data: data,
    "inverted": _inverted,
    "tissue inverted": _inverted_tissue,
    "inverted, not monotonic": _folded_over,
    "1 - sin(pi x)": lambda data: 1 - np.sin(np.pi * data),
}


def _pairs(manifest: Path, most: int) -> Iterator[tuple[tuple[str, str], Scan, Scan]]:
    """Names, fixed and moving scan of drawn `val` pairs."""
    cases = {c.name: c for c in cases_of_split(read_manifest(manifest), "val")}
    scans = {name: load_case(case) for name, case in cases.items()}
    for pair in draw_pairs(ordered_pairs(list(cases)), most):
        yield pair, scans[pair[0]], scans[pair[1]]


def _from_0_to_1(image: Image) -> np.ndarray:
    low, high = np.percentile(image.data, [0.5, 99.5])
    return ((image.data - low) / (high - low)).clip(0, 1)


def _dice(found: Registration, fixed: LabelMap, moving: LabelMap) -> float:
    *_, last = found.dice(fixed, moving).values()
    return float(np.mean(list(last.values())))


def _round_trip_mm(found: Registration) -> float:
    """Median distance of moving_to_fixed(fixed_to_moving(x)) from x, fixed scan."""
    grid = found.fixed.grid
    shares = np.random.default_rng(0).uniform(0, 1, (_POINTS, 3))
    points_mm = grid.voxel_to_world(shares * (np.array(grid.shape) - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = found.fixed_to_moving.map_positions(points_mm)
        back = found.moving_to_fixed.map_positions(there)
    return float(np.median(np.linalg.norm(back - points_mm, axis=1)))


def _template() -> tuple[Image, LabelMap]:
    """The template, skull-stripped, and 1 where it is gray, 2 where it is white."""
    folder = files("nilearn") / "datasets" / "data"
    t1, gray, white = (
        io.read(
            Path(str(folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"))
        )
        for kind in ("t1", "gm", "wm")
    )
    tissues = np.where(white.data > gray.data, 2, 1)
    tissues[np.maximum(white.data, gray.data) <= 0.5 * gray.data.max()] = 0
    return t1, LabelMap(tissues, t1.grid)


def _structures(path: Path) -> dict[int, str]:
    rows = (line.split(",") for line in path.read_text().splitlines()[1:])
    return {int(label): name for label, name in rows}


def _tissues_of(labels: LabelMap, names: dict[int, str]) -> np.ndarray:
    """1 in the gray matter of cortex and deep nuclei, 2 in the white, else 0."""
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
            "modalities": Modalities,
            "template": Template,
        }
    ).run()
