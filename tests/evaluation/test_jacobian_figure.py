"""Maps of volume change and folding."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from support.scans import oblique_grid, smooth_image
from voltween.cohorts import Scan
from voltween.evaluation import ComparedPair, PairScore
from voltween.evaluation.comparison import MethodResult
from voltween.evaluation.jacobian_figure import (
    jacobian_figure,
    volume_change,
)
from voltween.evaluation.records import Record
from voltween.spatial import Affine, DisplacementField, Grid

GRID = Grid((20, 18, 16), np.diag([2.0, 2.0, 2.0, 1.0]))


def folding_field():
    """Voxels 9 and 10 along i change places; all else stays."""
    vectors_mm = np.zeros((*GRID.shape, 3))
    vectors_mm[9, 4:14, 4:12, 0], vectors_mm[10, 4:14, 4:12, 0] = 4.0, -4.0
    return DisplacementField(GRID, vectors_mm)


def figure_of(transform, folding_percent=0.0):
    score = PairScore(
        method="known", fixed="a", moving="b", folding_percent=folding_percent
    )
    scan = Scan("a", smooth_image(GRID), None, None)
    methods = {"known": MethodResult(transform, Record(score))}
    return jacobian_figure(ComparedPair(scan, scan, methods, "made"))


def maps_of(figure):
    """Of the method's column: the shown volume changes, and their folding overlays."""
    panels = [figure.axes[n] for n in (1, 3, 5)]
    return [[np.asarray(i.get_array()) for i in p.get_images()] for p in panels]


@pytest.mark.parametrize(("scale", "log2"), [(2.0, 3.0), (1.0, 0.0), (0.5, -3.0)])
def test_growth_is_log2_of_moving_over_fixed_volume(scale, log2):
    growth, folding = volume_change(
        Affine(np.diag([scale, scale, scale, 1.0])), oblique_grid((8, 9, 7))
    )
    np.testing.assert_allclose(growth.data, log2, atol=1e-9)
    assert not folding.data.any()


def test_a_mirror_folds_everywhere():
    _, folding = volume_change(Affine(np.diag([-1.0, 1, 1, 1])), oblique_grid())
    assert folding.data.all()


def test_folding_is_where_the_field_folds_and_nowhere_else():
    _, folding = volume_change(folding_field(), GRID)
    where = np.argwhere(folding.data)
    assert len(where) > 0
    assert where.min(axis=0)[0] >= 8
    assert where.max(axis=0)[0] <= 11
    assert folding.data[9:11, 6:12, 6:10].all()
    assert 100 * folding.data.mean() == pytest.approx(folding_field().folding_percent())


def test_folding_voxels_are_yellow_in_the_planes_that_cut_them():
    figure = figure_of(folding_field(), folding_percent=1.25)
    maps = maps_of(figure)
    for _, overlay in maps:
        folded = overlay[..., 3] > 0
        assert folded.any()
        assert np.allclose(overlay[folded], to_rgba("#FFD800"))
    axial = maps[0][1][..., 3] > 0
    columns = np.flatnonzero(axial.any(axis=0))
    # 20 voxels fill the window's 240 pixels, 12 pixels a voxel.
    assert columns.min() >= 8 * 12
    assert columns.max() < 12 * 12
    assert figure.axes[5].get_xlabel() == "1.2 % of voxels fold"


def test_the_map_shows_the_change_within_the_fixed_scan_and_nothing_beyond():
    figure = figure_of(Affine(np.diag([2.0, 1.0, 1.0, 1.0])))
    change, overlay = maps_of(figure)[0]
    assert np.allclose(change[120, 10:230], 1.0)
    assert not (overlay[..., 3] > 0).any()
    shown = np.ma.masked_invalid(change)
    assert shown.mask[0].all()  # the scan is less deep than wide
    assert not shown.mask[120].any()
    assert figure.axes[1].get_images()[0].get_clim() == (-1.5, 1.5)
