"""Canonical grids and intensities of network input, in all storage orders."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_image,
    stored,
)
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.preprocessing import Preprocessing
from voltween.spatial import Affine, Grid, Image

PREPROCESSING = Preprocessing((16, 16, 16), (1.5, 1.5, 1.5))
HEAD = Preprocessing((32, 40, 32), (5.0, 5.0, 5.0), "head")
FOREGROUND = Preprocessing((32, 48, 48), (5.0, 5.0, 5.0), "foreground")


@functools.cache
def head_phantom(neck_mm=120.0):
    """A bright ellipsoid head on a neck, in a field of view wider than both."""
    grid = Grid.centered(
        (52, 60, 70),
        center_mm=np.array([5.0, -10.0, 30.0]),
        spacing_mm=(4.0, 4.0, 4.0),
        directions=np.eye(3),
    )
    r, a, s = np.moveaxis(grid.voxel_centers_mm() - [5, -5, 60], -1, 0)
    head = (r / 75) ** 2 + (a / 95) ** 2 + (s / 80) ** 2 < 1
    neck = ((r / 55) ** 2 + ((a + 20) / 55) ** 2 < 1) & (s < 0) & (s > -80 - neck_mm)
    data = 500.0 * head + 300.0 * neck
    noise = np.random.default_rng(0).uniform(0, 20, grid.shape)
    return Image(gaussian_filter(data, 0.7) + noise, grid)


@functools.cache
def normalized_once(preprocessing):
    """A scan that suits the rule, and what a network sees of it."""
    is_center = preprocessing is PREPROCESSING
    image = smooth_image(oblique_grid()) if is_center else head_phantom()
    return image, preprocessing.normalize(image)


@pytest.mark.parametrize(
    "preprocessing",
    [PREPROCESSING, HEAD, FOREGROUND],
    ids=["center", "head", "foreground"],
)
@pytest.mark.parametrize("order", STORAGE_ORDERS[::5])
def test_canonical_image_does_not_depend_on_storage_order(preprocessing, order):
    image, plain = normalized_once(preprocessing)
    again = preprocessing.normalize(stored(image, order))
    assert again.grid.is_close(plain.grid, 1e-6)
    np.testing.assert_allclose(again.data, plain.data, atol=1e-4)


def test_axes_can_rise_the_other_way():
    image, plain = normalized_once(PREPROCESSING)
    turned = replace(PREPROCESSING, axes="RPI").normalize(image)
    np.testing.assert_allclose(turned.data, plain.data[:, ::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(
        turned.grid.voxel_centers_mm(),
        plain.grid.voxel_centers_mm()[:, ::-1, ::-1],
        atol=1e-6,
    )


@pytest.mark.parametrize("axes", ["ARS", "RA", "RAX", ""])
def test_other_axes_are_refused(axes):
    with pytest.raises(InputError, match="axes: expected R or L, A or P, S or I"):
        replace(PREPROCESSING, axes=axes)


def test_canonical_grid_lies_in_ras_order_on_the_middle_of_the_scan():
    image = stored(smooth_image(oblique_grid()), ((2, 0, 1), (True, False, True)))
    grid = PREPROCESSING.canonical_grid(image)
    assert grid.axcodes == "RAS"
    np.testing.assert_allclose(grid.spacing_mm, 1.5)
    np.testing.assert_allclose(grid.center_mm, image.grid.center_mm)


def test_intensities_go_from_0_to_1_whatever_their_scale():
    image = smooth_image(oblique_grid())
    plain = PREPROCESSING.normalize(image)
    assert plain.data.min() == 0
    assert plain.data.max() == 1
    scaled = PREPROCESSING.normalize(Image(image.data * 1e-3, image.grid))
    np.testing.assert_allclose(scaled.data, plain.data, atol=1e-4)


@pytest.mark.parametrize("neck_mm", [0.0, 60.0, 120.0])
def test_head_is_placed_by_its_top_whatever_the_neck(neck_mm):
    grid = HEAD.canonical_grid(head_phantom(neck_mm))
    top_mm = grid.voxel_to_world(np.array([0, 0, 31.5]))[2]
    assert top_mm == pytest.approx(140, abs=12)  # the head ends at 140 mm
    np.testing.assert_allclose(grid.center_mm[:2], [5, -5], atol=5)


def test_head_rule_takes_the_middle_of_a_small_scan_without_a_head():
    image = smooth_image(oblique_grid((8, 8, 8)))
    np.testing.assert_allclose(
        HEAD.canonical_grid(image).center_mm, image.grid.center_mm
    )


class TestSurrounded:
    """What the grid is laid around, by which a plan judges whether it fits."""

    @pytest.mark.parametrize("neck_mm", [0.0, 120.0])
    def test_head_is_measured_as_far_down_as_the_grid_reaches(self, neck_mm):
        sides_mm = HEAD.surrounded_mm(head_phantom(neck_mm))
        np.testing.assert_allclose(sides_mm, [150, 190, 160], atol=13)

    def test_scan_without_a_head_is_measured_whole(self):
        image = smooth_image(oblique_grid((8, 8, 8)))
        sides_mm = sorted(8 * image.grid.spacing_mm)
        np.testing.assert_allclose(sorted(HEAD.surrounded_mm(image)), sides_mm)

    def test_foreground_and_scan_are_measured_along_the_axes_of_the_body(self):
        scan = stored(head_phantom(0.0), ((2, 0, 1), (True, False, True)))
        rules = replace(HEAD, placement="foreground")
        foreground_mm = rules.surrounded_mm(scan)
        np.testing.assert_allclose(foreground_mm, [150, 190, 160], atol=13)
        whole_mm = replace(HEAD, placement="grid centre").surrounded_mm(scan)
        plain = head_phantom(0.0).grid
        np.testing.assert_allclose(whole_mm, plain.spacing_mm * plain.shape)


def test_coarser_sampling_does_not_alias():
    """A checkerboard finer than the canonical voxels becomes a uniform gray."""
    grid = oblique_grid((48, 48, 48), spacing_mm=(0.5, 0.5, 0.5))
    board = (np.indices(grid.shape).sum(axis=0) % 2) * 100.0
    board[:24] += 400  # a step, so that there is contrast
    coarse = Preprocessing((16, 16, 16), (1.5, 1.5, 1.5)).normalize(Image(board, grid))
    for half in (coarse.data[2:6, 2:-2, 2:-2], coarse.data[-6:-2, 2:-2, 2:-2]):
        assert np.ptp(half) < 0.02


def test_labels_follow_their_image():
    labels = label_blocks(oblique_grid())
    fine = Preprocessing((40, 40, 40), (0.6, 0.6, 0.6))
    grid = fine.canonical_grid(smooth_image(oblique_grid()))
    on_grid = Affine.identity().resample(labels, onto=grid)
    assert on_grid.labels == labels.labels
    volume = (on_grid.data > 0).sum() * 0.6**3
    assert volume == pytest.approx((labels.data > 0).sum() * 1.1 * 1.7 * 2.3, rel=0.05)


def test_constant_images_are_refused():
    grid = oblique_grid()
    with pytest.raises(InputError, match="constant"):
        PREPROCESSING.normalize(Image(np.full(grid.shape, 3.0), grid))


def test_images_that_are_constant_where_the_model_looks_are_refused():
    grid = oblique_grid((60, 60, 60), spacing_mm=(1.0, 1.0, 1.0))
    data = np.zeros(grid.shape)
    data[:3, :3, :3] = np.random.default_rng(0).random((3, 3, 3))
    with pytest.raises(InputError, match="within the region the model sees"):
        PREPROCESSING.normalize(Image(data, grid))


def test_label_maps_given_as_images_are_told():
    labels = label_blocks(oblique_grid())
    with pytest.warns(SuspiciousInputWarning, match="^the scan looks like a label map"):
        PREPROCESSING.normalize(Image(labels.data, labels.grid))


def test_impossible_rules_are_refused():
    with pytest.raises(InputError, match="rising values within 0 to 100"):
        Preprocessing((16, 16, 16), (1.0, 1.0, 1.0), intensity_percentiles=(90.0, 10.0))
    with pytest.raises(InputError, match="positive values"):
        Preprocessing((16, 16, 16), (1.0, 0.0, 1.0))


def test_real_heads_are_inside_the_brain_models_grid(shared_data):
    from voltween import io
    from voltween.cohorts import mask_by_labels, read_manifest

    rule = Preprocessing((64, 80, 64), (2.5, 2.5, 2.5), "head")
    for case in read_manifest(shared_data / "brain_ixi" / "cases.csv")[:6]:
        image, labels = io.read(case.image), io.read_labels(case.labels)
        brain_mm3 = (labels.data > 0).sum() * labels.grid.spacing_mm.prod()
        for scan in (image, mask_by_labels(image, labels)):
            grid = rule.canonical_grid(scan)
            visible = Affine.identity().resample(labels, onto=grid)
            assert (visible.data > 0).sum() * 2.5**3 > 0.98 * brain_mm3


@pytest.mark.parametrize("offset", [0, 1000])
def test_hounsfield_window_is_the_same_with_and_without_1000_added(offset):
    grid = Grid.centered(
        (16, 16, 16), center_mm=np.zeros(3), spacing_mm=(1.5,) * 3, directions=np.eye(3)
    )
    units = np.full(grid.shape, -1000.0)
    units[4:12, 4:12, 4:12] = 200.0
    units[0] += np.random.default_rng(0).uniform(0, 1, grid.shape[1:])
    units[6:8, 6:8, 6:8] = 2000.0
    preprocessing = Preprocessing(
        (16, 16, 16), (1.5,) * 3, hounsfield_window=(-300.0, 700.0)
    )
    scaled = preprocessing.normalize(Image(units + offset, grid)).data
    assert (scaled[0, 0, 0], scaled[7, 7, 7]) == (0, 1)
    assert scaled[10, 10, 10] == pytest.approx(0.5)


def test_falling_hounsfield_window_is_refused():
    with pytest.raises(InputError, match="two rising values"):
        Preprocessing((16, 16, 16), (1.0,) * 3, hounsfield_window=(700.0, -300.0))


@pytest.mark.parametrize("background", [0.0, 700.0])
def test_a_scan_may_continue_as_bright_as_its_border(background):
    grid = oblique_grid((10, 10, 10), spacing_mm=(2.0, 2.0, 2.0))
    data = np.full(grid.shape, background)
    data[3:7, 3:7, 3:7] = 300 + 10 * np.indices((4, 4, 4)).sum(0)
    scan = Image(data, grid)
    rule = Preprocessing((16, 16, 16), (2.0, 2.0, 2.0), surroundings="border")
    bright = rule.normalize(scan).data
    beyond = bright[:2], bright[:, -2:], bright[..., :2]
    inside = bright[4, 4, 4]  # background of the scan itself
    for part in beyond:
        np.testing.assert_allclose(part, inside, atol=1e-4)
    dark = replace(rule, surroundings="dark").normalize(scan).data
    np.testing.assert_allclose(dark[:2], 0, atol=1e-6)
