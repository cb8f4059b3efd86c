"""The pairs of a training step: drawn, augmented, stacked, shared among devices.

A pair, and the sample of its voxels that mutual information compares, depends only on
the seed, the step and its place in the step, and therefore not on the number of
processes or on the step at which a run was resumed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from voltween.errors import InputError
from voltween.ops import warp
from voltween.process import starting_deaf_processes
from voltween.training.augmentation import augment_intensities, random_flow
from voltween.training.label_warping import warp_labels
from voltween.training.objective import PairBatch
from voltween.training.recipe import TrainConfig
from voltween.training.samples import Sample
from voltween.training.synthetic_pairs import Synthesizer
from voltween.training.targets import TargetFlows

_SAMPLE = 1  # apart from the random numbers of pair and augmentation
_SEEDS = 2**63


class NamedBatch(NamedTuple):
    """Pairs to train on, with their names for error messages."""

    pairs: PairBatch
    names: str


@dataclass(frozen=True, eq=False)
class PairSampler:
    """Draws and augments the pairs of every step.

    With target flows, only pairs with a target are drawn, and they are not deformed.
    """

    plain: Sequence[Sample]
    masked: Sequence[Sample] | None
    """The same samples, masked by their labels."""
    targets: TargetFlows | None
    config: TrainConfig
    synthesizer: Synthesizer | None = None
    """Makes the synthesized share of the pairs."""

    def batch(self, step: int, places: Sequence[int]) -> NamedBatch:
        """The pairs at the given places (from 0) of a step (from 1)."""
        drawn = [self._draw(step, place) for place in places]
        names = ", ".join(name for _, name in drawn)
        parts = zip(*(pair for pair, _ in drawn), strict=True)
        joined = [None if part[0] is None else torch.cat(part) for part in parts]
        batch = PairBatch(*joined)  # type: ignore[arg-type]  # images are never None
        seeds = tuple(self._seed_of_sample(step, place) for place in places)
        return NamedBatch(batch._replace(seeds=seeds), names)

    def _draw(self, step: int, place: int) -> tuple[PairBatch, str]:
        """One pair and its name."""
        rng = np.random.default_rng([self.config.seed, step, place])
        if self.synthesizer and rng.uniform() < self.config.synthesis.share:
            return self.synthesizer.pair(rng)
        target = None
        if self.targets is None:
            f, m = rng.choice(len(self.plain), size=2, replace=False).tolist()
        else:
            number = int(rng.integers(len(self.targets.pairs)))
            f, m = self.targets.pairs[number]
            target = self.targets.flow(number)[None]
        is_masked = rng.uniform() < self.config.masked_share
        samples = self.masked if is_masked and self.masked else self.plain
        fixed, moving = samples[f], samples[m]
        pair = self._images_and_labels(fixed, moving, rng)._replace(target=target)
        return pair, f"{fixed.name} <- {moving.name}"

    def _seed_of_sample(self, step: int, place: int) -> int:
        """Seed of the voxels that mutual information samples of a pair in this step."""
        rng = np.random.default_rng([self.config.seed, step, place, _SAMPLE])
        return int(rng.integers(_SEEDS))

    def _images_and_labels(
        self, fixed: Sample, moving: Sample, rng: np.random.Generator
    ) -> PairBatch:
        """The scans after augmentation, with label maps if the objective needs them."""
        augmentation = self.config.augmentation
        fixed_flow = self._flow(fixed, rng, is_at_rest=not augmentation.deforms_fixed)
        moving_flow = self._flow(moving, rng, is_at_rest=False)
        fixed_image, moving_image = (
            augment_intensities(_deform(scan.image, flow), augmentation, rng)[None]
            for scan, flow in ((fixed, fixed_flow), (moving, moving_flow))
        )
        pair = PairBatch(fixed_image, moving_image)
        if not self.config.objective.has_overlap:
            return pair
        labels = (
            _deform_labels(fixed, fixed_flow),
            _deform_labels(moving, moving_flow),
        )
        most = self.config.labels_per_pair
        chosen = rng.permutation(_shared_labels(*labels))[:most].tolist()
        fixed_maps, moving_maps = (_label_maps(p, chosen, most) for p in labels)
        return pair._replace(fixed_labels=fixed_maps, moving_labels=moving_maps)

    def _flow(
        self, sample: Sample, rng: np.random.Generator, *, is_at_rest: bool
    ) -> Float[Tensor, "1 3 i j k"] | None:
        """A random pose and shape; None for scans at rest and with target flows."""
        if is_at_rest or self.targets is not None:
            return None
        return random_flow(sample.image.shape[1:], self.config.augmentation, rng)


@dataclass(frozen=True)
class Share:
    """The share of one device in the pairs of every step."""

    rank: int
    devices: int

    def portions(self, config: TrainConfig) -> list[list[int]]:
        """Places of the pairs of this device, one list per forward pass.

        Raises:
            InputError: If the devices cannot share the pairs of a step evenly.
        """
        at_once = config.pairs_at_once or max(1, config.pairs_per_step // self.devices)
        if config.pairs_per_step % (self.devices * at_once):
            raise InputError(
                about="pairs_per_step",
                expected="a multiple of devices x pairs_at_once = "
                f"{self.devices} x {at_once}",
                got=config.pairs_per_step,
            )
        places = range(self.rank, config.pairs_per_step, self.devices)
        return [list(places[n : n + at_once]) for n in range(0, len(places), at_once)]


def batches(
    pairs: PairSampler, share: Share, *, first_step: int, workers: int
) -> Iterator[list[NamedBatch]]:
    """Yields the batches of one device for every step from `first_step` on.

    With workers, other processes prepare them ahead.
    """
    steps = range(first_step, pairs.config.steps + 1)
    dataset = _Steps(pairs, share.portions(pairs.config))
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        collate_fn=_unchanged,
        # Forked processes would inherit the locks of computing threads.
        multiprocessing_context="spawn" if workers else None,
    )
    with starting_deaf_processes():
        return iter(loader)


@contextmanager
def naming_dead_workers() -> Iterator[None]:
    """Says in one line that a process that prepares batches has died.

    PyTorch raises its error wherever the training is at that moment.

    Raises:
        InputError: If one of them was killed, as the system does without memory.
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        if not reason.startswith("DataLoader worker"):
            raise
        raise InputError(
            about="--workers",
            expected="processes that live as long as the training",
            got=reason,
            advice="take fewer of them if memory is short, and resume",
        ) from error


