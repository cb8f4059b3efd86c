"""Registration by a model whose network is VoxelMorph-2."""

import numpy as np
import pytest
import torch

from support.scans import FIXED, MOVING, STORAGE_ORDERS, random_points_mm, stored
from support.voxelmorph import CUBE, some_model
from voltween.registration import register_by_network

pytest.importorskip("voxelmorph", reason="needs the extra `baselines`")


@pytest.mark.parametrize("order", STORAGE_ORDERS[5::14])
def test_registering_a_scan_stored_otherwise_gives_the_same(order):
    model = some_model()
    straight = register_by_network(FIXED, MOVING, model)
    for fixed, moving in (
        (stored(FIXED, order), MOVING),
        (FIXED, stored(MOVING, order)),
    ):
        turned = register_by_network(fixed, moving, model)
        points = random_points_mm(FIXED.grid)
        np.testing.assert_allclose(
            turned.fixed_to_moving.map_positions(points),
            straight.fixed_to_moving.map_positions(points),
            atol=1e-4,
        )


def test_registration_is_the_networks_flow_between_the_canonical_grids():
    model = some_model()
    result = register_by_network(FIXED, MOVING, model)
    fixed, moving = (model.preprocessing.normalize(i) for i in (FIXED, MOVING))
    tensors = [torch.from_numpy(i.data.copy())[None, None] for i in (fixed, moving)]
    with torch.no_grad():
        flow = model.network(*tensors).flow[0].numpy()
    assert [stage.name for stage in result.stages] == ["dense 1"]
    voxels = np.moveaxis(np.indices(CUBE), 0, -1).reshape(-1, 3)
    np.testing.assert_allclose(
        result.fixed_to_moving.map_positions(fixed.grid.voxel_to_world(voxels * 1.0)),
        moving.grid.voxel_to_world(voxels + flow.reshape(3, -1).T),
        atol=1e-4,
    )
