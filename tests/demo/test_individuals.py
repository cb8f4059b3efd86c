"""Simulated individuals: storage, seed, deformation and true transform."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from support.scans import label_blocks, smooth_image
from voltween.demo.individuals import (
    Individuality,
    make_individual,
    true_fixed_to_moving,
)
from voltween.metrics import dice_per_label
from voltween.spatial import Grid, Image

GRID = Grid.centered(
    (40, 44, 36),
    center_mm=np.array([0.0, -10.0, 5.0]),
    spacing_mm=(4.0, 4.0, 4.0),
    directions=np.eye(3),
)
LABELS = label_blocks(GRID)
TEMPLATE = Image(
    gaussian_filter((LABELS.data > 0) * (200 + smooth_image(GRID).data / 10), 0.8), GRID
)
PLAIN = Individuality(1, "RAS", (4.0, 4.0, 4.0), (0.0,) * 3, (0.0,) * 3)
ONE = Individuality(2, "PSR", (3.0, 4.0, 5.0), (5.0, -3.0, 4.0), (10.0, 20.0, -30.0))
OTHER = Individuality(
    3,
    "LAI",
    (5.0, 3.0, 4.0),
    (-6.0, 2.0, 3.0),
    (-40.0, 0.0, 10.0),
    gamma=0.7,
    scan_tilt_degrees=(4.0, 5.0, -6.0),
    scan_offset_mm=(5.0, -4.0, 6.0),
)


def test_individuals_are_stored_as_asked():
    individual = make_individual(TEMPLATE, LABELS, ONE)
    assert individual.image.grid.axcodes == "PSR"
    np.testing.assert_allclose(individual.image.grid.spacing_mm, (3, 4, 5))
    assert individual.labels.grid is individual.image.grid
    assert set(individual.labels.labels) == set(LABELS.labels)


def test_one_seed_gives_one_individual():
    one, same = (make_individual(TEMPLATE, LABELS, ONE) for _ in range(2))
    np.testing.assert_array_equal(one.image.data, same.image.data)
    other = make_individual(TEMPLATE, LABELS, PLAIN)
    assert other.image.data.shape != one.image.data.shape


def test_largest_displacement_is_as_asked_and_nothing_folds():
    field = make_individual(TEMPLATE, LABELS, ONE).to_template.parts()[0]
    assert np.linalg.norm(field.vectors_mm, axis=-1).max() == pytest.approx(8)
    assert field.folding_percent() == 0


def test_the_true_transform_lays_one_individual_on_the_other():
    fixed, moving = (make_individual(TEMPLATE, LABELS, c) for c in (ONE, OTHER))
    truth = true_fixed_to_moving(fixed, moving)
    moved = truth.resample(moving.labels, onto=fixed.labels.grid)
    dice = dice_per_label(fixed.labels.data, moved.data)
    assert min(dice.values()) > 0.85  # both were cut into coarse voxels
