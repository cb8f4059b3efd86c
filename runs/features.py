"""Trains the networks of features that tell the structures of an organ.

    python runs/features.py unpack brain OUT
    python runs/features.py prepare brain DATA OUT
    python runs/features.py train brain DATA OUT --steps 3000
    python runs/features.py show OUT
    python runs/features.py ship brain OUT
    python runs/features.py measure DATA/brain_ixi/cases.csv rows.csv --weights 0 1

DATA holds the folders of scans; the organs are those of `feature_organs.py`. "unpack"
is for going on from a shipped network: it writes its template and weights. "prepare"
makes a template of the `train` scans, if there is none, and registers all scans to it.
"train" learns from the `train` scans alone, and goes on from OUT/state.pt; with more
steps it trains longer. "show" prints the overlap of the predicted structures with the
labels of the `val` cases, in the template's space. "ship" writes the network into the
package. "measure" registers `val` pairs with it: by what the images are compared by
with the model if nothing is said, such as the local correlation, and by features, with
weights of the same beside.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from feature_colors import recolored_scan
from feature_labels import FINER, index_of, shares_of, to_blocks
from feature_organs import ORGANS, Organ, scan_files
from feature_samples import read_samples
from feature_training import Training, averaged_network, start_from
from scipy.linalg import sqrtm
from shared import LabeledScan, Manifest, final_dice, read_rows, val_pairs, write_rows

from voltween import io
from voltween.cohorts import Case, load_case
from voltween.models import (
    FeatureModel,
    Model,
    load_features,
    load_model,
    normalize_features,
    save_features,
)
from voltween.refinement import (
    FEATURES,
    WITHOUT_MODEL,
    NamedRefinement,
    Refinement,
    RefinementSimilarity,
)
from voltween.registration import (
    register,
    register_by_network,
    settle_named,
    usual_of,
)
from voltween.spatial import Affine, Grid, Image, Transform

SHIPPED = Path(__file__).parents[1] / "src/voltween/models/features"
MOST = 24  # scans, about, of which a template is made
OrganName = tyro.conf.Positional[Literal[tuple(ORGANS)]]  # type: ignore[valid-type]


@dataclass(frozen=True)
class Unpack:
    """Write the template, groups and weights of the shipped network."""

    organ: OrganName
    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """Write what "prepare" and "train" go on from."""
        self.out.mkdir(parents=True, exist_ok=True)
        shipped = load_features(SHIPPED / f"{self.organ}.safetensors")
        io.write(shipped.template, self.out / "template1.nii.gz")
        start_from(shipped, self.out)


@dataclass(frozen=True)
class Prepare:
    """Make the template, and register all scans to it."""

    organ: OrganName
    data: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """Write what is missing."""
        torch.set_num_threads(1)
        organ = ORGANS[self.organ]
        self.out.mkdir(parents=True, exist_ok=True)
        affine, final = (self.out / f"{n}.nii.gz" for n in ("template", "template1"))
        if not final.exists():
            train = organ.cases(self.data, "train")
            some = [load_case(c)[0] for c in train[:: max(1, len(train) // MOST)]]
            io.write(affine_template(organ, some), affine)
            io.write(mean_template(organ, io.read(affine), some), final)
        template = io.read(final)
        for case in organ.cases(self.data):
            for number in range(organ.placements):
                path = self.out / f"case_{case.split}_{case.name}_{number}.npz"
                if not path.exists():
                    save_case(organ, template, case, number, path)


def affine_template(organ: Organ, scans: list[Image]) -> Image:
    """The mean of scans after affine registration, the same on both sides."""
    model = organ.model()
    rule = model.preprocessing
    grid = Grid.centered(
        rule.shape,
        center_mm=np.zeros(3),
        spacing_mm=rule.spacing_mm,
        directions=np.eye(3),
    )
    first = scans[0]
    shift = np.eye(4)
    shift[:3, 3] = rule.canonical_grid(first).center_mm
    template = normalized(Affine(shift), first, grid)

    def mean(template: Image) -> Image:
        total = np.zeros(grid.shape)
        for scan in scans:
            total += normalized(affine_part(template, scan), scan, grid).data
        return Image(total / len(scans), grid)

    def affine_part(fixed: Image, moving: Image) -> Affine:
        return register_by_network(fixed, moving, model).stages[0].fixed_to_moving

    template = mean(template)
    if not organ.is_symmetric:
        return Image(mean(template).data.astype(np.float32), grid)
    mirrored = Image(template.data[::-1].copy(), grid)
    halfway = Affine(np.real(sqrtm(affine_part(template, mirrored).matrix)))
    upright = halfway.inverse().resample(template, onto=grid).data
    template = mean(Image((upright + upright[::-1]) / 2, grid))
    return Image(((template.data + template.data[::-1]) / 2).astype(np.float32), grid)


def to_template(template: Image, scan: Image, model: Model) -> Transform:
    """Template mm to scan mm, as registration by features finds it."""
    return register(template, scan, model=model, refinement="fast").fixed_to_moving


def normalized(placed: Transform, scan: Image, grid: Grid) -> Image:
    """A scan on a grid in the template's world, as the network sees it."""
    return Image(normalize_features(placed.resample(scan, onto=grid)), grid)


