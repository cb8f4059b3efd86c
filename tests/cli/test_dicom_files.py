"""Commands on DICOM scans: registrations and structure sets."""

import numpy as np
import pytest

from support.commands import run_here
from support.dicom import PATIENT, write_series, write_structure_set
from support.scans import random_points_mm, some_affine
from voltween import io
from voltween.spatial import Affine

SHAPE = 20, 18, 12
CENTER = np.array([9.3, 8.2, 5.4])
AROUND = np.linspace(0, 2 * np.pi, 60, endpoint=False)


def write_scan(folder, shift_mm, names, **fields):
    """A bright ball, and a structure set whose structures are it and its shell."""
    i, j, k = np.indices(SHAPE)
    offset = np.stack([i, 1.5 * j, 2 * k], -1) - CENTER * [1, 1.5, 2]
    radius = np.linalg.norm(offset, axis=-1)
    voxels = (600 * (radius < 7) + 300 * (radius < 4) + 10 * (i % 3)).astype(np.uint16)
    positions = [(shift_mm, 0.0, 2.0 * n) for n in range(SHAPE[2])]
    write_series(folder, voxels, positions, **{**PATIENT, **fields})
    place = {"series": fields["SeriesInstanceUID"]} if fields else {}
    structures = {
        name: [_circle(size, n, shift_mm) for n in (4, 5, 6)]
        for name, size in names.items()
    }
    write_structure_set(folder / "RS.dcm", structures, **place)
    return folder


def _circle(size, k, shift_mm):
    x = CENTER[0] + shift_mm + size * np.cos(AROUND)
    y = CENTER[1] * 1.5 + size * np.sin(AROUND)
    return np.column_stack([x, y, np.full(len(AROUND), 2.0 * k)])


@pytest.fixture(name="scans")
def scans_fixture(tmp_path):
    own = {"FrameOfReferenceUID": "2.6", "SeriesInstanceUID": "2.8"}
    fixed = write_scan(tmp_path / "fixed", 0.0, {"Ball": 6.5, "Core": 3.5})
    moving = write_scan(tmp_path / "moving", 4.0, {"core": 3.5, "Ball": 6.5}, **own)
    return fixed, moving


@pytest.mark.parametrize("suffix", [".tfm", ".nii.gz"])
def test_a_transform_becomes_a_registration_and_back(suffix, scans, tmp_path):
    fixed, moving = scans
    grid = io.read(fixed).grid
    transform = some_affine()
    if suffix == ".nii.gz":
        transform = transform.to_field(grid)
    io.write(transform, tmp_path / f"t{suffix}")
    words = ["--fixed", fixed, "--moving", moving, "--out"]
    source, target = tmp_path / f"t{suffix}", tmp_path / "reg.dcm"
    assert run_here("convert", source, "--to", "dicom", *words, target) == 0
    back = tmp_path / f"back{suffix}"
    assert run_here("convert", target, "--to", "itk", *words, back) == 0
    points = random_points_mm(grid, 20)
    mapped = io.read_transform(back).map_positions(points)
    np.testing.assert_allclose(mapped, transform.map_positions(points), atol=1e-3)


def test_a_slice_is_not_written_over(scans, tmp_path, capsys):
    fixed, moving = scans
    io.write(some_affine(), tmp_path / "t.tfm")
    before = (fixed / "slice00.dcm").read_bytes()
    words = ["--fixed", fixed, "--moving", moving, "--out", fixed / "slice00.dcm"]
    assert run_here("convert", tmp_path / "t.tfm", "--to", "dicom", *words) == 2
    assert "an output that is not an input" in capsys.readouterr().err
    assert (fixed / "slice00.dcm").read_bytes() == before


@pytest.mark.filterwarnings("ignore")  # of structures that overlap
def test_structures_are_resampled_as_labels(scans, tmp_path):
    fixed, _ = scans
    io.write(Affine.identity(), tmp_path / "t.tfm")
    words = [tmp_path / "t.tfm", fixed / "RS.dcm", "--onto", fixed]
    out = tmp_path / "labels.nii.gz"
    labels = io.read_labels(fixed / "RS.dcm")
    assert run_here("apply", *words, "--labels", "--out", out) == 0
    np.testing.assert_array_equal(io.read_labels(out).data, labels.data)


@pytest.mark.filterwarnings("ignore")
def test_structures_of_two_scans_are_compared_by_name(scans, tmp_path):
    fixed, moving = scans
    labels = ["--fixed-labels", fixed / "RS.dcm", "--moving-labels", moving / "RS.dcm"]
    cheap = ["--model", "none", "--refine", 4, "--outputs", "labels"]
    out = tmp_path / "out"
    assert run_here("register", fixed, moving, *labels, *cheap, "--out", out) == 0
    text = (out / "registration.json").read_text("utf-8")
    assert '"Ball"' in text
    assert '"Core"' in text
    moved = io.read_labels(out / "moved_labels.nii.gz")
    expected = io.read_labels(fixed / "RS.dcm")
    assert (moved.data == expected.data)[expected.data == 2].mean() > 0.7
