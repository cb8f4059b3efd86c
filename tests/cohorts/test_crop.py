"""Boxes around liver and brain: on phantoms of known anatomy, and on real scans."""

import numpy as np
import pytest

from support.cohorts import LIVER, SPLEEN, trunk
from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween import io
from voltween.cohorts import load_case, read_manifest
from voltween.cohorts.crop import head_crop, liver_crop, whole
from voltween.errors import InputError
from voltween.spatial import Grid, Image, LabelMap


def every_second_voxel(image):
    data = image.data[::2, ::2, ::2]
    affine = image.grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    return Image(data, Grid(data.shape, affine))


def share_kept(crop, labels, *names):
    kept, all_of_it = crop.cut(labels).data, labels.data
    return np.isin(kept, names).sum() / np.isin(all_of_it, names).sum()


def test_nothing_is_cut_from_the_whole():
    image = Image(np.arange(60.0).reshape(3, 4, 5), oblique_grid((3, 4, 5)))
    cut = whole(stored(image, STORAGE_ORDERS[17])).cut(
        stored(image, STORAGE_ORDERS[17])
    )
    np.testing.assert_array_equal(cut.data, image.data)


def test_what_a_crop_keeps_stays_where_it_was():
    ct, labels = trunk()
    cut = liver_crop(ct, labels).cut(ct)
    first = np.rint(ct.grid.world_to_voxel(cut.grid.affine[:3, 3])).astype(int)
    box = tuple(map(slice, first, first + cut.grid.shape))
    np.testing.assert_array_equal(cut.data, ct.data[box])


def test_a_crop_of_integers_is_integers():
    data = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    image = stored(Image(data, oblique_grid((3, 4, 5))), STORAGE_ORDERS[17])
    assert whole(image).cut(image).stored.dtype == np.int16


def test_a_mask_gives_its_box_and_10_mm():
    ct, labels = trunk()
    occupied = np.argwhere(labels.data == LIVER)
    crop = liver_crop(ct, labels)
    assert crop.first_voxel == tuple(occupied.min(axis=0) - 2)  # 5 mm per voxel
    assert crop.grid.shape == tuple(np.ptp(occupied, axis=0) + 5)


@pytest.mark.parametrize("order", STORAGE_ORDERS[::5])
def test_thresholds_find_the_liver_and_not_the_spleen(order):
    ct, labels = (stored(volume, order) for volume in trunk())
    crop = liver_crop(ct)
    assert share_kept(crop, labels, LIVER) == 1
    assert share_kept(crop, labels, SPLEEN) < 0.75  # although it is the larger
    assert np.prod(crop.grid.shape) < 0.5 * np.prod(ct.grid.shape)


def test_values_stored_with_1000_added_give_the_same_box():
    ct, _ = trunk()
    shifted = Image(ct.data.clip(-1000, None) + 1000, ct.grid)
    assert liver_crop(shifted).grid.is_close(liver_crop(ct).grid)


def test_what_has_no_liver_is_refused():
    ct, labels = trunk()
    with pytest.raises(InputError, match=r"expected one of the labels \(6,\), got"):
        liver_crop(ct, labels, liver=(6,))
    air = Image(np.full(ct.grid.shape, -1000.0) + np.eye(52, 48), ct.grid)
    with pytest.raises(InputError, match="soft tissue thicker than 30 mm, got none"):
        liver_crop(air)


def test_a_head_in_ct_is_found_in_spite_of_dark_padding():
    ct, _ = trunk()
    padded = ct.data.clip(-1000, None)
    padded[:, :, 40:] = -1000.0
    plain = head_crop(Image(padded, ct.grid), is_ct=True).grid
    padded[:, :2] = -8000
    assert head_crop(Image(padded, ct.grid), is_ct=True).grid.is_close(plain)
    assert not head_crop(Image(padded, ct.grid)).grid.is_close(plain)


def test_a_crop_refuses_what_lies_elsewhere():
    ct, labels = trunk()
    elsewhere = LabelMap(labels.data, Grid(ct.grid.shape, np.eye(4)))
    with pytest.raises(InputError, match="expected a volume on the scan's grid"):
        liver_crop(ct).cut(elsewhere)


@pytest.mark.parametrize(
    ("scan", "labels", "liver"),
    [
        ("chaos_ct_sample", "chaos_ct_sample_liver", 1),
        (
            "totalsegmentator_example_ct_sm",
            "totalsegmentator_example_ct_sm_117classes",
            5,
        ),
    ],
)
@pytest.mark.parametrize("is_labeled", [False, True])
def test_the_whole_liver_of_real_scans_is_kept(
    scan, labels, liver, is_labeled, shared_data
):
    folder = shared_data / "abdomen_ct"
    ct = io.read(folder / f"images/{scan}.nii.gz")
    mask = io.read_labels(folder / f"labels/{labels}.nii.gz")
    crop = liver_crop(ct, mask if is_labeled else None, liver=(liver,))
    assert share_kept(crop, mask, liver) == 1
    assert np.prod(crop.grid.shape) < 0.6 * np.prod(ct.grid.shape)


def test_the_whole_brain_of_real_heads_is_kept_in_every_storage_order(shared_data):
    cases = read_manifest(shared_data / "brain_ixi" / "cases.csv")
    for number, case in enumerate(cases):
        image, labels = load_case(case)
        kept = head_crop(image).cut(labels).data
        assert (kept > 0).sum() == (labels.data > 0).sum(), case.name
        # Every head in two of the 48 orders, all of them in 24 heads.
        coarse = every_second_voxel(image)
        crop = head_crop(coarse)
        for order in (STORAGE_ORDERS[2 * number % 48], STORAGE_ORDERS[-number - 1]):
            in_order = head_crop(stored(coarse, order))
            assert in_order.grid.is_close(crop.grid), case.name
