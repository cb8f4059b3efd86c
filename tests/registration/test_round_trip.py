"""The error of an inverse, slab by slab."""

import numpy as np

from support.scans import FIXED, smooth_field
from voltween.registration import round_trip
from voltween.registration.round_trip import round_trip_errors_mm
from voltween.spatial import Affine, Image


def test_slabs_give_the_errors_of_the_whole(monkeypatch):
    field = smooth_field(FIXED.grid)
    pair = field, Affine.identity()
    whole = round_trip_errors_mm(FIXED, *pair)
    monkeypatch.setattr(round_trip, "_SLAB_VOXELS", 700)
    np.testing.assert_allclose(round_trip_errors_mm(FIXED, *pair), whole, atol=1e-6)
    assert whole.max() > 0.5


def test_without_a_foreground_every_voxel_counts():
    dark = Image(np.zeros(FIXED.grid.shape), FIXED.grid)
    shift = np.eye(4)
    shift[0, 3] = 2
    errors_mm = round_trip_errors_mm(dark, Affine(shift), Affine.identity())
    assert errors_mm.size == dark.data.size
    np.testing.assert_allclose(errors_mm, 2)
