"""Pairs synthesized from label maps: both sides with contrasts of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voltween.training.label_volumes import StoredVolumes
from voltween.training.objective import PairBatch
from voltween.training.placing import look_up, share_of
from voltween.training.rendering import Rendered, Renderer
from voltween.training.teachers import Teacher


@dataclass(frozen=True, eq=False)
class Synthesizer:
    """Draws and renders pairs of label maps.

    Both maps are of one cohort, whose labels mean the same; they can be one map in two
    poses and shapes.
    """

    volumes: StoredVolumes
    renderer: Renderer
    structures_per_pair: int
    teacher: Teacher | None = None
    """Finds the flow between the scans of a pair, for the network to learn."""

    def pair(self, rng: np.random.Generator) -> tuple[PairBatch, str]:
        """A pair with maps of some structures that both sides have, and its name."""
        (fixed, moving), name = self.sides(rng)
        most = self.structures_per_pair
        chosen = rng.permutation(_shared(fixed, moving))[:most].tolist()
        fixed_maps, moving_maps = (soft_maps(s, chosen, most) for s in (fixed, moving))
        images = fixed.image[None], moving.image[None]
        target = self._target(fixed, moving) if self.teacher else None
        return PairBatch(images[0], images[1], fixed_maps, moving_maps, target), name

    def _target(self, fixed: Rendered, moving: Rendered) -> Float[Tensor, "1 3 i j k"]:
        """The teacher's flow in what both images show; NaN elsewhere.

        Maps without a scan have no target.
        """
        if self.teacher is None or fixed.scan is None or moving.scan is None:
            return torch.full((1, 3, *fixed.image.shape[1:]), torch.nan)
        flow = self.teacher.flow(fixed.scan, moving.scan)[None]
        if fixed.is_stripped or moving.is_stripped:
            is_shown = look_up(fixed.structures != 0, fixed.codes).any(0)
        else:
            is_shown = fixed.scan[0] > fixed.dark
        return flow.masked_fill(~is_shown, torch.nan)

    def sides(self, rng: np.random.Generator) -> tuple[tuple[Rendered, Rendered], str]:
        """Both sides of a pair, fixed and moving, and its name."""
        first = int(rng.integers(len(self.volumes)))
        cohorts = self.volumes.cohorts
        alike = [n for n, cohort in enumerate(cohorts) if cohort == cohorts[first]]
        second = alike[int(rng.integers(len(alike)))]
        fixed, moving = self.volumes[first], self.volumes[second]
        augmentation = self.renderer.augmentation
        sides = (
            self.renderer.render(fixed, rng, is_at_rest=not augmentation.deforms_fixed),
            self.renderer.render(moving, rng),
        )
        return sides, f"{fixed.name} <- {moving.name} (synthesized)"


def soft_maps(
    side: Rendered, chosen: Sequence[int], channels: int
) -> Float[Tensor, "1 structures i j k"]:
    """One channel per structure: its share of every voxel.

    Channels without a structure are 0.
    """
    maps = torch.zeros(1, channels, *side.codes.shape[1:])
    channel_of = {structure: n for n, structure in enumerate(chosen)}
    table = [channel_of.get(s, channels) for s in side.structures.tolist()]
    kind = np.uint8 if channels < 2**8 else np.int32
    of_voxels = look_up(np.array(table, kind), side.codes)
    for channel in range(len(chosen)):
        maps[0, channel] = share_of(of_voxels == channel)
    return maps


def _shared(fixed: Rendered, moving: Rendered) -> Int[np.ndarray, " n"]:
    """Structures that fill a voxel of the network's grid or more on both sides."""
    return np.intersect1d(_present(fixed), _present(moving))


def _present(side: Rendered) -> Int[np.ndarray, " n"]:
    counts = side.codes.flatten().bincount(minlength=len(side.structures)).numpy()
    structures, places = np.unique(side.structures, return_inverse=True)
    totals = np.bincount(places, weights=counts)
    return structures[(structures != 0) & (totals >= len(side.codes))]
