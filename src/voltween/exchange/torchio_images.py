"""Images and label maps from and to images of TorchIO, which are in RAS+ mm."""

from typing import Any

import numpy as np

from voltween.errors import InputError
from voltween.exchange.arguments import V, check_is_image_of
from voltween.exchange.tensors import from_torch, to_torch
from voltween.process import require
from voltween.spatial import Grid, Image, LabelMap


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
        InputError: If it is something else, has several channels, its file cannot be
            read, or if an image is to be made of a label map.
        MissingPackageError: If TorchIO is not installed.
    """
    torchio = _import_torchio()
    check_is_image_of("TorchIO", image, torchio.Image, kind)
    if kind is Image and isinstance(image, torchio.LabelMap):
        raise InputError(
            about="image",
            expected="a ScalarImage of TorchIO",
            got="its LabelMap",
            advice="LabelMap.from_torchio takes it",
        )
    voxels = _voxels(image)
    if len(voxels) != 1:
        raise InputError(
            about="image of TorchIO", expected="one channel", got=len(voxels)
        )
    grid = Grid(tuple(voxels.shape[1:]), np.asarray(image.affine))
    return from_torch(voxels, grid, kind)


def _voxels(image: Any) -> Any:
    """The tensor (C, I, J, K), which TorchIO reads from the file when it is needed."""
    try:
        return image.data
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # SimpleITK and nibabel raise many kinds
        raise InputError(
            about="image of TorchIO",
            expected="a file that TorchIO can read",
            got=f"one that it cannot ({' '.join(str(error).split())[:100]})",
        ) from error


def _import_torchio() -> Any:
    require("torchio", extra="torchio", purpose="images of TorchIO")
    import torchio

    return torchio
