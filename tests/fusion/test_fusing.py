"""The fusion of labels on the grid of a scan."""

from typing import get_args

import numpy as np
import pytest

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_image,
    some_affine,
    stored,
)
from voltween.fusion import Atlas, Fusion, fuse_labels
from voltween.spatial import Affine, Grid, Image, LabelMap

GRID = oblique_grid((18, 17, 16), 2)
SCAN, LABELS = smooth_image(GRID, 3), label_blocks(GRID)
FUSIONS = pytest.mark.parametrize("fusion", get_args(Fusion))


def atlas(image=SCAN, labels=LABELS, transform=None):
    return Atlas(image, labels, transform or Affine.identity())


def with_errors(seed, share=0.3):
    """Labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    data = LABELS.data.copy()
    is_wrong = rng.random(data.shape) < share
    data[is_wrong] = rng.choice([0, 1, 2, 7, 40], int(is_wrong.sum()))
    return LabelMap(data, GRID)


@FUSIONS
@pytest.mark.parametrize("count", [1, 3])
def test_identical_labels_stay_as_they_are(fusion, count):
    fused = fuse_labels(SCAN, [atlas()] * count, fusion)
    assert np.array_equal(fused.data, LABELS.data)
    assert fused.grid.is_close(GRID)


@FUSIONS
def test_atlases_may_lie_and_be_stored_in_any_way(fusion):
    """An atlas elsewhere, with its transform, and with axes in another order."""
    moved = some_affine(1)
    grid = Grid(GRID.shape, moved.matrix @ GRID.affine)
    place = Image(SCAN.data, grid), LabelMap(LABELS.data, grid)
    atlases = [
        atlas(*(stored(v, STORAGE_ORDERS[order]) for v in place), moved)
        for order in (5, 17, 40)
    ]
    assert np.array_equal(fuse_labels(SCAN, atlases, fusion).data, LABELS.data)


@FUSIONS
def test_errors_of_single_atlases_are_corrected(fusion):
    atlases = [atlas(labels=with_errors(seed)) for seed in range(5)]
    fused = fuse_labels(SCAN, atlases, fusion)
    alone = (with_errors(0).data == LABELS.data).mean()
    assert (fused.data == LABELS.data).mean() > 1 - 0.5 * (1 - alone)


def test_one_similar_atlas_outvotes_two_others():
    wrong = LabelMap(np.where(LABELS.data == 7, 2, LABELS.data), GRID)
    others = [atlas(smooth_image(GRID, 20 + n), wrong) for n in range(2)]
    atlases = [atlas(), *others]
    fused = fuse_labels(SCAN, atlases, "weighted")
    majority = fuse_labels(SCAN, atlases, "majority")
    assert (majority.data == 7).sum() == 0
    assert (fused.data[LABELS.data == 7] == 7).mean() > 0.95


@FUSIONS
def test_an_atlas_has_no_say_where_its_scan_ends(fusion):
    half = Grid((9, 17, 16), GRID.affine)
    cut = atlas(Image(SCAN.data[:9], half), LabelMap(LABELS.data[:9], half))
    fused = fuse_labels(SCAN, [cut, cut, atlas()], fusion)
    assert np.array_equal(fused.data, LABELS.data)


@FUSIONS
def test_large_labels_and_no_labels_at_all(fusion):
    large = LabelMap(LABELS.data.astype(np.int64) * 1_000_003, GRID)
    fused = fuse_labels(SCAN, [atlas(labels=large)] * 3, fusion)
    assert np.array_equal(fused.data, large.data)
    empty = LabelMap(np.zeros(GRID.shape, np.uint8), GRID)
    assert not fuse_labels(SCAN, [atlas(labels=empty)] * 2, fusion).data.any()