def mean_template(organ: Organ, template: Image, scans: list[Image]) -> Image:
    """The mean of scans after registration, and of their mirror images."""
    grid, model = template.grid, organ.model()
    images = [
        normalized(to_template(template, scan, model), scan, grid).data
        for scan in scans
    ]
    both = [image[::-1] for image in images] if organ.is_symmetric else []
    return Image(np.mean([*images, *both], axis=0, dtype=np.float32), grid)


def save_case(
    organ: Organ, template: Image, case: Case, number: int, path: Path
) -> None:
    """Writes a scan and its labels on the network's grid, where a placement puts them.

    All placements but the first are those of the scan in random intensities.
    """
    scan, labels = load_case(case)
    shown = scan
    if number > 0:
        rng = np.random.default_rng([number, *case.name.encode()])
        shown = recolored_scan(organ, scan, labels, rng)
    placed = to_template(template, shown, load_model(organ.placed_by))
    np.savez(
        path,
        image=normalized(placed, scan, organ.grid).data,
        labels=placed.resample(labels, onto=finer(organ.grid)).data.astype(np.uint8),
    )


def finer(grid: Grid) -> Grid:
    """The grid of the same extent whose voxels are divided."""
    divide = np.diag([*[1 / FINER] * 3, 1.0])
    divide[:3, 3] = (1 / FINER - 1) / 2
    i, j, k = (FINER * side for side in grid.shape)
    return Grid((i, j, k), grid.affine @ divide)


@dataclass(frozen=True)
class Train:
    """Train, or go on."""

    organ: OrganName
    data: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    steps: int = 1200

    def run(self) -> None:
        """Train until the last step; the state is saved every two minutes."""
        torch.set_num_threads(1)
        Training.of(ORGANS[self.organ], self.data, self.out, self.steps).run()


@dataclass(frozen=True)
class Show:
    """Print the overlap with the labels of the `val` cases."""

    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """One line per case."""
        torch.set_num_threads(1)
        state = torch.load(self.out / "state.pt", weights_only=True)
        values = np.array(state["values"])
        network = averaged_network(state)
        prior = network.block_prior().split(4)
        for number, sample in enumerate(read_samples(self.out, "val")):
            with torch.no_grad():
                rows = network(sample.image[None]).split(4)
                scores = map(network.scores, rows, prior)
                told = torch.cat([score.argmax(-1) for score in scores])
            blocks = to_blocks(index_of(sample.labels[0], values))
            truth = shares_of(blocks, len(values)).argmax(1)
            dice = []
            for n in range(1, len(values)):
                a, b = told.flatten() == n, truth == n
                if b.any():
                    both = (a & b).sum().item()
                    dice.append(2 * both / (a.sum().item() + b.sum().item()))
            print(state["step"], number, f"{np.mean(dice):.4f}", flush=True)


