"""The part of a grid that labels are moved to: elsewhere nothing need be computed.

The labels of a brain fill less than half of the scan of a head.
"""

import math
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, Int, Integer

from voltween.spatial.chain import Matrix, Warp
from voltween.spatial.grid import Grid
from voltween.spatial.volume import LabelMap

_FEW_VOXELS = 2**18  # below, the search costs more than it saves
_MARGIN_VOXELS = 0.51  # half of a voxel that is taken, and rounding

_Ends = Int[np.ndarray, "3 2"]

_boxes: WeakKeyDictionary[LabelMap, _Ends] = WeakKeyDictionary()
"""Boxes of the labels in use: a registration moves them after each of its stages."""


def reach_of_labels(
    labels: LabelMap, steps: Sequence[Matrix | Warp], onto: Grid
) -> _Ends:
    """Returns the first voxel of `onto` that may get a label and that after the last.

    Along each axis; all others get 0.

    Args:
        labels: The label map, in moving space.
        steps: The transform from fixed to moving mm, outermost first (see `link`).
        onto: The grid, in fixed space.
    """
    whole = np.array([(0, n) for n in onto.shape])
    if math.prod(onto.shape) < _FEW_VOXELS:
        return whole
    ends = _labeled_box(labels)
    if (ends[:, 0] == ends[:, 1]).any():
        return np.zeros_like(whole)
    box = ends + np.array([-_MARGIN_VOXELS, _MARGIN_VOXELS - 1])
    box = _map_box(labels.grid.affine, box)
    for step in steps:
        if isinstance(step, Warp):
            # No displacement is larger than the largest vector or coefficient.
            reach_mm = max(float(step.field.max()), -float(step.field.min()))
            box = box + np.array([-reach_mm, reach_mm])
        else:
            box = _map_box(np.linalg.inv(step), box)
    voxels = _map_box(np.linalg.inv(onto.affine), box)
    reached = np.stack([np.floor(voxels[:, 0]), np.ceil(voxels[:, 1]) + 1], axis=1)
    return reached.clip(0, whole[:, 1:]).astype(np.int64)


def _labeled_box(labels: LabelMap) -> _Ends:
    """The first labeled voxel along each axis and that after the last."""
    if labels not in _boxes:
        _boxes[labels] = np.array([_ends(labels.data, axis) for axis in range(3)])
    return _boxes[labels]


def _ends(data: Integer[np.ndarray, "i j k"], axis: int) -> tuple[int, int]:
    others = tuple({0, 1, 2} - {axis})
    places = np.flatnonzero(data.any(axis=others))
    return (int(places[0]), int(places[-1]) + 1) if places.size else (0, 0)


def _map_box(matrix: Matrix, box: Float[np.ndarray, "3 2"]) -> Float[np.ndarray, "3 2"]:
    """The box along the axes around a mapped box."""
    corners = np.stack(np.meshgrid(*box, indexing="ij")).reshape(3, -1)
    mapped = matrix[:3, :3] @ corners + matrix[:3, 3:]
    return np.stack([mapped.min(axis=1), mapped.max(axis=1)], axis=1)
