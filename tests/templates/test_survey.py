"""The survey of a scan before a template is made."""

import numpy as np
import pytest

from voltween.errors import InputError
from voltween.spatial import Grid, Image
from voltween.templates.survey import survey_image


def test_a_scan_whose_foreground_is_as_dark_as_its_outside_is_refused():
    """Its intensities could not be normalized: they would be NaN."""
    data = (np.random.default_rng(0).random((12, 10, 8)) > 0.5).astype(np.float32)
    with pytest.raises(InputError, match="brighter than its outside"):
        survey_image(Image(data, Grid(data.shape, np.eye(4))))
