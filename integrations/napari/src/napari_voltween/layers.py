"""Layers of napari as images in scanner space, and images as layers."""

from typing import Any

import numpy as np

import voltween as vt
from voltween.spatial import reorder_volume_to_ras

MARK = "voltween"
"""Key in the metadata of layers whose world is known to be R, A, S in mm."""


def volume_of(layer: Any, kind: type = vt.Image) -> Any:
    """The image or label map (`kind`) that a layer shows, in the world of the viewer.

    Scale, rotation, shear, translation and affine of the layer are all regarded.

    Raises:
        InputError: If the layer is not one 3D volume of one number per voxel.
    """
    if layer is None:
        raise vt.InputError(about="layer", expected="a layer", got="none chosen")
    problem = _problem(layer)
    if problem:
        raise vt.InputError(
            about=layer.name,
            expected="a 3D volume with one number per voxel",
            got=problem,
        )
    data = np.asarray(layer.data)
    return kind(data, vt.Grid(data.shape, affine_of(layer)))


def affine_of(layer: Any) -> np.ndarray:
    """The map from voxels of a 3D layer to the world of the viewer, (4, 4)."""
    corners = np.vstack([np.zeros(3), np.eye(3)])
    origin, *ends = (np.asarray(layer.data_to_world(corner)) for corner in corners)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([end - origin for end in ends], axis=1)
    affine[:3, 3] = origin
    return affine


def is_placed(layer: Any) -> bool:
    """Whether the layer's world is known to be R, A, S in mm."""
    return bool(layer.metadata.get(MARK))


def layer_of(volume: Any, name: str, **options: Any) -> tuple[Any, dict[str, Any], str]:
    """An image or label map as the data of a layer that lies where it does.

    Its axes are put in the order R, A, S: napari cannot show a slice of a layer whose
    axes are in another order than those of the world.
    """
    volume = reorder_volume_to_ras(volume)
    kind = "labels" if isinstance(volume, vt.LabelMap) else "image"
    options = {
        "name": name,
        "affine": volume.grid.affine,
        "metadata": {MARK: True},
        **options,
    }
    return np.asarray(volume.data), options, kind


def _problem(layer: Any) -> str:
    if getattr(layer, "multiscale", False):
        return "a pyramid of several resolutions"
    if getattr(layer, "rgb", False):
        return "colors"
    if layer.ndim != 3:
        return f"{layer.ndim} dimensions"
    return ""
