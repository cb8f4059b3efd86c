"""Images and label maps as other tools write them, and files that cannot be read."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.downloads import kept_locale
from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_image,
    stored,
)
from voltween import io
from voltween.errors import InputError
from voltween.io.itk import IMAGE_SUFFIXES
from voltween.spatial import Grid, Image

GRID = oblique_grid()


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_images_come_back(suffix, tmp_path):
    image = smooth_image(GRID)
    io.write(image, tmp_path / f"image{suffix}")
    back = io.read(tmp_path / f"image{suffix}")
    assert back.grid.is_close(image.grid, 1e-4)
    np.testing.assert_array_equal(back.data, image.data)


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_world_agrees_with_nibabel_in_all_storage_orders(order, tmp_path):
    image = stored(smooth_image(GRID), order)
    io.write(image, tmp_path / "image.nii.gz")
    by_nibabel = nibabel.load(tmp_path / "image.nii.gz")
    np.testing.assert_allclose(by_nibabel.affine, image.grid.affine, atol=1e-4)
    np.testing.assert_array_equal(by_nibabel.get_fdata(dtype=np.float32), image.data)
    nibabel.save(
        nibabel.Nifti1Image(image.data, image.grid.affine), tmp_path / "b.nii.gz"
    )
    assert io.read(tmp_path / "b.nii.gz").grid.is_close(image.grid, 1e-4)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64]
)
def test_every_stored_type_is_read(dtype, tmp_path):
    data = np.arange(60).reshape(3, 4, 5).astype(dtype)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4), dtype=dtype), tmp_path / "a.nii")
    np.testing.assert_array_equal(io.read(tmp_path / "a.nii").data, data)


def test_scaled_integers_are_read_with_their_scale(tmp_path):
    image = nibabel.Nifti1Image(
        np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)
    )
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(io.read(tmp_path / "a.nii.gz").data, expected)


@pytest.mark.parametrize("shear", [1e-5, 1e-3, 0.3])
def test_sheared_images_are_read_and_written_though_itk_refuses_them(shear, tmp_path):
    affine = oblique_grid().affine.copy()
    affine[:3, 1] += shear * affine[:3, 0]
    image = smooth_image(Grid((15, 12, 10), affine))
    nibabel.save(nibabel.Nifti1Image(image.data, affine), tmp_path / "a.nii.gz")
    read = io.read(tmp_path / "a.nii.gz")
    assert read.grid.is_close(image.grid, 1e-2)
    back = io.read(io.write(image, tmp_path / "b.nii.gz"))
    assert back.grid.is_close(image.grid, 1e-2)
    np.testing.assert_array_equal(back.data, image.data)


def test_two_places_in_one_header_are_taken_as_itk_does_with_a_warning(tmp_path):
    scanner, template = GRID.affine, GRID.affine + np.eye(4, k=3) * 5
    image = nibabel.Nifti1Image(smooth_image(GRID).data, scanner)
    image.set_qform(scanner, "scanner")
    image.set_sform(template, "mni")
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.warns(UserWarning, match="qform and sform place the image differently"):
        read = io.read(tmp_path / "a.nii.gz")
    by_itk = sitk.ReadImage(str(tmp_path / "a.nii.gz")).GetOrigin()
    np.testing.assert_allclose(read.grid.affine[:3, 3] * [-1, -1, 1], by_itk, atol=1e-4)


def test_label_maps_come_back_with_their_type(tmp_path):
    labels = label_blocks(GRID)
    io.write(labels, tmp_path / "labels.nii.gz")
    back = io.read_labels(tmp_path / "labels.nii.gz")
    assert back.data.dtype == labels.data.dtype
    np.testing.assert_array_equal(back.data, labels.data)


def test_four_dimensions_with_one_volume_are_squeezed(tmp_path):
    data = np.random.default_rng(0).random((5, 6, 7, 1)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(io.read(tmp_path / "a.nii.gz").data, data[..., 0])


def test_dicom_series_folder_is_read(tmp_path):
    image = Image(np.rint(smooth_image(GRID).data), GRID)
    io.write(image, tmp_path / "image.nrrd")
    write_dicom(sitk.ReadImage(str(tmp_path / "image.nrrd")), tmp_path / "series")
    back = io.read(tmp_path / "series")
    to_stored = np.abs(np.linalg.inv(image.grid.affine) @ back.grid.affine)[:3, :3]
    np.testing.assert_allclose(np.sort(to_stored.sum(0)), 1, atol=1e-3)
    np.testing.assert_allclose(back.grid.center_mm, image.grid.center_mm, atol=1e-2)
    assert np.sort(back.data.ravel()).tolist() == np.sort(image.data.ravel()).tolist()


def test_folder_without_or_with_two_series_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="one DICOM series, got 0"):
        io.read(tmp_path / "empty")
    write_dicom(sitk.Image([4, 4, 4], sitk.sitkInt16), tmp_path / "two", uid="1.2.3.1")
    write_dicom(sitk.Image([4, 4, 4], sitk.sitkInt16), tmp_path / "two", uid="1.2.3.2")
    with pytest.raises(InputError, match="one DICOM series, got 2"):
        io.read(tmp_path / "two")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_files_cut_short_are_refused(name, share, tmp_path):
    path = io.write(smooth_image(GRID), tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"damaged|an empty file"):
        io.read(path)


def test_gzip_of_several_members_is_read(tmp_path):
    path = io.write(smooth_image(GRID), tmp_path / "a.nii")
    raw = path.read_bytes()
    members = gzip.compress(raw[:1000]) + gzip.compress(raw[1000:])
    (tmp_path / "b.nii.gz").write_bytes(members)
    np.testing.assert_array_equal(
        io.read(tmp_path / "b.nii.gz").data, io.read(path).data
    )


def save(data, path):
    nibabel.save(nibabel.Nifti1Image(np.asarray(data, np.float32), np.eye(4)), path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "expected a file, got none"),
        (
            lambda path: path.write_text("not an image"),
            "damaged, cut short or of another",
        ),
        (lambda path: save(np.zeros((5, 6)), path), "one 3D image, got size 5 x 6"),
        (
            lambda path: save(np.zeros((5, 6, 1)), path),
            "one 3D image, got size 5 x 6 x 1",
        ),
        (
            lambda path: save(np.zeros((5, 6, 7, 3)), path),
            "5 x 6 x 7 x 3: save the volume",
        ),
        (
            lambda path: save(np.full((5, 6, 7), np.nan), path),
            "210 of 210 that are NaN",
        ),
    ],
)
def test_bad_images_are_refused_by_name(make, message, tmp_path):
    path = tmp_path / "a.nii.gz"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        io.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 7, 3)])
def test_sheared_images_of_other_dimensions_are_refused_for_these(shape, tmp_path):
    affine = oblique_grid().affine.copy()
    affine[:3, 1] += 0.3 * affine[:3, 0]
    image = nibabel.Nifti1Image(np.zeros(shape, np.float32), affine)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(InputError, match="one 3D image, got size 5 x 6"):
        io.read(tmp_path / "a.nii")


@pytest.mark.parametrize("content", [None, "nothing of the kind"])
@pytest.mark.parametrize(
    "reader", [io.read, io.read_labels, io.read_transform, io.read_points]
)
def test_errors_name_the_file_once(reader, content, tmp_path):
    path = tmp_path / "file.nii"
    if content:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        reader(path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert str(caught.value).count(str(path)) == 1


def test_color_images_are_refused(tmp_path):
    path = str(tmp_path / "a.nrrd")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), path)
    with pytest.raises(InputError, match="one number per voxel, got 3"):
        io.read(path)


def write_dicom(image, folder, uid="1.2.826.0.1.3680043.2.1125.1"):
    """A DICOM series of an image's slices, as scanners write them."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    image = sitk.Cast(image, sitk.sitkInt16)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    for k in range(image.GetSize()[2]):
        section = image[:, :, k]
        position = image.TransformIndexToPhysicalPoint((0, 0, k))
        tags = {
            "0008|0060": "MR",
            "0020|000e": uid,
            "0020|0037": "\\".join(map(str, [*directions[:, 0], *directions[:, 1]])),
            "0020|0032": "\\".join(map(str, position)),
            "0020|0013": str(k),
            "0008|0018": f"{uid}.{k}",
        }
        for tag, value in tags.items():
            section.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}.{k}.dcm"))
        with kept_locale():
            writer.Execute(section)
