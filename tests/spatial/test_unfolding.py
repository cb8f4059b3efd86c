"""Transforms without folds: at their own voxels, on other grids, and to SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, gaussian_filter

from support.scans import oblique_grid, smooth_field, some_affine
from voltween.errors import InputError
from voltween.spatial import (
    Affine,
    DisplacementField,
    Grid,
    SplineField,
    remove_folds,
)
from voltween.spatial.field_smoothing import smallest_determinants

GRID = oblique_grid((28, 26, 27), spacing_mm=(1.5, 1.8, 1.3))


def folding_field(strength=1.1, *, sigma=2.0, seed=0):
    """A smooth field at rest at its border; some percent of its voxels fold."""
    rng = np.random.default_rng(seed)
    flow = [gaussian_filter(rng.standard_normal(GRID.shape), sigma) for _ in "ijk"]
    fade = np.zeros(GRID.shape)
    fade[4:-4, 4:-4, 4:-4] = 1
    flow = np.stack(flow) / np.std(flow) * strength * gaussian_filter(fade, 1.5)
    flow[:, [0, -1]] = flow[:, :, [0, -1]] = flow[:, :, :, [0, -1]] = 0
    return DisplacementField.from_flow(flow, GRID)


def grid_around(spacing_mm, *, grid=GRID, seed=7, scale=1.0):
    """An oblique grid over the middle of the field's; `scale` is the share of it."""
    length_mm = np.array(grid.shape) * grid.spacing_mm * scale
    i, j, k = (int(n) for n in length_mm / spacing_mm)
    directions = oblique_grid(seed=seed, spacing_mm=(1.0, 1.0, 1.0)).affine[:3, :3]
    return Grid.centered(
        (i, j, k),
        center_mm=grid.center_mm + 0.4,
        spacing_mm=spacing_mm,
        directions=directions,
    )


def fields_of(transform):
    return [part for part in transform.parts() if isinstance(part, DisplacementField)]


@pytest.mark.parametrize(
    "spacing_mm", [(0.7, 0.8, 0.9), (1.1, 0.8, 4.0), (3.1, 2.6, 2.9)]
)
@pytest.mark.parametrize("strength", [1.5, 2.3])
def test_nothing_folds_on_finer_and_coarser_grids(strength, spacing_mm):
    field, onto = folding_field(strength), grid_around(spacing_mm)
    transform = some_affine() @ field
    assert field.folding_percent() > (0.3 if strength < 2 else 5)
    assert transform.to_field(onto).folding_percent() > 0
    unfolded = remove_folds(transform, onto=onto)
    assert unfolded.folding_percent == 0
    assert unfolded.transform.to_field(onto).folding_percent() == 0
    (smoothed_field,) = fields_of(unfolded.transform)
    assert smoothed_field.folding_percent() == 0
    assert smallest_determinants(smoothed_field.to_flow()).min() > 0
    assert (
        unfolded.transform.parts()[0].matrix.tolist() == some_affine().matrix.tolist()
    )


def test_transform_without_folds_is_the_same_object():
    transform = some_affine() @ smooth_field(GRID)
    for one in (transform, some_affine(), smooth_field(GRID)):
        unfolded = remove_folds(one, onto=grid_around((2.0, 2.0, 2.0)))
        assert unfolded.transform is one
        assert unfolded.folding_percent == 0


def test_field_stays_as_it_is_away_from_folds():
    field = folding_field(0.9)
    unfolded = remove_folds(field, onto=grid_around((1.0, 1.1, 1.2)))
    is_far = distance_transform_edt(smallest_determinants(field.to_flow()) > 0) > 6
    assert is_far.mean() > 0.05
    assert np.array_equal(
        unfolded.transform.vectors_mm[is_far], field.vectors_mm[is_far]
    )
    changes = np.linalg.norm(unfolded.transform.to_flow() - field.to_flow(), axis=0)
    assert changes.max() < 2
    assert changes.mean() < 0.1


def test_fold_that_only_a_finer_grid_shows_is_removed():
    flow = np.zeros((3, *GRID.shape))
    flow[0, 12, 12, 12], flow[0, 13, 12, 12] = 1, -1  # two voxels in each other's place
    field = DisplacementField.from_flow(flow, GRID)
    finer = grid_around((0.4, 0.5, 0.4), scale=0.3)
    assert field.folding_percent() == 0
    assert field.to_field(finer).folding_percent() > 0
    unfolded = remove_folds(field, onto=finer)
    assert unfolded.transform.to_field(finer).folding_percent() == 0


