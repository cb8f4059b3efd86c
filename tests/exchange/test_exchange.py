"""Objects of other libraries keep every voxel at its place, on any kind of grid."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from support.scans import STORAGE_ORDERS, label_blocks, oblique_grid, smooth_image
from support.scans import stored as stored_as
from voltween.errors import InputError, MissingPackageError
from voltween.spatial import Affine, Grid, Image, LabelMap, reorder_volume_to_ras

GRID = oblique_grid((9, 8, 7))
VOLUMES = [smooth_image(GRID), label_blocks(GRID)]


def each_order(test):
    """All volumes in 12 of the 48 orders of their axes: flipped, permuted, oblique."""
    test = pytest.mark.parametrize("order", STORAGE_ORDERS[::4])(test)
    return pytest.mark.parametrize("volume", VOLUMES, ids=["image", "labels"])(test)


def check_same(again, volume):
    assert type(again) is type(volume)
    assert again.grid.is_close(volume.grid, 1e-6)
    assert np.array_equal(again.data, volume.data)


@each_order
def test_nibabel_agrees_on_the_place_of_every_voxel(volume, order):
    volume = stored_as(volume, order)
    image = volume.to_nibabel()
    for voxel in np.ndindex(volume.grid.shape):
        there_mm = nibabel.affines.apply_affine(image.affine, voxel)
        np.testing.assert_allclose(
            there_mm, volume.grid.voxel_to_world(np.array(voxel, float)), atol=1e-4
        )
    assert np.array_equal(np.asanyarray(image.dataobj), volume.stored)
    assert image.get_data_dtype() == volume.stored.dtype
    check_same(type(volume).from_nibabel(image), volume)


def test_nibabel_writes_the_file_that_is_read_back(tmp_path):
    nibabel.save(VOLUMES[0].to_nibabel(), tmp_path / "scan.nii")
    image = nibabel.load(tmp_path / "scan.nii")
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.affine, GRID.affine, rtol=1e-6)
    assert np.array_equal(Image.from_nibabel(image).data, VOLUMES[0].data)


@each_order
def test_simpleitk_agrees_on_the_place_of_every_voxel_in_lps(volume, order):
    volume = stored_as(volume, order)
    image = volume.to_sitk()
    for voxel in np.ndindex(volume.grid.shape):
        left, posterior, superior = image.TransformIndexToPhysicalPoint(voxel)
        np.testing.assert_allclose(
            [-left, -posterior, superior],
            volume.grid.voxel_to_world(np.array(voxel, float)),
            atol=1e-6,
        )
        assert image[voxel] == volume.data[voxel]
    check_same(type(volume).from_sitk(image), volume)


def test_simpleitk_resamples_to_the_same_voxels():
    """An image that went to SimpleITK is resampled there as it is here."""
    onto = Grid((8, 9, 6), GRID.affine @ np.diag([1.05, 0.9, 1.1, 1]))
    place = Image(np.zeros(onto.shape), onto).to_sitk()
    itk = sitk.Resample(VOLUMES[0].to_sitk(), place, sitk.Transform(), sitk.sitkLinear)
    ours = Affine.identity().resample(VOLUMES[0], onto=onto)
    inner = np.s_[1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(
        Image.from_sitk(itk).data[inner], ours.data[inner], rtol=1e-4
    )


def test_simpleitk_cannot_have_a_sheared_grid():
    affine = np.eye(4)
    affine[0, 1] = 0.3
    with pytest.raises(InputError, match="perpendicular axes"):
        Image(np.zeros((3, 3, 3)), Grid((3, 3, 3), affine)).to_sitk()


@pytest.mark.parametrize("volume", VOLUMES, ids=["image", "labels"])
def test_a_tensor_has_the_voxels_and_comes_back_with_the_grid(volume):
    tensor = volume.to_torch()
    assert tensor.shape == (1, 1, 9, 8, 7)
    assert tensor.dtype == {Image: torch.float32, LabelMap: torch.int64}[type(volume)]
    assert tensor[0, 0, 2, 5, 4] == volume.data[2, 5, 4]
    for shape in ((9, 8, 7), (1, 9, 8, 7), (1, 1, 9, 8, 7)):
        check_same(type(volume).from_torch(tensor.reshape(shape), GRID), volume)


def test_a_tensor_and_its_image_share_no_memory():
    tensor = VOLUMES[0].to_torch().requires_grad_()
    image = Image.from_torch(tensor, GRID)
    with torch.no_grad():
        tensor.zero_()
    assert np.array_equal(image.data, VOLUMES[0].data)
    assert image.data.max() > 0


def test_features_in_half_precision_become_an_image():
    half = VOLUMES[0].to_torch().bfloat16()
    image = Image.from_torch(half, GRID)
    assert np.array_equal(image.data, half[0, 0].float().numpy())


@pytest.mark.parametrize("shape", [(2, 1, 9, 8, 7), (1, 1, 7, 8, 9), (9, 56)])
def test_a_tensor_of_another_shape_is_refused(shape):
    with pytest.raises(InputError, match=r"expected shape \(9, 8, 7\) of the grid"):
        Image.from_torch(torch.zeros(shape), GRID)


def test_a_sparse_tensor_is_refused():
    tensor = VOLUMES[0].to_torch()[0, 0].to_sparse()
    with pytest.raises(InputError, match=r"a dense tensor.*to_dense\(\)"):
        Image.from_torch(tensor, GRID)


def quantized():
    return torch.quantize_per_tensor(torch.rand(GRID.shape), 0.1, 0, torch.quint8)


def nested():
    return torch.nested.nested_tensor([torch.rand(8, 7)] * 9)


def not_computed():
    with FakeTensorMode():
        return torch.rand(GRID.shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.empty(GRID.shape, device="meta"), "with values, got one on the"),
        (quantized, r"plain numbers.*give its \.dequantize"),
        (nested, "a dense tensor, got a nested one"),
        (not_computed, "plain numbers, which NumPy can hold, got FakeTensor"),
    ],
)
@pytest.mark.parametrize("kind", [Image, LabelMap])
@pytest.mark.filterwarnings("ignore:.*torch.*", "ignore:The PyTorch API of nested")
def test_tensors_without_plain_values_are_refused(kind, make, message):
    with pytest.raises(InputError, match=message):
        kind.from_torch(make(), GRID)


def test_a_view_whose_sign_is_put_off_is_read():
    numbers = VOLUMES[0].to_torch()[0, 0]
    view = torch.complex(numbers, -numbers).conj().imag
    assert view.is_neg()
    check_same(Image.from_torch(view, GRID), VOLUMES[0])


def test_labels_in_half_precision_become_a_label_map():
    half = VOLUMES[1].to_torch().half()
    check_same(LabelMap.from_torch(half, GRID), VOLUMES[1])
    check_same(LabelMap(VOLUMES[1].data.astype(np.float16), GRID), VOLUMES[1])


@each_order
def test_torchio_agrees_on_the_place_of_every_voxel(volume, order):
    torchio = pytest.importorskip("torchio")
    volume = stored_as(volume, order)
    image = volume.to_torchio()
    kind = torchio.LabelMap if isinstance(volume, LabelMap) else torchio.ScalarImage
    assert isinstance(image, kind)
    assert image.spatial_shape == volume.grid.shape
    assert "".join(image.orientation) == volume.grid.axcodes
    np.testing.assert_allclose(image.affine, volume.grid.affine)
    check_same(type(volume).from_torchio(image), volume)


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_torchio_turns_a_scan_to_ras_as_this_package_does(order):
    torchio = pytest.importorskip("torchio")
    scan = stored_as(VOLUMES[0], order)
    theirs = Image.from_torchio(torchio.ToCanonical()(scan.to_torchio()))
    check_same(theirs, reorder_volume_to_ras(scan))


def test_torchio_images_of_other_kinds_are_refused():
    torchio = pytest.importorskip("torchio")
    with pytest.raises(InputError, match=r"LabelMap\.from_torchio takes it"):
        Image.from_torchio(VOLUMES[1].to_torchio())
    colors = torchio.ScalarImage(tensor=torch.zeros(3, 4, 4, 4))
    with pytest.raises(InputError, match="expected one channel, got 3"):
        Image.from_torchio(colors)


@pytest.mark.filterwarnings("ignore:Error loading image")  # TorchIO tries twice
def test_a_file_that_torchio_cannot_read_is_refused(tmp_path):
    torchio = pytest.importorskip("torchio")
    nibabel.save(VOLUMES[0].to_nibabel(), tmp_path / "scan.nii.gz")
    image = torchio.ScalarImage(tmp_path / "scan.nii.gz")
    (tmp_path / "scan.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match="image of TorchIO: expected a file"):
        Image.from_torchio(image)


def test_without_torchio_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("voltween.process.running.version", lambda package: None)
    with pytest.raises(MissingPackageError, match=r"voltween\[torchio\]"):
        VOLUMES[0].to_torchio()


def test_numpy_functions_take_a_volume_for_its_voxels():
    image, labels = VOLUMES
    assert np.asarray(image) is image.data
    assert np.array(labels, dtype=float).dtype == float
    assert np.mean(image) == image.data.mean()
    copied = np.array(image)
    copied[:] = 0
    assert image.data.max() > 0
    with pytest.raises(ValueError, match="are a copy"):
        image.__array__(np.float64, copy=False)


@pytest.mark.parametrize(
    ("library", "advice"),
    [
        ("nibabel", r"Image\.from_nibabel takes it"),
        ("sitk", r"Image\.from_sitk takes it"),
        ("torch", r"Image\.from_torch takes it"),
        ("torchio", r"Image\.from_torchio takes it"),
    ],
)
def test_the_object_of_another_library_is_refused_with_the_right_door(library, advice):
    if library == "torchio":
        pytest.importorskip("torchio")
    thing = getattr(VOLUMES[0], f"to_{library}")()
    door = Image.from_sitk if library != "sitk" else Image.from_nibabel
    with pytest.raises(InputError, match=advice):
        door(thing)


def test_scans_of_four_dimensions_are_refused():
    series = nibabel.Nifti1Image(np.zeros((4, 4, 4, 2)), np.eye(4))
    with pytest.raises(InputError, match="expected one 3D image"):
        Image.from_nibabel(series)
    with pytest.raises(InputError, match="expected one 3D image"):
        LabelMap.from_sitk(sitk.Image([4, 4], sitk.sitkUInt8))
