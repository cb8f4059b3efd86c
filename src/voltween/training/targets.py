"""Target flows to learn: what a teacher finds for a pair, kept on disk."""

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
from voltween.files import output_folder, whole_file
from voltween.training.samples import Sample
from voltween.training.teachers import Teacher

_FORMAT = 2  # part of the files' names: to be raised when targets change


def target_pairs(count: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Indices (fixed, moving) of `pairs` ordered pairs of `count` cases, all different.

    Raises:
        InputError: If there are not so many.
    """
    most = count * (count - 1)
    if not 0 < pairs <= most:
        raise InputError(
            f"{count} cases have {most} ordered pairs: expected target flows for 1 to "
            f"{most}, got {pairs}"
        )
    chosen = np.random.default_rng(seed).choice(most, size=pairs, replace=False)
    rows = [divmod(int(number), count - 1) for number in chosen]
    return [(fixed, other + (other >= fixed)) for fixed, other in rows]


@dataclass(frozen=True, eq=False)
class TargetFlows:
    """Target flows of pairs of samples, made when first asked for, kept in a folder.

    A file's name is made of the two images' voxels and what decides the teacher's
    flows: other images, versions or weights never meet an old target, and folders can
    be shared.
    """

    samples: Sequence[Sample]
    pairs: Sequence[tuple[int, int]]
    """Indices (fixed, moving) into `samples`."""
    teacher: Teacher
    folder: Path

    def flow(self, number: int) -> Float[Tensor, "3 i j k"]:
        """Target flow of `pairs[number]`, in voxels of the canonical grid.

        It is where the teacher finds fixed voxel x in the moving image, less x; rounded
        to half precision, 0.01 voxels at most for flows below 32 voxels.

        Raises:
            InputError: If the teacher is not installed or fails on the pair, or the
                folder cannot be written to.
        """
        path = self._path(number)
        shape = self.samples[self.pairs[number][0]].image.shape[1:]
        if path.exists():
            stored = _read(path)
            if stored is not None and stored.shape[1:] == shape:
                return stored.float()
            warnings.warn(
                f"{path}: expected a target flow, got a damaged file: made again",
                stacklevel=2,
            )
        flow = self._made(number)
        _write(flow, path)
        return flow.float()

    def _made(self, number: int) -> Float[Tensor, "3 i j k"]:
        """The flow, anew, in half precision."""
        output_folder(self.folder)  # before minutes of work, not after
        fixed, moving = (self.samples[index] for index in self.pairs[number])
        try:
            flow = self.teacher.flow(fixed.image, moving.image).half()
        except InputError as error:
            raise InputError(f"{fixed.name} <- {moving.name}: {error}") from error
        if not flow.isfinite().all():
            raise InputError(
                f"{fixed.name} <- {moving.name}: the flow found by {self.teacher.name} "
                "must be finite, got NaN or infinity: leave one of them out"
            )
        return flow

    def _path(self, number: int) -> Path:
        fixed, moving = (self._digests[index] for index in self.pairs[number])
        text = f"{_FORMAT} {self.teacher.facts} {fixed} {moving}"
        name = hashlib.sha256(text.encode()).hexdigest()
        return Path(self.folder) / f"{name}.safetensors"

    @cached_property
    def _digests(self) -> list[str]:
        """What stands for each sample's image."""
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
    """The stored flow, if the file is whole and unchanged."""
    try:
        with safe_open(path, framework="pt") as file:
            flow, metadata = file.get_tensor("flow"), file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return flow if metadata.get("digest") == _digest(flow) else None
