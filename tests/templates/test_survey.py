"""The survey of a scan before a template is made."""

import numpy as np
import pytest

from voltween.errors import InputError
from voltween.spatial import Grid, Image
from voltween.templates.survey import survey_image


def scan_of(data):
    return Image(data.astype(np.float32), Grid(data.shape, np.eye(4)))


@pytest.mark.parametrize("lowest", [-5, 0, 3])
def test_a_scan_whose_brightest_voxels_are_clipped_is_normalized_by_them(lowest):
    """Many programs clip the brightest percent: 98 % of the foreground has no more."""
    data = np.full((12, 10, 8), lowest)
    data[3:9, 3:7, 2:6] = np.arange(96).reshape(6, 4, 4) * 2 + 10
    data = np.minimum(data, 180)
    assert survey_image(scan_of(data)).range == (min(lowest, 0), 180)


def test_intensities_of_a_mask_are_those_of_its_two_values():
    data = np.random.default_rng(0).random((12, 10, 8)) > 0.5
    assert survey_image(scan_of(data)).range == (0, 1)


def test_few_bright_voxels_do_not_count():
    data = np.zeros((12, 10, 8))
    data[3:9, 3:7, 2:6] = 100 + np.arange(96).reshape(6, 4, 4) / 96
    data[5, 5, 4] = 5000
    assert survey_image(scan_of(data)).range[1] == pytest.approx(101, abs=0.1)


def test_a_constant_scan_is_refused():
    with pytest.raises(InputError, match="constant"):
        survey_image(scan_of(np.ones((12, 10, 8))))