def test_fold_seen_at_the_field_alone_is_removed():
    # The grid lies beside the fold; the other way round of the test above.
    field, onto = folding_field(), grid_around((1.5, 1.5, 1.5), scale=0.1)
    assert field.to_field(onto).folding_percent() == 0 < field.folding_percent()
    unfolded = remove_folds(field, onto=onto)
    assert unfolded.transform.folding_percent() == 0


def test_every_field_of_a_chain_is_unfolded():
    inner, outer = folding_field(), folding_field(seed=1)
    transform = outer @ Affine(np.diag([1.1, 0.9, 1, 1])) @ inner
    onto = grid_around((1.1, 1.2, 1.0))
    unfolded = remove_folds(transform, onto=onto)
    assert unfolded.transform.to_field(onto).folding_percent() == 0
    assert [f.folding_percent() for f in fields_of(unfolded.transform)] == [0, 0]
    assert len(unfolded.transform.parts()) == 3


def test_simpleitk_sees_no_fold_either():
    onto = grid_around((0.9, 1.0, 1.1))
    transform = some_affine() @ folding_field()
    unfolded = remove_folds(transform, onto=onto).transform
    before, after = (sitk_determinants(t.to_field(onto)) for t in (transform, unfolded))
    assert before.min() < 0 < after.min()


def sitk_determinants(field):
    """SimpleITK's, in single precision, inside: its border is made another way."""
    vectors = np.moveaxis(field.to_flow()[::-1], 0, -1).astype(np.float32)
    image = sitk.GetImageFromArray(vectors, isVector=True)
    determinants = sitk.DisplacementFieldJacobianDeterminant(image)
    return sitk.GetArrayFromImage(determinants)[1:-1, 1:-1, 1:-1]


def test_field_that_moves_at_its_border_is_unfolded_on_its_own_grid():
    flow = np.stack(
        [
            gaussian_filter(np.random.default_rng(n).standard_normal(GRID.shape), 2)
            for n in range(3)
        ]
    )
    field = DisplacementField.from_flow(flow / flow.std() * 1.3, GRID)
    folds = field.jacobian_determinant() <= 0
    assert folds[[0, -1]].any()
    unfolded = remove_folds(field, onto=GRID)
    assert unfolded.folding_percent == unfolded.transform.folding_percent() == 0


def test_tear_around_a_field_is_closed_as_far_as_it_goes():
    # It ends in displacements of 3 voxels, and beyond it nothing moves.
    small = oblique_grid((18, 16, 17), spacing_mm=(1.5, 1.8, 1.3))
    field = DisplacementField.from_flow(np.full((3, *small.shape), 3.0), small)
    onto = grid_around((1.2, 1.3, 1.1), grid=small, scale=1.2)
    before = field.to_field(onto).folding_percent()
    unfolded = remove_folds(field, onto=onto)
    assert unfolded.folding_percent < before / 10
    left = unfolded.transform.to_field(onto).folding_percent()
    assert unfolded.folding_percent == pytest.approx(left)


def test_mirror_folds_everywhere_and_stays():
    mirror = Affine(np.diag([-1.0, 1, 1, 1])) @ smooth_field(GRID)
    unfolded = remove_folds(mirror, onto=GRID)
    assert unfolded.transform is mirror
    assert unfolded.folding_percent == 100


def test_two_mirrors_are_none():
    mirror = Affine(np.diag([-1.0, 1, 1, 1]))
    unfolded = remove_folds(mirror @ folding_field() @ mirror, onto=GRID)
    assert unfolded.folding_percent == 0


def test_slice_is_refused():
    with pytest.raises(InputError, match="at least 2 voxels along each axis"):
        remove_folds(folding_field(), onto=oblique_grid((20, 20, 1)))


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.8, 1.3), (0.7, 0.8, 0.9)])
def test_splines_are_unfolded_and_stay_splines(spacing_mm):
    folding = folding_field(1.5)
    field = SplineField(GRID, folding.vectors_mm)
    assert field.folding_percent() > 0.3
    unfolded, left_percent = remove_folds(field, onto=grid_around(spacing_mm))
    assert left_percent == 0
    assert isinstance(unfolded, SplineField)
    assert unfolded.folding_percent() == 0
