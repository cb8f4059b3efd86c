"""Trains the network of features that tells the structures of brains.

    python runs/features.py prepare DATA OUT
    python runs/features.py train DATA OUT
    python runs/features.py show OUT
    python runs/features.py ship OUT
    python runs/features.py measure DATA/brain_ixi/cases.csv rows.csv --weights 0 1

DATA holds brain_ixi. "prepare" makes a symmetric template of the `train` scans and
registers all scans to it. "train" learns from the `train` scans alone, and goes on from
OUT/state.pt; with more steps it trains longer. "show" prints the overlap of the
predicted structures with the labels of the `val` cases, in the template's space. "ship"
writes the network into the package. "measure" registers `val` pairs with it: by the
local correlation alone and by features, with weights of the local correlation beside.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import tyro
from scipy.linalg import sqrtm
from scipy.spatial import cKDTree
from shared import LabeledScan, Manifest, final_dice, read_rows, val_pairs, write_rows
from torch import Tensor
from torch.nn import functional

from voltween import io
from voltween.cohorts import (
    Case,
    cases_of_split,
    load_case,
    read_manifest,
    read_structures,
)
from voltween.models import FeatureModel, load_model, normalize_features, save_features
from voltween.networks import FeatureConfig, FeatureNetwork
from voltween.ops import warp
from voltween.refinement import FAST, FEATURES, WITHOUT_MODEL, choose_refinement
from voltween.registration import register, register_by_network
from voltween.spatial import Affine, Grid, Image, Transform
from voltween.training import Augmentation
from voltween.training.augmentation import augment_intensities, random_flow
from voltween.training.label_warping import warp_labels
from voltween.training.rendering import random_curve

SHIPPED = Path(__file__).parents[1] / "src/voltween/models/features/brain.safetensors"
GRID = Grid.centered(
    (72, 96, 80),
    center_mm=np.array([0.0, -5.0, -4.0]),
    spacing_mm=(2.0, 2.0, 2.0),
    directions=np.eye(3),
)
"""The grid of the network, around the template's brain."""
AUGMENTATION = Augmentation(
    displacement=0.02,
    rotation_degrees=3.0,
    scaling=0.03,
    translation=0.01,
    gamma=0.3,
    bias=0.3,
    noise=0.04,
)
GROUPS = 16
NEAR = 12  # voxels between structures
RATE, WARM_STEPS, COOLING = 2e-3, 30, 0.4  # the last share of the steps cools down
BLOCKS = 2000  # of 8 voxels, on which the loss is computed: most of them labeled
REMAPPED = 0.2  # share of the images in a random curve of intensities
AVERAGED = 0.98  # of the weights, per step
RARE = 1e-4  # smallest frequency of a structure in a voxel
SAVE_SECONDS = 120


@dataclass(frozen=True)
class Prepare:
    """Make the template, and register all scans to it."""

    data: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """Write what is missing."""
        torch.set_num_threads(1)
        self.out.mkdir(parents=True, exist_ok=True)
        cases = read_manifest(self.data / "brain_ixi/cases.csv")
        train = cases_of_split(cases, "train")
        affine, final = (self.out / f"{n}.nii.gz" for n in ("template", "template1"))
        if not affine.exists():
            io.write(affine_template([load_case(c)[0] for c in train]), affine)
        if not final.exists():
            template = io.read(affine)
            some = (load_case(case)[0] for case in train[::2])
            maps = ((scan, to_template(template, scan)) for scan in some)
            io.write(mirrored_mean(template.grid, maps), final)
        template = io.read(final)
        for case in cases:
            path = self.out / f"case_{case.split}_{case.name}.npz"
            if not path.exists():
                save_case(template, case, path)


