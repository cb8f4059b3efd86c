"""Samples: scans on their canonical grids as tensors, prepared once and kept on disk.

A file is read when its sample is used, so that a cohort of any size trains in the
memory of a few scans. Files are work in a store, found by the scans and settings that
they are made of.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import overload

import torch
from jaxtyping import Float, Int
from torch import Tensor

from voltween.cohorts import Case, load_case, mask_by_labels
from voltween.errors import InputError
from voltween.models import read_tensors, write_tensors
from voltween.preprocessing import Preprocessing
from voltween.spatial import Affine
from voltween.storage import Draft, Store, content_digest, naming, output_folder
from voltween.training.label_warping import label_tensor

logger = logging.getLogger(__name__)

_FORMAT = 2  # raised when files or the preprocessing change: samples are made again


@dataclass(frozen=True, eq=False)
class Sample:
    """A scan on its canonical grid: intensities 0 to 1, and labels if it has any."""

    name: str
    image: Float[Tensor, "1 i j k"]
    labels: Int[Tensor, "1 i j k"] | None
    cohort: str = ""
    """The cohort that the case comes from; empty if it is not known."""


class StoredSamples(Sequence[Sample]):
    """Samples on disk; each is read on access."""

    def __init__(self, files: Sequence[Path], cohorts: Sequence[str]) -> None:
        self._files = tuple(files)
        self._cohorts = tuple(cohorts)

    def __len__(self) -> int:
        return len(self._files)

    def __add__(self, others: "StoredSamples") -> "StoredSamples":
        """These samples, and the others after them."""
        files = (*self._files, *others._files)
        return StoredSamples(files, (*self._cohorts, *others._cohorts))

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredSamples": ...
    def __getitem__(self, index: int | slice) -> "Sample | StoredSamples":
        if isinstance(index, slice):
            return StoredSamples(self._files[index], self._cohorts[index])
        tensors, description = read_tensors(self._files[index])
        return Sample(
            description["name"],
            tensors["image"],
            tensors.get("labels"),
            self._cohorts[index],
        )


def store_samples(
    cases: Iterable[Case],
    preprocessing: Preprocessing,
    folder: Path,
    *,
    is_masked: bool = False,
) -> StoredSamples:
    """Prepares the cases on their canonical grids, as far as the folder lacks them.

    Raises:
        InputError: If a scan cannot be used, or a case to be masked has no labels.
        OutputError: If the folder cannot be written to.
    """
    store = Store(output_folder(folder))
    cases = tuple(cases)
    files = [_store(case, preprocessing, store, is_masked) for case in cases]
    return StoredSamples(files, [case.cohort for case in cases])


def _store(
    case: Case, preprocessing: Preprocessing, store: Store, is_masked: bool
) -> Path:
    """The file of the sample, which is made if it is missing or damaged."""

    def make(draft: Draft) -> None:
        sample = load_sample(case, preprocessing, is_masked=is_masked)
        tensors = {"image": sample.image}
        if sample.labels is not None:
            tensors["labels"] = sample.labels
        path = draft.path(f"{draft.name}.safetensors")
        write_tensors(path, tensors, {"name": sample.name})
        logger.info("prepared %s", case.name)

    facts = {
        "format": _FORMAT,
        "name": case.name,
        "preprocessing": asdict(preprocessing),
        "is_masked": is_masked,
        "image": content_digest(case.image),
        "labels": content_digest(case.labels) if case.labels else None,
        **case.label_facts,
    }
    (path,) = store.found_or_made(facts, make).paths
    return path


def load_sample(
    case: Case, preprocessing: Preprocessing, *, is_masked: bool = False
) -> Sample:
    """Reads a case on its canonical grid; with `is_masked`, masked by its labels.

    Raises:
        InputError: If a file cannot be used, or a case to be masked has no labels.
    """
    image, labels = load_case(case)
    if is_masked:
        if labels is None:
            raise InputError(about=case.name, expected="labels as mask", got="none")
        image = mask_by_labels(image, labels)
    with naming(case.name):
        canonical = preprocessing.normalize(image)
    tensor = None
    if labels is not None:
        on_grid = Affine.identity().resample(labels, onto=canonical.grid)
        tensor = label_tensor(on_grid.data)
    image_tensor = torch.from_numpy(canonical.data.copy())[None]
    return Sample(case.name, image_tensor, tensor, case.cohort)
