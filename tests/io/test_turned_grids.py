"""Every format that is read, on grids that would betray a flip.

Other tools write the files: nibabel, SimpleITK and pydicom. The scan is oblique and
anisotropic, and stored with its axes exchanged and reversed, in both handednesses.
"""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.dicom import AXIAL, OBLIQUE, PATIENT, SAGITTAL, write_series
from support.itk_tools import itk_image
from support.scans import FIXED, stored
from voltween import io
from voltween.spatial import Image

ORDERS = {
    "as it is": ((0, 1, 2), (False, False, False)),
    "first axis reversed": ((0, 1, 2), (True, False, False)),
    "axes exchanged": ((1, 0, 2), (False, False, False)),
    "axes exchanged and reversed": ((2, 0, 1), (True, False, True)),
}
CLASSES = {
    "a.nii": nibabel.Nifti1Image,
    "a.nii.gz": nibabel.Nifti2Image,
    "a.hdr": nibabel.Nifti1Pair,
    "a.mgz": nibabel.MGHImage,
}
NUMBERS = np.random.default_rng(1).integers(0, 99, (*FIXED.grid.shape, 3))


@pytest.fixture(name="scan", params=ORDERS)
def scan_fixture(request):
    """A scan of the same values at the same places, stored in another order."""
    values = NUMBERS[..., 0].astype(np.float32)
    return stored(Image(values, FIXED.grid), ORDERS[request.param])


@pytest.fixture(name="series", params=ORDERS)
def series_fixture(request):
    """Three numbers per voxel (I, J, K, 3) on a grid, stored in another order."""
    parts = [
        stored(Image(NUMBERS[..., n].astype(np.float32), FIXED.grid), order)
        for order in [ORDERS[request.param]]
        for n in range(3)
    ]
    return np.stack([part.data for part in parts], axis=-1), parts[0].grid


def check_places(data, grid):
    """The values are those of `NUMBERS` where the scan has them."""
    centers = FIXED.grid.voxel_centers_mm().reshape(-1, 3)
    voxels = grid.world_to_voxel(centers)
    np.testing.assert_allclose(voxels, np.rint(voxels), atol=1e-3)
    values = data[*np.rint(voxels).astype(int).T]
    count = values.shape[-1] if values.ndim == 2 else 1
    np.testing.assert_array_equal(
        values.reshape(-1, count), NUMBERS.reshape(-1, 3)[:, :count]
    )


@pytest.mark.parametrize("name", CLASSES)
def test_what_nibabel_writes(name, scan, tmp_path):
    nibabel.save(CLASSES[name](scan.data, scan.grid.affine), tmp_path / name)
    image = io.read(tmp_path / name)
    check_places(image.data, image.grid)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_what_itk_writes(name, scan, tmp_path):
    sitk.WriteImage(itk_image(scan.data, scan.grid), str(tmp_path / name))
    image = io.read(tmp_path / name)
    check_places(image.data, image.grid)


@pytest.mark.parametrize("name", ["a.nii", "a.mgz"])
def test_series_of_nibabel(name, series, tmp_path):
    data, grid = series
    nibabel.save(CLASSES[name](data, grid.affine), tmp_path / name)
    image = io.read_channels(tmp_path / name)
    assert image.meaning == "series"
    check_places(image.data, image.grid)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_numbers_per_voxel_of_itk(name, series, tmp_path):
    sitk.WriteImage(itk_image(*series), str(tmp_path / name))
    image = io.read_channels(tmp_path / name)
    check_places(image.data, image.grid)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha"])
def test_series_come_back_by_simpleitk(name, series, tmp_path):
    data, grid = series
    volumes = [itk_image(data[..., n], grid) for n in range(3)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(tmp_path / "theirs.mha"))
    image = io.read_channels(tmp_path / "theirs.mha")
    check_places(image.data, image.grid)
    again = sitk.ReadImage(str(io.write(image, tmp_path / name)))
    check_places(sitk.GetArrayFromImage(again).transpose(3, 2, 1, 0), image.grid)


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE, (-1, 0, 0, 0, 1, 0)])
@pytest.mark.parametrize("step", [2.5, -2.5])
def test_dicom_slices_are_where_gdcm_has_them(orientation, step, tmp_path):
    normal = np.cross(*np.reshape(orientation, (2, 3)))
    voxels = np.random.default_rng(0).integers(0, 900, (7, 6, 5)).astype(np.uint16)
    positions = [np.add((3.0, 4.0, -9.0), step * k * normal) for k in range(5)]
    fields = {**PATIENT, "ImageOrientationPatient": list(orientation)}
    folder = write_series(tmp_path / "scan", voxels, positions, **fields)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    theirs = sitk.ReadImage(names)
    ours = io.read(folder)
    positions = ours.grid.voxel_centers_mm().reshape(-1, 3) * [-1, -1, 1]
    indices = map(theirs.TransformPhysicalPointToIndex, positions.tolist())
    assert [theirs[index] for index in indices] == ours.data.ravel().tolist()
