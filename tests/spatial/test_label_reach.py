"""The part of a grid that labels are moved to: it holds all of them, and not all."""

import numpy as np
import pytest

from support.scans import oblique_grid, smooth_field, smooth_spline, some_affine
from voltween.spatial import Affine, Grid, LabelMap, chain, label_reach

MOVING = Grid((40, 44, 48), np.diag([1.0, 1.2, 0.9, 1.0]))
FIXED = Grid((52, 48, 44), np.diag([1.0, 0.9, 1.1, 1.0]))
FLIPPED = np.diag([-1.0, 1.0, 1.0, 1.0])
FLIPPED[0, 3] = 40
TURNED = oblique_grid()
FIELD_GRID = Grid.centered(
    (13, 12, 11),
    center_mm=FIXED.center_mm,
    spacing_mm=(4.0, 4.5, 5.0),
    directions=TURNED.affine[:3, :3] / TURNED.spacing_mm,
)
TRANSFORMS = {
    "identity": Affine.identity(),
    "flipped": Affine(FLIPPED),
    "affine": some_affine(),
    "spline": smooth_spline(FIELD_GRID),
    "field": smooth_field(FIELD_GRID),
    "all": Affine(FLIPPED) @ smooth_spline(FIELD_GRID) @ smooth_field(FIELD_GRID, 1),
}


@pytest.fixture(autouse=True)
def small_grids_fixture(monkeypatch):
    monkeypatch.setattr(label_reach, "_FEW_VOXELS", 0)


def some_labels(*, first=(12, 15, 20), size=8):
    data = np.zeros(MOVING.shape, np.uint16)
    box = tuple(slice(n, n + size) for n in first)
    data[box] = np.random.default_rng(0).integers(1, 500, (size,) * 3)
    return LabelMap(data, MOVING)


def moved_everywhere(transform, labels, onto):
    """The steps of a transform, and the labels moved without regard to their place."""
    steps = [p.matrix if isinstance(p, Affine) else p.warp() for p in transform.parts()]
    whole = np.array([(0, n) for n in onto.shape])
    link = chain.between_grids(steps, onto=onto, moving=labels.grid)
    return steps, chain.pick(link, labels.data, onto.shape, whole)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("first", [(0, 0, 0), (12, 15, 20), (32, 36, 40)])
def test_all_labels_lie_within_reach(name, first):
    labels, transform = some_labels(first=first), TRANSFORMS[name]
    steps, everywhere = moved_everywhere(transform, labels, FIXED)
    reach = label_reach.reach_of_labels(labels, steps, FIXED)
    inside = np.zeros(FIXED.shape, bool)
    inside[tuple(slice(*ends) for ends in reach)] = True
    assert not everywhere[~inside].any()
    np.testing.assert_array_equal(
        transform.resample(labels, onto=FIXED).data, everywhere
    )


@pytest.mark.parametrize("name", ["identity", "flipped", "affine"])
def test_most_of_the_grid_is_out_of_reach_of_a_small_structure(name):
    steps, _ = moved_everywhere(TRANSFORMS[name], some_labels(), FIXED)
    reach = label_reach.reach_of_labels(some_labels(), steps, FIXED)
    assert np.diff(reach).prod() < 0.1 * np.prod(FIXED.shape)


def test_the_identity_reaches_one_voxel_around():
    labels = some_labels()
    reach = label_reach.reach_of_labels(labels, [np.eye(4)], MOVING)
    expected = [(n - 1, n + 9) for n in (12, 15, 20)]
    np.testing.assert_array_equal(reach, expected)


def test_a_map_without_labels_reaches_nothing():
    empty = LabelMap(np.zeros(MOVING.shape, np.uint8), MOVING)
    assert not np.diff(label_reach.reach_of_labels(empty, [np.eye(4)], FIXED)).any()
    assert not Affine.identity().resample(empty, onto=FIXED).data.any()


def test_labels_beyond_the_grid_reach_nothing():
    far = Grid(FIXED.shape, FIXED.pad(400).affine)
    assert not Affine.identity().resample(some_labels(), onto=far).data.any()
