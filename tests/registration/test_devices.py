"""Registration and refinement with a model on every device, as on the CPU."""

import numpy as np
import pytest

from support.devices import each_device
from support.scans import FIXED, MOVING, random_points_mm, tiny_model
from voltween.refinement import Level, Refinement
from voltween.registration import register

QUICK = Refinement((Level(2, 10, 0.5, 4),))


@each_device
@pytest.mark.parametrize("refinement", [None, QUICK], ids=["network", "refined"])
def test_the_transform_is_that_of_the_cpu(refinement, device):
    model = tiny_model(strength=0.1)
    results = [
        register(FIXED, MOVING, model=one, refinement=refinement)
        for one in (model, model.to(device))
    ]
    points_mm = random_points_mm(FIXED.grid)
    expected_mm, found_mm = (
        result.fixed_to_moving.map_positions(points_mm) for result in results
    )
    errors_mm = np.linalg.norm(found_mm - expected_mm, axis=1)
    assert np.median(errors_mm) < (0.01 if refinement is None else 0.1)
    assert results[1].verdict.grade == results[0].verdict.grade