class _Steps(Dataset[list[NamedBatch]]):
    """The batches of each step, by its number."""

    def __init__(self, pairs: PairSampler, portions: list[list[int]]) -> None:
        self._pairs = pairs
        self._portions = portions

    def __getitem__(self, step: int) -> list[NamedBatch]:
        return [self._pairs.batch(step, places) for places in self._portions]


def _unchanged(batch: list[NamedBatch]) -> list[NamedBatch]:
    return batch


def _deform(
    image: Float[Tensor, "1 i j k"], flow: Float[Tensor, "1 3 i j k"] | None
) -> Float[Tensor, "1 i j k"]:
    return image if flow is None else warp(image[None], flow)[0]


def _deform_labels(
    sample: Sample, flow: Float[Tensor, "1 3 i j k"] | None
) -> Int[Tensor, "1 i j k"]:
    assert sample.labels is not None  # checked for every case before training
    if flow is None:
        return sample.labels
    return warp_labels(sample.labels, flow)


def _shared_labels(
    fixed: Int[Tensor, "1 i j k"], moving: Int[Tensor, "1 i j k"]
) -> Int[np.ndarray, " n"]:
    shared = np.intersect1d(fixed.unique().numpy(), moving.unique().numpy())
    return shared[shared != 0]


def _label_maps(
    labels: Tensor, chosen: Sequence[int], channels: int
) -> Float[Tensor, "1 labels i j k"]:
    """One channel per label, 1 at its voxels; channels without a label are 0."""
    maps = torch.zeros(1, channels, *labels.shape[1:])
    for channel, label in enumerate(chosen):
        maps[0, channel] = labels[0] == label
    return maps
