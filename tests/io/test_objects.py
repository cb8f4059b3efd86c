"""The same image comes of files, arrays, and objects of other libraries."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_image,
    stored,
)
from voltween import io
from voltween.errors import AssumptionWarning, InputError
from voltween.io import to_image
from voltween.spatial import Grid, Image

SCAN = smooth_image(oblique_grid((9, 8, 7)))


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_every_kind_of_thing_gives_the_same_image(order, tmp_path):
    scan = stored(SCAN, order)
    path = io.write(scan, tmp_path / "scan.nii.gz")
    things = {
        "image": scan,
        "path": path,
        "name": str(path),
        "array and grid": (scan.data, scan.grid),
        "array and affine": (scan.data, scan.grid.affine),
        "lists": (scan.data.tolist(), scan.grid.affine.tolist()),
        "nibabel from disk": nibabel.load(path),
        "nibabel from memory": nibabel.Nifti1Image(scan.data, scan.grid.affine),
        "SimpleITK": sitk.ReadImage(str(path)),
    }
    for name, thing in things.items():
        image = to_image(thing)
        assert isinstance(image, Image), name
        assert image.grid.is_close(scan.grid, 1e-3), name
        np.testing.assert_allclose(image.data, scan.data, rtol=1e-6, err_msg=name)


def test_an_image_is_kept_as_it_is():
    assert to_image(SCAN) is SCAN


def test_a_dicom_folder_is_read_as_a_path_is(tmp_path):
    with pytest.raises(InputError, match="one DICOM series"):
        to_image(tmp_path)


def test_scaled_integers_of_nibabel_are_intensities(tmp_path):
    """The slope and intercept of the file are applied, as `read` does."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(SCAN.data, SCAN.grid.affine, header)
    nibabel.save(image, tmp_path / "scan.nii")
    again = to_image(nibabel.load(tmp_path / "scan.nii"))
    np.testing.assert_allclose(again.data, io.read(tmp_path / "scan.nii").data)


def test_a_fourth_dimension_of_one_volume_is_dropped():
    data = SCAN.data[..., None]
    image = to_image(nibabel.Nifti1Image(data, SCAN.grid.affine))
    assert np.array_equal(image.data, SCAN.data)


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1e3), ("mm", 1), ("micron", 1e-3)])
def test_lengths_of_nibabel_are_in_the_unit_of_its_header(unit, mm, tmp_path):
    """As `read` takes them from the same file."""
    affine = np.diag([1 / mm, 1 / mm, 1 / mm, 1]) @ SCAN.grid.affine
    image = nibabel.Nifti1Image(SCAN.data, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "scan.nii")
    for thing in (image, nibabel.load(tmp_path / "scan.nii")):
        assert to_image(thing).grid.is_close(io.read(tmp_path / "scan.nii").grid, 1e-3)
        assert to_image(thing).grid.is_close(SCAN.grid, 1e-3)


def test_a_header_of_nibabel_that_places_nothing_is_told():
    image = nibabel.Nifti1Image(SCAN.data, None)
    with pytest.raises(InputError, match="affine"):
        to_image(image)
    image = nibabel.Nifti1Image(SCAN.data, SCAN.grid.affine)
    image.header["sform_code"] = image.header["qform_code"] = 0
    with pytest.warns(AssumptionWarning, match="where left and right are"):
        to_image(image)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_file_of_nibabel_that_is_cut_short_is_refused(name, tmp_path):
    path = io.write(SCAN, tmp_path / name)
    content = path.read_bytes()
    image = nibabel.load(path)
    path.write_bytes(content[: 4 * len(content) // 5])
    with pytest.raises(InputError, match=r"image of nibabel: .* cannot be read \("):
        to_image(image)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (None, "array with its grid .*got NoneType"),
        (SCAN.data, "got ndarray: an array alone does not say where"),
        (label_blocks(SCAN.grid), "got LabelMap: give label maps as labels"),
        ((SCAN, SCAN.grid), "got tuple of Image, Grid"),
        (("scan.nii", SCAN.grid), "got tuple of str, Grid"),
        ((), "got tuple of nothing"),
        ((SCAN.data, np.eye(3)), "grid affine: expected a finite 4x4 matrix"),
        ((SCAN.data, "RAS"), "affine: expected real numbers"),
        ((SCAN.data, Grid((2, 2, 2), np.eye(4))), "expected its grid's shape"),
        ((SCAN.data[0], np.eye(4)), "expected a 3D array"),
        ((SCAN.data + 1j, np.eye(4)), "array: expected real numbers"),
        (Path("missing.nii.gz"), "missing.nii.gz"),
        (
            nibabel.Nifti1Image(np.zeros((4, 4, 4, 2)), np.eye(4)),
            "expected one 3D image, got size 4 x 4 x 4 x 2",
        ),
        (sitk.Image([4, 4], sitk.sitkFloat32), "expected one 3D image, got size 4 x 4"),
        (sitk.Image([4, 4, 4], sitk.sitkVectorFloat32), "one number per voxel"),
        (
            (np.full(SCAN.grid.shape, np.nan), SCAN.grid),
            "expected finite voxels",
        ),
    ],
)
def test_anything_else_is_refused_in_words(thing, message):
    with pytest.raises(InputError, match=message) as caught:
        to_image(thing)
    assert "\n" not in str(caught.value)
