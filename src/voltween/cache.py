"""Scans on their canonical grids, made once, kept on disk, read when needed.

A cohort of any size trains in the memory of a few scans: files are mapped, not read.
A file is known by what it was made from, and checked to be what was written.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import overload

import torch
from torch import Tensor

from voltween.checkpoint import read_tensors, write_tensors
from voltween.data import Case, Sample, load_sample
from voltween.errors import InputError
from voltween.files import output_folder
from voltween.preprocess import Preprocessing

logger = logging.getLogger(__name__)

_FORMAT = 1  # of files and of what preprocessing does; older files are made again


class StoredSamples(Sequence[Sample]):
    """Samples on disk; each is mapped into memory when it is asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredSamples": ...
    def __getitem__(self, index: int | slice) -> "Sample | StoredSamples":
        if isinstance(index, slice):
            return StoredSamples(self._files[index])
        tensors, description = read_tensors(self._files[index])
        return Sample(description["name"], tensors["image"], tensors.get("labels"))


def stored_samples(
    cases: Iterable[Case],
    preprocessing: Preprocessing,
    folder: Path,
    *,
    is_masked: bool = False,
) -> StoredSamples:
    """The cases on their canonical grids, from the folder or made and put there.

    Raises:
        InputError: If a scan cannot be used, masks are asked of cases without labels,
            or the folder cannot be written to.
    """
    folder = output_folder(folder)
    return StoredSamples(
        [_stored(case, preprocessing, folder, is_masked) for case in cases]
    )


def _stored(
    case: Case, preprocessing: Preprocessing, folder: Path, is_masked: bool
) -> Path:
    source = _source_hash(case, preprocessing, is_masked)
    path = folder / f"{source[:24]}.safetensors"
    if path.exists() and not _is_whole(path):
        warnings.warn(f"{path}: damaged, made again from {case.image}", stacklevel=4)
        path.unlink()
    if not path.exists():
        sample = load_sample(case, preprocessing, is_masked=is_masked)
        tensors = {"image": sample.image}
        if sample.labels is not None:
            tensors["labels"] = sample.labels
        content = {"name": sample.name, "content": _content_hash(tensors)}
        write_tensors(path, tensors, content)
        logger.info("stored %s as %s", case.name, path)
    return path


def _source_hash(case: Case, preprocessing: Preprocessing, is_masked: bool) -> str:
    """Of all that the sample is made from."""
    settings = [_FORMAT, case.name, asdict(preprocessing), is_masked]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for path in (case.image, case.labels):
        for file in _files_of(path):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files_of(path: Path | None) -> list[Path]:
    """The file, or all of a folder (DICOM), in a fixed order."""
    if path is None:
        return []
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path]


def _is_whole(path: Path) -> bool:
    try:
        tensors, description = read_tensors(path)
    except InputError:
        return False
    return description.get("content") == _content_hash(tensors)


def _content_hash(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        flat = tensors[name].contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + flat.numpy().tobytes())
    return digest.hexdigest()
