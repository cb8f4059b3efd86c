"""Labels that lie on their scan, and those that do not."""

import warnings

import numpy as np
import pytest

from support.scans import STORAGE_ORDERS, label_blocks, oblique_grid, stored
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.spatial import (
    Grid,
    LabelMap,
    Points,
    check_labels_on_scan,
    check_points_on_scan,
)

GRID = oblique_grid((14, 14, 14), spacing_mm=(1.0, 1.5, 2.0))
LABELS = label_blocks(GRID)


def shifted(labels, voxels):
    """The label map with its header moved by voxels along the first axis."""
    affine = labels.grid.affine.copy()
    affine[:3, 3] = labels.grid.voxel_to_world(np.array([[voxels, 0.0, 0.0]]))[0]
    return LabelMap(labels.data, Grid(labels.grid.shape, affine))


@pytest.mark.parametrize("order", STORAGE_ORDERS[::5])
def test_labels_in_the_place_of_the_scan_pass_in_any_order_of_axes(order):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_labels_on_scan(stored(LABELS, order), GRID)


def test_a_part_of_the_scan_or_more_than_it_passes():
    larger = GRID.pad(4)
    data = np.pad(LABELS.data, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_labels_on_scan(LabelMap(data, larger), GRID)
        check_labels_on_scan(LABELS, larger)
        check_labels_on_scan(shifted(LABELS, 0.2), GRID)
        empty = LabelMap(np.zeros_like(LABELS.data), shifted(LABELS, 500).grid)
        check_labels_on_scan(empty, GRID)


def test_labels_elsewhere_are_refused_with_both_places():
    away = shifted(LABELS, 300)
    with pytest.raises(InputError, match=r"fixed: .* none: they lie around .*, the sc"):
        check_labels_on_scan(away, GRID, name="fixed")


def test_a_header_that_was_changed_gets_a_warning():
    with pytest.warns(SuspiciousInputWarning, match="scan's shape.* 3 mm elsewhere"):
        check_labels_on_scan(shifted(LABELS, 3), GRID)
    mirrored = GRID.affine.copy()
    mirrored[:3, 0] *= -1  # as if read from right to left, about the first voxel
    with pytest.raises(InputError, match="voxels > 0 on the scan"):
        check_labels_on_scan(LabelMap(LABELS.data, Grid(GRID.shape, mirrored)), GRID)


def test_labels_of_another_shape_that_hardly_lie_on_the_scan_get_a_warning():
    data = np.pad(LABELS.data, ((0, 1), (0, 0), (0, 0)))
    beyond = shifted(LabelMap(data, Grid(data.shape, GRID.affine)), 6)
    with pytest.warns(SuspiciousInputWarning, match=r"only 60 % of its voxels > 0"):
        check_labels_on_scan(beyond, GRID)


def test_landmarks_that_lie_elsewhere_are_told():
    grid = Grid((10, 10, 10), np.diag([2.0, 2.0, 2.0, 1.0]))
    on_scan = np.full((9, 3), 9.0)
    check_points_on_scan(Points(on_scan), grid, name="points")
    check_points_on_scan(Points(np.empty((0, 3))), grid, name="points")
    with pytest.warns(SuspiciousInputWarning, match=r"points: only 50 % .* in this"):
        check_points_on_scan(Points(on_scan[:2] * [[1], [-1]]), grid, name="points")
    with pytest.warns(SuspiciousInputWarning, match=r"only 0 % .* \(209, 209"):
        check_points_on_scan(Points(on_scan + 200), grid, name="points")
