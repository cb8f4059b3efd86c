"""Target flows: flows that a teacher found for training pairs, kept on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from voltween.errors import InputError
from voltween.storage import Draft, Store, array_digest, naming
from voltween.training.samples import Sample
from voltween.training.teachers import Teacher

_FORMAT = 3  # raised when targets change: they are found again


def target_pairs(count: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Draws `pairs` different ordered pairs of `count` cases: indices (fixed, moving).

    Raises:
        InputError: If the cases make fewer pairs.
    """
    most = count * (count - 1)
    if not 0 < pairs <= most:
        raise InputError(
            about="target_pairs",
            expected=f"1 to {most}, the number of ordered pairs of {count} cases",
            got=pairs,
        )
    chosen = np.random.default_rng(seed).choice(most, size=pairs, replace=False)
    rows = [divmod(int(number), count - 1) for number in chosen]
    return [(fixed, other + (other >= fixed)) for fixed, other in rows]


@dataclass(frozen=True, eq=False)
class TargetFlows:
    """Target flows of pairs of samples, found on first use and kept in a folder.

    They are work in a store, found by the two images and the facts that decide the
    teacher's flows. Other images, versions or weights therefore never get an old
    target, and trainings can share the folder.
    """

    samples: Sequence[Sample]
    pairs: Sequence[tuple[int, int]]
    """Indices (fixed, moving) into `samples`."""
    teacher: Teacher
    folder: Path

    def flow(self, number: int) -> Float[Tensor, "3 i j k"]:
        """Reads or finds the target flow of `pairs[number]`.

        Returns:
            For every fixed voxel the displacement to its position in the moving image,
            in voxels of the canonical grid. Rounding to half precision changes flows
            below 32 voxels by at most 0.01 voxels.

        Raises:
            InputError: If the teacher fails on the pair.
            MissingPackageError: If the teacher is not installed.
            OutputError: If the folder cannot be written to.
        """
        find = partial(self._write, number)
        (path,) = self._store.found_or_made(self._facts(number), find).paths
        with safe_open(path, framework="pt") as file:
            return file.get_tensor("flow").float()

    def pair_name(self, number: int) -> str:
        """The names of the scans of `pairs[number]`, for messages."""
        fixed, moving = (self.samples[index] for index in self.pairs[number])
        return f"{fixed.name} <- {moving.name}"

    def _write(self, number: int, draft: Draft) -> None:
        content = save({"flow": self._find(number)})
        draft.path(f"{draft.name}.safetensors").write_bytes(content)

    def _find(self, number: int) -> Float[Tensor, "3 i j k"]:
        """The flow that the teacher finds, in half precision."""
        fixed, moving = (self.samples[index] for index in self.pairs[number])
        pair = self.pair_name(number)
        with naming(pair):
            flow = self.teacher.flow(fixed.image, moving.image).half()
        if not flow.isfinite().all():
            raise InputError(
                about=pair,
                expected=f"a finite flow from {self.teacher.name}",
                got="NaN or infinity",
                advice="leave one of the two out",
            )
        return flow

    def _facts(self, number: int) -> dict[str, Any]:
        """All that a flow depends on."""
        fixed, moving = (self._digests[index] for index in self.pairs[number])
        teacher = self.teacher.facts
        return {"format": _FORMAT, "teacher": teacher, "fixed": fixed, "moving": moving}

    @property
    def _store(self) -> Store:
        return Store(Path(self.folder))

    @cached_property
    def _digests(self) -> list[str]:
        """Hash of the image of every sample."""
        return [array_digest(sample.image.cpu().numpy()) for sample in self.samples]