@dataclass(frozen=True)
class Ship:
    """Write the network into the package."""

    organ: OrganName
    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """Write the weights; the card is written by hand."""
        state = torch.load(self.out / "state.pt", weights_only=True)
        organ = ORGANS[self.organ]
        files = scan_files(self.out, "train")
        provenance = {
            "purpose": organ.purpose,
            "data": organ.data,
            "licence": organ.license,
            "train_scans": len({file.stem.rpartition("_")[0] for file in files}),
            "steps": state["step"],
            "labels": state["values"],
        }
        model = FeatureModel(
            self.organ,
            averaged_network(state),
            io.read(self.out / "template1.nii.gz"),
            organ.grid,
            provenance,
            organ.model().fingerprint,  # it learned from the same scans
            is_for_any_contrast=organ.remapped > 0.5,
        )
        SHIPPED.mkdir(exist_ok=True)
        save_features(model, SHIPPED / f"{self.organ}.safetensors")


@dataclass(frozen=True)
class Measure:
    """Register `val` pairs; go on where the table ends."""

    manifest: Manifest
    rows: tyro.conf.Positional[Path]
    """CSV to which rows are added."""
    weights: tuple[float, ...] = ()
    """Weights beside the features of the similarity that is usual with the model; if
    not given, the usual one."""
    starts: tuple[str, ...] = ("brain",)
    """Models, or none."""
    images: bool = True
    """Measure this similarity without features, too."""
    max_pairs: int = 3
    first_pair: int = 0

    def run(self) -> None:
        """One row per start, similarity and pair."""
        torch.set_num_threads(1)
        rows = read_rows(self.rows) if self.rows.exists() else []
        done = {tuple(row[name] for name in KEY) for row in rows}
        pairs = list(val_pairs(self.manifest, self.max_pairs))[self.first_pair :]
        for names, fixed, moving in pairs:
            for start in self.starts:
                for name, refinement in self.refinements(start).items():
                    key = (start, name, *names)
                    if key in done:
                        continue
                    row = measured(start, refinement, fixed, moving)
                    rows.append(dict(zip(KEY, key, strict=True)) | row)
                    write_rows(rows, self.rows)
                    print(*rows[-1].values(), flush=True)

    def refinements(self, start: str) -> dict[str, Refinement]:
        """The accurate refinements on the scan's own voxels, by what they compare."""
        beside = usual_of(start).similarity
        found = {beside: accurate(start)} if self.images else {}
        for weight in self.weights or (usual_of(start).image_weight,):
            name = f"features, {weight:g} x {beside}" if weight else FEATURES
            found[name] = replace(accurate(start, FEATURES), image_weight=weight)
        return found


def accurate(start: str, similarity: RefinementSimilarity | None = None) -> Refinement:
    """What a user gets with a model, on the scan's own voxels."""
    named = settle_named(start, NamedRefinement("accurate", similarity))
    return replace(named, spacing_mm="own")


KEY = ("start", "similarity", "fixed", "moving")


def measured(
    start: str, refinement: Refinement, fixed: LabeledScan, moving: LabeledScan
) -> dict[str, float]:
    """Dice, folding and time of one registration."""
    model = None if start == WITHOUT_MODEL else load_model(start)
    begun = time.process_time()
    result = register(fixed[0], moving[0], model=model, refinement=refinement)
    seconds = time.process_time() - begun
    return {
        "dice": round(final_dice(result, fixed[1], moving[1]), 5),
        "folding_percent": round(result.folding_percent, 5),
        "processor_seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict(
        {
            "unpack": Unpack,
            "prepare": Prepare,
            "train": Train,
            "show": Show,
            "ship": Ship,
            "measure": Measure,
        }
    ).run()
