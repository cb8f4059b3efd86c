"""Displacement fields that are written slab by slab."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import oblique_grid, smooth_spline, some_affine
from voltween import io
from voltween.errors import InputError, OutputError
from voltween.io import field_writing
from voltween.spatial import Grid

FIELD = smooth_spline(oblique_grid((12, 11, 10)), 0, 1.0, 1.5)
TRANSFORM = some_affine(1) @ FIELD


def flipped(grid):
    return Grid(grid.shape, grid.affine @ np.diag([-1.0, 1, -1, 1]))


def sheared(grid):
    shear = np.eye(4)
    shear[0, 1] = 0.3
    return Grid(grid.shape, grid.affine @ shear)


ONTO = oblique_grid((7, 6, 5), seed=2)
GRIDS = {"oblique": ONTO, "flipped": flipped(ONTO), "sheared": sheared(ONTO)}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("voxels", [1, 85, 10**6])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_slabs_of_any_size_make_the_file_of_the_whole(
    tmp_path, monkeypatch, grid, voxels, suffix
):
    monkeypatch.setattr(field_writing, "_SLAB_VOXELS", voxels)
    field = TRANSFORM.to_field(grid)
    whole, slabs = tmp_path / f"whole{suffix}", tmp_path / f"slabs{suffix}"
    io.write(field, whole)
    assert io.write_field(TRANSFORM, grid, slabs) == slabs
    expected, got = nibabel.load(whole), nibabel.load(slabs)
    np.testing.assert_allclose(got.get_fdata(), expected.get_fdata(), atol=1e-5)
    np.testing.assert_allclose(got.affine, expected.affine, atol=1e-5)
    assert got.header.get_intent()[0] == "vector"
    assert got.get_data_dtype() == np.float32
    assert {p.name for p in tmp_path.iterdir()} == {whole.name, slabs.name}


@pytest.mark.parametrize("name", ["oblique", "flipped"])
def test_itk_reads_the_displacements(tmp_path, name):
    grid = GRIDS[name]
    path = io.write_field(TRANSFORM, grid, tmp_path / "field.nii.gz")
    image = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
    by_itk = sitk.DisplacementFieldTransform(image)
    positions = grid.voxel_centers_mm()[1:-1, 1:-1, 1:-1].reshape(-1, 3)[::7]
    flip = np.array([-1.0, -1.0, 1.0])
    mapped = [by_itk.TransformPoint((flip * p).tolist()) * flip for p in positions]
    np.testing.assert_allclose(mapped, TRANSFORM.map_positions(positions), atol=1e-3)
    again = io.read_transform(path)
    np.testing.assert_allclose(again.map_positions(positions), mapped, atol=1e-3)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.nii"):
        io.write_field(TRANSFORM, ONTO, tmp_path / "field.nrrd")


def test_a_field_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(OutputError):
        io.write_field(TRANSFORM, ONTO, tmp_path / "folder" / "field.nii.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
