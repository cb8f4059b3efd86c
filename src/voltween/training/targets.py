"""Target flows: flows that a teacher found for training pairs, kept on disk."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from voltween.errors import InputError
from voltween.files import naming, output_folder, whole_file
from voltween.training.samples import Sample
from voltween.training.teachers import Teacher

_FORMAT = 2  # part of the file names; raised when targets change


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

    A file is named by a hash of the two images and of the facts that decide the
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
        path = self._path(number)
        shape = self.samples[self.pairs[number][0]].image.shape[1:]
        if path.exists():
            stored = _read(path)
            if stored is not None and stored.shape[1:] == shape:
                return stored.float()
            warnings.warn(
                f"{path}: damaged target flow, found again",
                stacklevel=2,
            )
        flow = self._find(number)
        _write(flow, path)
        return flow.float()

    def _find(self, number: int) -> Float[Tensor, "3 i j k"]:
        """The flow that the teacher finds, in half precision."""
        output_folder(self.folder)  # fails before minutes of work, not after
        fixed, moving = (self.samples[index] for index in self.pairs[number])
        pair = f"{fixed.name} <- {moving.name}"
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

    def _path(self, number: int) -> Path:
        fixed, moving = (self._digests[index] for index in self.pairs[number])
        text = f"{_FORMAT} {self.teacher.facts} {fixed} {moving}"
        name = hashlib.sha256(text.encode()).hexdigest()
        return Path(self.folder) / f"{name}.safetensors"

    @cached_property
    def _digests(self) -> list[str]:
        """Hash of the image of every sample."""
        return [_digest(sample.image) for sample in self.samples]


def _digest(tensor: Tensor) -> str:
    array = np.ascontiguousarray(tensor.cpu().numpy())
    text = f"{array.dtype} {array.shape} "
    return hashlib.sha256(text.encode() + array.tobytes()).hexdigest()


def _write(flow: Float[Tensor, "3 i j k"], path: Path) -> None:
    content = save({"flow": flow}, metadata={"digest": _digest(flow)})
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _read(path: Path) -> Float[Tensor, "3 i j k"] | None:
    """The stored flow; None if the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            flow, metadata = file.get_tensor("flow"), file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return flow if metadata.get("digest") == _digest(flow) else None
