"""Series, channels, colors and vectors in files, as SimpleITK and nibabel have them."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.itk_tools import itk_array, itk_image
from support.scans import FIXED
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Image, MultichannelImage

RANDOM = np.random.default_rng(0)
SHAPE = FIXED.grid.shape


def image(meaning, count, dtype=np.int16, step_s=1.0):
    data = RANDOM.integers(0, 250, (*SHAPE, count)).astype(dtype)
    return MultichannelImage(data, FIXED.grid, meaning, step_s)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha"])
def test_series_is_read_back_and_by_simpleitk(suffix, tmp_path):
    series = image("series", 4, step_s=2.5)
    path = io.write(series, tmp_path / f"series{suffix}")
    again = io.read_channels(path)
    assert (again.meaning, again.step_s, again.data.dtype) == ("series", 2.5, np.int16)
    np.testing.assert_array_equal(again.data, series.data)
    assert again.grid.is_close(FIXED.grid)
    by_itk = sitk.ReadImage(str(path))
    assert by_itk.GetSpacing()[3] == 2.5
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk).T, series.data)


def test_nibabel_reads_the_series_and_its_time_step(tmp_path):
    series = image("series", 3, step_s=0.8)
    loaded = nibabel.load(io.write(series, tmp_path / "series.nii.gz"))
    np.testing.assert_array_equal(np.asanyarray(loaded.dataobj), series.data)
    np.testing.assert_allclose(loaded.affine, FIXED.grid.affine, atol=1e-4)
    assert loaded.header.get_zooms()[3] == pytest.approx(0.8)


@pytest.mark.parametrize("meaning", ["colors", "channels"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_numbers_per_voxel_are_those_of_simpleitk(meaning, suffix, tmp_path):
    colors = image(meaning, 3, np.uint8)
    path = io.write(colors, tmp_path / f"image{suffix}")
    np.testing.assert_array_equal(itk_array(sitk.ReadImage(str(path))), colors.data)
    again = io.read_channels(path)
    np.testing.assert_array_equal(again.data, colors.data)
    assert again.grid.is_close(FIXED.grid)
    if suffix == ".nii.gz":
        assert again.meaning == meaning


def test_vectors_of_itk_are_flipped_to_ras_and_back(tmp_path):
    vectors = RANDOM.standard_normal((*SHAPE, 3)).astype(np.float32)
    sitk.WriteImage(itk_image(vectors, FIXED.grid), str(tmp_path / "itk.nii.gz"))
    read = io.read_channels(tmp_path / "itk.nii.gz", contents="vectors")
    np.testing.assert_array_equal(read.data, vectors * np.float32([-1, -1, 1]))
    path = io.write(read, tmp_path / "ours.nii.gz")
    np.testing.assert_array_equal(itk_array(sitk.ReadImage(str(path))), vectors)


def test_one_volume_of_a_series_is_read(tmp_path):
    series = image("series", 4)
    path = io.write(series, tmp_path / "series.nii.gz")
    np.testing.assert_array_equal(io.read(path, volume=2).data, series.data[..., 2])
    with pytest.raises(InputError, match="a volume from 0 to 3, got 4"):
        io.read(path, volume=4)
    with pytest.raises(InputError, match="or choose it: --volume"):
        io.read(path)


def test_a_volume_of_a_3d_image_is_refused(tmp_path):
    path = io.write(Image(FIXED.data, FIXED.grid), tmp_path / "one.nii.gz")
    with pytest.raises(InputError, match=r"expected a 4D image.*one 3D image"):
        io.read(path, volume=0)


@pytest.mark.parametrize(
    ("contents", "message"),
    [("labels", "whole numbers"), ("vectors", "expected vectors of three components")],
)
def test_other_contents_are_refused(contents, message, tmp_path):
    path = io.write(
        MultichannelImage(np.full((*SHAPE, 2), 0.5), FIXED.grid, "channels"),
        tmp_path / "image.nii.gz",
    )
    with pytest.raises(InputError, match=message):
        io.read_channels(path, contents=contents)


def test_complex_numbers_are_refused(tmp_path):
    data = np.zeros(SHAPE, np.complex64)
    nibabel.save(nibabel.Nifti1Image(data, FIXED.grid.affine), tmp_path / "c.nii")
    with pytest.raises(InputError, match="complex numbers"):
        io.read_channels(tmp_path / "c.nii")
