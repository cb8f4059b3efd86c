"""The grid of an image from its header alone."""

import numpy as np
import pytest

from support.scans import oblique_grid
from voltween import io
from voltween.errors import InputError
from voltween.io import check_header, grid_by_header
from voltween.spatial import Image


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_the_grid_is_that_of_the_image(name, tmp_path):
    grid = oblique_grid((5, 6, 7))
    io.write(Image(np.random.default_rng(0).random(grid.shape), grid), tmp_path / name)
    assert grid_by_header(tmp_path / name).is_close(grid)
    check_header(tmp_path / name)


def test_what_states_no_grid_has_none(tmp_path):
    (tmp_path / "text.nii").write_text("no scan")
    for path in (tmp_path, tmp_path / "text.nii", tmp_path / "missing.nii"):
        assert grid_by_header(path) is None


@pytest.mark.parametrize("name", ["text.nii", "missing.nii", "missing"])
def test_what_is_no_image_is_refused_by_its_header(name, tmp_path):
    (tmp_path / "text.nii").write_text("no scan")
    with pytest.raises(InputError, match=name):
        check_header(tmp_path / name)