def affine_template(scans: list[Image]) -> Image:
    """The mean of scans after affine registration, symmetric from left to right."""
    brain = load_model("brain")
    rule = brain.preprocessing
    grid = Grid.centered(
        rule.shape,
        center_mm=np.zeros(3),
        spacing_mm=rule.spacing_mm,
        directions=np.eye(3),
    )
    first = scans[0]
    shift = np.eye(4)
    shift[:3, 3] = rule.canonical_grid(first).center_mm
    placed = Affine(shift).resample(first, onto=grid)
    template = Image(normalize_features(placed), grid)

    def mean(template: Image) -> Image:
        total = sum(
            normalize_features(affine_part(template, scan).resample(scan, onto=grid))
            for scan in scans
        )
        return Image(total / len(scans), grid)

    def affine_part(fixed: Image, moving: Image) -> Affine:
        return register_by_network(fixed, moving, brain).stages[0].fixed_to_moving

    template = mean(template)
    mirrored = Image(template.data[::-1].copy(), grid)
    halfway = Affine(np.real(sqrtm(affine_part(template, mirrored).matrix)))
    upright = halfway.inverse().resample(template, onto=grid).data
    template = mean(Image((upright + upright[::-1]) / 2, grid))
    return Image(((template.data + template.data[::-1]) / 2).astype(np.float32), grid)


def to_template(template: Image, scan: Image) -> Transform:
    """Template mm to scan mm, as registration by features finds it."""
    return register(template, scan, model="brain", refinement=FAST).fixed_to_moving


def mirrored_mean(grid: Grid, maps: Iterator[tuple[Image, Transform]]) -> Image:
    """The mean of scans and their mirror images."""
    images = [normalize_features(t.resample(scan, onto=grid)) for scan, t in maps]
    both = [*images, *(image[::-1] for image in images)]
    return Image(np.mean(both, axis=0, dtype=np.float32), grid)


def save_case(template: Image, case: Case, path: Path) -> None:
    """Writes a scan and its labels on the network's grid."""
    scan, labels = load_case(case)
    placed = to_template(template, scan)
    np.savez(
        path,
        image=normalize_features(placed.resample(scan, onto=GRID)),
        labels=placed.resample(labels, onto=GRID).data.astype(np.uint8),
    )


@dataclass(frozen=True)
class Sample:
    """A scan on the network's grid, with its labels."""

    image: Tensor
    labels: Tensor


def read_samples(out: Path, split: str) -> list[Sample]:
    """The prepared scans of a split."""
    samples = []
    for path in sorted(out.glob(f"case_{split}_*.npz")):
        arrays = np.load(path)
        image = torch.from_numpy(arrays["image"])[None]
        labels = torch.from_numpy(arrays["labels"].astype(np.int32))[None]
        samples.append(Sample(image, labels))
    return samples


@dataclass(frozen=True)
class Train:
    """Train, or go on."""

    data: tyro.conf.Positional[Path]
    out: tyro.conf.Positional[Path]
    steps: int = 1200

    def run(self) -> None:
        """Train until the last step; the state is saved every two minutes."""
        torch.set_num_threads(1)
        Training.of(self.data, self.out, self.steps).run()


