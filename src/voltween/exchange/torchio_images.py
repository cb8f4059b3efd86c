"""Images and label maps from and to images of TorchIO, which are in RAS+ mm."""

from typing import Any, TypeVar

import numpy as np

from voltween.errors import InputError, check_type
from voltween.exchange.tensors import from_torch, to_torch
from voltween.exchange.volumes import advice_on
from voltween.process import require
from voltween.spatial import Grid, Image, LabelMap

V = TypeVar("V", Image, LabelMap)


def to_torchio(volume: Image | LabelMap) -> Any:
    """Makes a `ScalarImage` of TorchIO, or of a label map a `LabelMap`.

    Raises:
        MissingPackageError: If TorchIO is not installed.
    """
    torchio = _import_torchio()
    kind = torchio.LabelMap if isinstance(volume, LabelMap) else torchio.ScalarImage
    return kind(tensor=to_torch(volume)[0], affine=volume.grid.affine.copy())


def from_torchio(image: Any, kind: type[V]) -> V:
    """Makes an image or a label map of an image of TorchIO with one channel.

    Raises:
        InputError: If it is something else, has several channels, or if an image is to
            be made of a label map.
        MissingPackageError: If TorchIO is not installed.
    """
    torchio = _import_torchio()
    check_type(
        image,
        torchio.Image,
        about="image",
        expected="an image of TorchIO",
        advice=advice_on(image, kind),
    )
    if kind is Image and isinstance(image, torchio.LabelMap):
        raise InputError(
            about="image",
            expected="a ScalarImage of TorchIO",
            got="its LabelMap",
            advice="LabelMap.from_torchio takes it",
        )
    voxels = image.data
    if len(voxels) != 1:
        raise InputError(
            about="image of TorchIO", expected="one channel", got=len(voxels)
        )
    grid = Grid(tuple(voxels.shape[1:]), np.asarray(image.affine))
    return from_torch(voxels, grid, kind)


def _import_torchio() -> Any:
    require("torchio", extra="torchio", purpose="images of TorchIO")
    import torchio

    return torchio
