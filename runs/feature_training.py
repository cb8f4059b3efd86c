"""The training of the network of features, for `runs/features.py`."""

import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from feature_labels import (
    FINER,
    in_cubes,
    index_of,
    kept_groups,
    label_counts,
    mirror_of,
    shares_of,
)
from feature_organs import Organ
from feature_samples import Drawn, Sample, draw, read_samples
from torch import Tensor
from torch.nn import functional

from voltween.models import FeatureModel
from voltween.networks import FeatureConfig, FeatureNetwork

RATE, WARM_STEPS, COOLING = 2e-3, 30, 0.4  # the last share of the steps cools down
SCORES = 300_000  # blocks of 8 voxels times structures on which the loss is computed
AVERAGED = 0.98  # of the weights, per step
RARE = 1e-4  # smallest frequency of a structure in a voxel
SAVE_SECONDS = 120


@dataclass(eq=False)
class Training:
    """The network, its averaged weights, the data, and the step that was reached."""

    organ: Organ
    out: Path
    steps: int
    values: np.ndarray
    samples: list[Sample]
    network: FeatureNetwork
    averaged: FeatureNetwork
    optimizer: torch.optim.Optimizer
    weights: Tensor
    mirrored: np.ndarray | None
    """The place of the structure on the other side; None where there are no sides."""
    step: int = 0

    @classmethod
    def of(cls, organ: Organ, data: Path, out: Path, steps: int) -> "Training":
        """The training as it was left, or a new one."""
        samples = read_samples(out, "train")
        labels = [sample.labels for sample in samples]
        values, counts = label_counts(labels)
        mirrored = None
        if organ.is_symmetric:
            mirrored = mirror_of(values, organ.structures(data))
        groups = kept_groups(out / "groups.json", labels, values)
        torch.manual_seed(0)
        config = FeatureConfig(organ.grid.shape, groups)
        network, averaged = FeatureNetwork(config), FeatureNetwork(config)
        training = cls(
            organ,
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
        if (out / "state.pt").exists():
            training.load()
        else:
            network.prior[:] = log_frequency(samples, values, mirrored)
            averaged.load_state_dict(network.state_dict())
        return training

    @cached_property
    def prior(self) -> Tensor:
        """The part that the place alone contributes to every block."""
        return self.network.block_prior()

    def load(self) -> None:
        """Goes on from the saved state."""
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
        drawn = self.draw(rng)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * self.rate_share()
        chosen = choose_blocks(drawn.shows, SCORES // len(self.values), rng)
        rows = self.network(drawn.image[None]).flatten(0, 2)[chosen]
        prior = self.prior.flatten(0, 2)[chosen]
        scores = self.network.scores(rows, prior).flatten(0, 1)
        truth = self.truth(drawn, chosen)
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

    def draw(self, rng: np.random.Generator) -> Drawn:
        """What a step sees."""
        sample = self.samples[int(rng.integers(len(self.samples)))]
        return draw(sample, self.organ, self.places_of, rng)

    def places_of(self, labels: Tensor) -> Tensor:
        """The places of labels in the sorted values."""
        return index_of(labels, self.values)

    def truth(self, drawn: Drawn, blocks: Tensor) -> Tensor:
        """The share of every structure in every voxel of numbered blocks."""
        places = self.places_of(drawn.labels_of(blocks))
        if drawn.is_mirrored:
            places = torch.from_numpy(self.mirrored)[places]
        return shares_of(places, len(self.values))


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
    samples: list[Sample], values: np.ndarray, mirrored: np.ndarray | None
) -> Tensor:
    """Logarithm of how often every structure is in every wide voxel.

    Both sides count for each, where there are sides.
    """
    side = 4 * FINER
    wide = [length // side for length in samples[0].labels.shape[1:]]
    total = torch.zeros(*wide, len(values))
    for sample in samples:
        total += shares_of(
            in_cubes(index_of(sample.labels[0], values), side), len(values)
        ).reshape(total.shape)
    if mirrored is not None:
        total = (total + total.flip(0)[..., torch.from_numpy(mirrored)]) / 2
    return (total / len(samples) + RARE).log()


def choose_blocks(shows: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """Blocks of the loss: all, or a quarter anywhere and the others in structures.

    What lies around structures is chosen as often as they are, so that their edge is
    learned where it is. `shows` says which voxels belong to structures.
    """
    inside = functional.max_pool3d(shows[None].float(), 2)
    count = inside.numel()
    if count <= most:
        return torch.arange(count)
    around = functional.max_pool3d(inside, 3, stride=1, padding=1)
    places = np.flatnonzero(around.flatten().numpy())
    anywhere = rng.integers(count, size=most // 4)
    chosen = np.concatenate([anywhere, rng.choice(places, most - len(anywhere))])
    return torch.from_numpy(chosen)


def overlap_loss(shares: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice on the chosen voxels, averaged over the structures that occur."""
    both = 2 * (shares * truth).sum(0)
    total = shares.sum(0) + truth.sum(0)
    occurs = truth.sum(0) > 0
    return 1 - (both / total.clamp_min(1e-6))[occurs].mean()


def class_weights(counts: np.ndarray) -> Tensor:
    """Weights of the structures, smaller for large ones."""
    weights = (counts[1:].mean() / counts) ** 0.5
    weights[0] = weights[1:].min()
    return torch.from_numpy(weights.clip(0.4, 4)).float()


def averaged_network(state: dict) -> FeatureNetwork:
    """The network with averaged weights, of a saved state."""
    prior = state["averaged"]["prior"]
    shape = tuple(4 * side for side in prior.shape[:3])
    config = FeatureConfig(shape, tuple(state["groups"]))
    network = FeatureNetwork(config)
    network.load_state_dict(state["averaged"])
    return network.eval()
