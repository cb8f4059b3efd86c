"""A line before the start if workers may need more memory than there is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.phantoms import SHAPE, phantom
from support.scans import oblique_grid
from voltween import io
from voltween.batches import (
    PairJob,
    RefinementOptions,
    RegistrationOptions,
    memory,
    memory_limit,
    memory_remark,
)
from voltween.batches.layout import FolderLayout
from voltween.batches.memory import pair_bytes
from voltween.batches.work import Work
from voltween.spatial import Image
from voltween.workers import Engine


@pytest.fixture(name="works")
def works_fixture(tmp_path):
    """Two pairs, of small scans and of one that is missing."""
    large = oblique_grid((40, 30, 20))
    io.write(phantom()[0], tmp_path / "small.nii.gz")
    io.write(Image(np.zeros(large.shape), large), tmp_path / "large.nii.gz")
    files = [tmp_path / f"{name}.nii.gz" for name in ("small", "large", "missing")]
    jobs = [PairJob(files[0], moving) for moving in files[1:]]
    return [
        Work(str(n), "f", "m", job, FolderLayout("n")) for n, job in enumerate(jobs)
    ]


def test_the_largest_scan_counts(works):
    job = PairJob(Path("no-fixed.nii"), Path("no-moving.nii"))
    none = pair_bytes([Work("n", "f", "m", job, FolderLayout("n"))])
    assert np.prod(SHAPE) < 40 * 30 * 20
    assert pair_bytes(works) - none == pytest.approx(24 * 40 * 30 * 20)


@pytest.mark.parametrize(
    ("available", "workers", "text"),
    [
        (4e9, 3, "3 workers may need 4.5 GB of memory (by the largest scan, 1.5 GB"),
        (8e9, 3, None),
        (1e9, 1, None),
        (None, 3, None),
    ],
)
def test_more_than_the_machine_has_is_said(
    available, workers, text, works, monkeypatch
):
    monkeypatch.setattr(memory, "machine_bytes", lambda: available)
    remark = memory_remark(works, Engine(workers=workers))
    assert remark is None if text is None else remark.startswith(text)


def test_voxels_that_are_optimized_need_more_than_others(works):
    def estimate(voxels):
        options = RegistrationOptions(refinement=RefinementOptions(voxels=voxels))
        return pair_bytes(
            [replace(w, job=replace(w.job, options=options)) for w in works]
        )

    usual = estimate(None)
    own = estimate("own") - usual
    assert own == pytest.approx(400 * np.prod(SHAPE))
    volume_mm3 = np.prod(io.read(works[0].job.fixed).grid.spacing_mm)
    assert (estimate(2.0) - usual) / own == pytest.approx(volume_mm3 / 8)


def test_files_without_a_header_count_by_their_bytes(works, tmp_path):
    usual = pair_bytes(works)
    folder = tmp_path / "dicom"
    folder.mkdir()
    (folder / "slice").write_bytes(bytes(100_000))
    work = replace(works[0], job=PairJob(works[0].job.fixed, folder))
    assert pair_bytes([work]) == usual + 24 * (200_000 - 40 * 30 * 20)


def test_a_limit_leaves_room_for_an_estimate_that_is_too_low(works):
    assert memory_limit(works) == round(2 * pair_bytes(works))
