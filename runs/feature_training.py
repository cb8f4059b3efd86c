"""The training of the network of features, for `runs/features.py`."""

import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from voltween.cohorts import read_structures
from voltween.models import FeatureModel
from voltween.networks import FeatureConfig, FeatureNetwork
from voltween.ops import warp
from voltween.spatial import Grid
from voltween.training import Augmentation
from voltween.training.augmentation import augment_intensities, random_flow
from voltween.training.label_warping import warp_labels
from voltween.training.rendering import random_curve

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
            new_optimizer(network),
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


def start_from(model: FeatureModel, out: Path) -> None:
    """Writes the groups and the state of a finished training, to be gone on from."""
    groups, weights = model.network.config.groups, model.network.state_dict()
    (out / "groups.json").write_text(json.dumps(groups), encoding="utf-8")
    state = {
        "network": weights,
        "averaged": weights,
        "optimizer": new_optimizer(model.network).state_dict(),
        "step": model.provenance["steps"],
        "values": model.provenance["labels"],
        "groups": list(groups),
    }
    torch.save(state, out / "state.pt")


def new_optimizer(network: FeatureNetwork) -> torch.optim.Optimizer:
    """The optimizer of a training that begins."""
    return torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-4)


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


def averaged_network(state: dict) -> FeatureNetwork:
    """The network with averaged weights, of a saved state."""
    config = FeatureConfig(GRID.shape, tuple(state["groups"]))
    network = FeatureNetwork(config)
    network.load_state_dict(state["averaged"])
    return network.eval()