@dataclass(eq=False)
class Training:
    """The network, its averaged weights, the data, and the step that was reached."""

    out: Path
    steps: int
    values: np.ndarray
    samples: list[Sample]
    network: FeatureNetwork
    averaged: FeatureNetwork
    optimizer: torch.optim.Optimizer
    weights: Tensor
    mirrored: np.ndarray
    step: int = 0

    @classmethod
    def of(cls, data: Path, out: Path, steps: int) -> "Training":
        """The training as it was left, or a new one."""
        samples = read_samples(out, "train")
        values, counts = label_counts(samples)
        names = read_structures(data / "brain_ixi/structures.csv")
        mirrored = mirror_of(values, names)
        groups = kept_groups(out / "groups.json", samples, values)
        torch.manual_seed(0)
        config = FeatureConfig(GRID.shape, groups)
        network, averaged = FeatureNetwork(config), FeatureNetwork(config)
        network.prior[:] = log_frequency(samples, values, mirrored)
        averaged.load_state_dict(network.state_dict())
        training = cls(
            out,
            steps,
            values,
            samples,
            network,
            averaged,
            torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-4),
            class_weights(counts),
            mirrored,
        )
        training.load()
        return training

    @cached_property
    def prior(self) -> Tensor:
        """The part that the place alone contributes to every block."""
        return self.network.block_prior()

    def load(self) -> None:
        """Goes on from the saved state, if there is one."""
        if not (self.out / "state.pt").exists():
            return
        state = torch.load(self.out / "state.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def save(self) -> None:
        """Saves the state."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "values": self.values.tolist(),
            "groups": list(self.network.config.groups),
        }
        torch.save(state, self.out / "partial.pt")
        (self.out / "partial.pt").replace(self.out / "state.pt")

    def run(self) -> None:
        """Train until the last step."""
        saved, losses, begun = time.time(), [], time.process_time()
        while self.step < self.steps:
            losses.append(self.take_step())
            if self.step % 20 == 0:
                seconds = (time.process_time() - begun) / len(losses)
                loss = np.mean(losses[-20:])
                print(self.step, f"{loss:.4f}", f"{seconds:.2f} s", flush=True)
            if time.time() - saved > SAVE_SECONDS:
                self.save()
                saved = time.time()
        self.save()

    def take_step(self) -> float:
        """Takes one step; returns its loss."""
        rng = np.random.default_rng([7, self.step])
        image, labels = self.draw(rng)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * self.rate_share()
        blocks = to_blocks(labels)
        chosen = torch.from_numpy(choose_blocks(blocks, rng))
        rows = self.network(image[None]).flatten(0, 2)[chosen]
        prior = self.prior.flatten(0, 2)[chosen]
        scores = self.network.scores(rows, prior).flatten(0, 1)
        truth = blocks[chosen].flatten()
        loss = functional.cross_entropy(scores, truth, self.weights)
        loss = loss + overlap_loss(scores.softmax(1), truth)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        share = min(AVERAGED, self.step / (self.step + 10))
        with torch.no_grad():
            pairs = zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            )
            for mean, weight in pairs:
                mean.lerp_(weight, 1 - share)
        return loss.item()

    def rate_share(self) -> float:
        """The share of the learning rate in this step."""
        left = (self.steps - self.step) / (COOLING * self.steps)
        return min(1.0, (self.step + 1) / WARM_STEPS, left)

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """An image and the index of the structure of every voxel."""
        sample = self.samples[int(rng.integers(len(self.samples)))]
        flow = random_flow(GRID.shape, AUGMENTATION, rng)
        image = warp(sample.image[None], flow)[0]
        if rng.uniform() < REMAPPED:
            curve = random_curve(rng, is_stairs=False).astype(np.float32)
            image = torch.from_numpy(curve)[(255 * image).long()]
        image = augment_intensities(image, AUGMENTATION, rng)
        places = index_of(warp_labels(sample.labels, flow)[0], self.values)
        if rng.uniform() < 0.5:
            image = image.flip(1)
            places = torch.from_numpy(self.mirrored)[places.flip(0)]
        return image, places


def log_frequency(
    samples: list[Sample], values: np.ndarray, mirrored: np.ndarray
) -> Tensor:
    """Logarithm of how often every structure is in every wide voxel, on both sides."""
    wide = [side // 4 for side in GRID.shape]
    total = torch.zeros(*wide, len(values))
    for sample in samples:
        hot = functional.one_hot(index_of(sample.labels[0], values), len(values))
        i, j, k = wide
        blocks = hot.to(torch.uint8).reshape(i, 4, j, 4, k, 4, -1)
        total += blocks.sum((1, 3, 5), dtype=torch.int32) / 4**3
    total += total.flip(0)[..., torch.from_numpy(mirrored)]
    return (total / (2 * len(samples)) + RARE).log()


def index_of(labels: Tensor, values: np.ndarray) -> Tensor:
    """The place of every label in the sorted values; unknown ones are background."""
    places = np.searchsorted(values, labels.numpy()).clip(0, len(values) - 1)
    return torch.from_numpy(np.where(values[places] == labels.numpy(), places, 0))


def to_blocks(labels: Tensor) -> Tensor:
    """The labels of the eight voxels of every block."""
    i, j, k = labels.shape
    blocks = labels.reshape(i // 2, 2, j // 2, 2, k // 2, 2)
    return blocks.permute(0, 2, 4, 1, 3, 5).reshape(-1, 8)


def choose_blocks(blocks: Tensor, rng: np.random.Generator) -> np.ndarray:
    """Blocks of the loss: a quarter anywhere, the others in structures."""
    inside = np.flatnonzero(blocks.any(dim=1).numpy())
    anywhere = rng.integers(len(blocks), size=BLOCKS // 4)
    return np.concatenate([anywhere, rng.choice(inside, BLOCKS - len(anywhere))])


def overlap_loss(shares: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice on the chosen voxels, averaged over the structures that occur."""
    hot = functional.one_hot(truth, shares.shape[1]).to(shares)
    both = 2 * (shares * hot).sum(0)
    total = shares.sum(0) + hot.sum(0)
    occurs = hot.sum(0) > 0
    return 1 - (both / total.clamp_min(1e-6))[occurs].mean()


def label_counts(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """The labels of all samples, sorted, and their numbers of voxels."""
    joined = np.concatenate([s.labels.flatten().numpy() for s in samples])
    return np.unique(joined, return_counts=True)


def class_weights(counts: np.ndarray) -> Tensor:
    """Weights of the structures, smaller for large ones."""
    weights = (counts[1:].mean() / counts) ** 0.5
    weights[0] = weights[1:].min()
    return torch.from_numpy(weights.clip(0.4, 4)).float()


def mirror_of(values: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """The place of the structure on the other side, for the place of each."""
    place = {names.get(int(v), str(v)): n for n, v in enumerate(values)}
    swapped = {"_R": "_L", "_L": "_R"}
    mirrored = np.arange(len(values))
    for name, number in place.items():
        if name[-2:] in swapped:
            mirrored[number] = place[name[:-2] + swapped[name[-2:]]]
    return mirrored


def kept_groups(
    path: Path, samples: list[Sample], values: np.ndarray
) -> tuple[int, ...]:
    """The group of every structure, from a file if it was found before."""
    if not path.exists():
        path.write_text(json.dumps(far_groups(samples, values)), encoding="utf-8")
    return tuple(json.loads(path.read_text(encoding="utf-8")))


def far_groups(samples: list[Sample], values: np.ndarray) -> tuple[int, ...]:
    """A group per structure, such that those of one group lie far apart.

    Those with many neighbors choose first; the background has group 0 alone.
    """
    distances = np.full((len(values), len(values)), np.inf)
    for sample in samples[::4]:
        points, owners = coarse_points(sample.labels[0].numpy(), values)
        trees = {n: cKDTree(points[owners == n]) for n in np.unique(owners)}
        for a in trees:
            near = trees[a].data
            for b in trees:
                if b > a:
                    nearest = trees[b].query(near)[0].min()
                    distances[a, b] = min(distances[a, b], nearest)
    distances = np.minimum(distances, distances.T)
    order = np.argsort(-(distances < NEAR).sum(axis=1), kind="stable")
    groups = np.full(len(values), -1)
    groups[0] = 0
    for number in order:
        if number == 0:
            continue
        free = [
            distances[number, groups == g].min(initial=np.inf) for g in range(1, GROUPS)
        ]
        groups[number] = 1 + int(np.argmax(free))
    apart = [
        distances[a, b]
        for a in range(len(values))
        for b in range(a)
        if groups[a] == groups[b]
    ]
    print(f"structures of a group are at least {min(apart):.1f} voxels apart")
    return tuple(groups.tolist())


def coarse_points(labels: np.ndarray, values: np.ndarray) -> tuple:
    """Every other voxel of the structures, and the place of its label."""
    thin = labels[::2, ::2, ::2]
    points = np.argwhere(thin > 0)
    return 2.0 * points, np.searchsorted(values, thin[tuple(points.T)])


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
            truth = to_blocks(index_of(sample.labels[0], values))
            dice = []
            for n in range(1, len(values)):
                a, b = told.flatten(0, 2) == n, truth == n
                if b.any():
                    both = (a & b).sum().item()
                    dice.append(2 * both / (a.sum().item() + b.sum().item()))
            print(state["step"], number, f"{np.mean(dice):.4f}", flush=True)


@dataclass(frozen=True)
class Ship:
    """Write the network into the package."""

    out: tyro.conf.Positional[Path]

    def run(self) -> None:
        """Write the weights; the card is written by hand."""
        state = torch.load(self.out / "state.pt", weights_only=True)
        network = averaged_network(state)
        provenance = {
            "purpose": "T1 MR of whole heads or skull-stripped brains",
            "data": "IXI, Hammersmith Hospital subset, 2 mm, segmented by DLMUSE",
            "licence": "images CC BY-SA 3.0, labels SBIA license",
            "train_scans": 24,
            "steps": state["step"],
            "labels": state["values"],
        }
        model = FeatureModel(
            "brain",
            network,
            io.read(self.out / "template1.nii.gz"),
            GRID,
            provenance,
            load_model("brain").fingerprint,  # it learned from the same scans
        )
        SHIPPED.parent.mkdir(exist_ok=True)
        save_features(model, SHIPPED)


@dataclass(frozen=True)
class Measure:
    """Register `val` pairs; go on where the table ends."""

    manifest: Manifest
    rows: tyro.conf.Positional[Path]
    """CSV to which rows are added."""
    weights: tuple[float, ...] = (0.0, 1.0)
    """Weights of the local correlation beside the features."""
    starts: tuple[str, ...] = ("brain",)
    """Models, or none."""
    images: bool = True
    """Measure the local correlation without features, too."""
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
                for name, changes in self.similarities().items():
                    key = (start, name, *names)
                    if key in done:
                        continue
                    row = measured(start, changes, fixed, moving)
                    rows.append(dict(zip(KEY, key, strict=True)) | row)
                    write_rows(rows, self.rows)
                    print(*rows[-1].values(), flush=True)

    def similarities(self) -> dict[str, dict]:
        """Changes of the accurate refinement, by their names."""
        images = {"local correlation": {}} if self.images else {}
        return images | {
            f"features {weight:g}": {
                "similarity": FEATURES,
                "correlation_weight": weight,
            }
            for weight in self.weights
        }


KEY = ("start", "similarity", "fixed", "moving")


def measured(
    start: str, changes: dict, fixed: LabeledScan, moving: LabeledScan
) -> dict[str, float]:
    """Dice, folding and time of one registration on the scan's own voxels."""
    model = None if start == WITHOUT_MODEL else load_model(start)
    usual = choose_refinement("accurate", has_model=model is not None)
    refinement = replace(usual, spacing_mm="own", **changes)
    begun = time.process_time()
    result = register(fixed[0], moving[0], model=model, refinement=refinement)
    seconds = time.process_time() - begun
    return {
        "dice": round(final_dice(result, fixed[1], moving[1]), 5),
        "folding_percent": round(result.folding_percent, 5),
        "processor_seconds": round(seconds, 1),
    }


def averaged_network(state: dict) -> FeatureNetwork:
    """The network with averaged weights, of a saved state."""
    config = FeatureConfig(GRID.shape, tuple(state["groups"]))
    network = FeatureNetwork(config)
    network.load_state_dict(state["averaged"])
    return network.eval()


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict(
        {"train": Train, "show": Show, "ship": Ship, "measure": Measure}
    ).run()
