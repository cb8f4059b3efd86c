"""A case made ready: labels on the image's grid, axes, crop, log."""

import numpy as np
import pytest

from support.downloads import abdomen, head
from voltween.cohorts import download_named
from voltween.cohorts.case_preparation import prepare_case
from voltween.cohorts.downloads.download import LoadedCase
from voltween.errors import InputError
from voltween.spatial import Grid, Image, LabelMap

OASIS, LITS = download_named("oasis"), download_named("lits")


def test_labels_whose_header_lays_them_elsewhere_are_taken_voxel_by_voxel():
    image, labels = head(0)
    affine = labels.grid.affine.copy()
    affine[:3, 3] += 50
    moved = LabelMap(labels.data, Grid(labels.grid.shape, affine))
    ready = prepare_case(LoadedCase(image, moved), OASIS, reference=None)
    plain = prepare_case(LoadedCase(image, labels), OASIS, reference=None)
    np.testing.assert_array_equal(ready.labels.data, plain.labels.data)
    assert "copied voxel by voxel" in ready.log["remarks"]
    assert "copied voxel by voxel" not in plain.log["remarks"]


def test_labels_of_another_scan_are_refused():
    image, labels = head(0)
    i, j, k = labels.grid.shape
    other = LabelMap(labels.data[1:], Grid((i - 1, j, k), np.eye(4)))
    with pytest.raises(InputError, match="labels: expected the image's shape"):
        prepare_case(LoadedCase(image, other), OASIS, reference=None)


def test_an_image_without_contrast_is_refused():
    image, labels = head(0)
    flat = Image(np.zeros(image.grid.shape), image.grid)
    with pytest.raises(InputError, match="constant"):
        prepare_case(LoadedCase(flat, labels), OASIS, reference=None)


def test_the_log_says_what_was_done_to_the_axes():
    image, labels = abdomen(0)
    data = np.flip(image.data.transpose(2, 0, 1), 1)
    affine = image.grid.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 1] * (data.shape[1] - 1)
    affine[:3, 1] *= -1
    turned = Image(data, Grid(data.shape, affine))
    ready = prepare_case(LoadedCase(turned, labels), LITS, reference=None)
    assert ready.log["stored_axes"] == "SLA"
    assert ready.log["axes"] == "order 1 2 0, turned L"
    plain = prepare_case(LoadedCase(image, labels), LITS, reference=None)
    assert plain.log["axes"] == "none"
    for key in ("box_voxels", "box_mm", "crop_rule"):
        assert ready.log[key] == plain.log[key]
    first, last = (int(n) for n in plain.log["box_voxels"].split()[0].split(":"))
    assert last - first + 1 == plain.image.grid.shape[0]
    assert "label 2 became 1" in plain.log["remarks"]
    assert plain.labels.labels == (1,)
