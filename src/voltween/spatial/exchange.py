"""Images and label maps from and to the objects of other libraries.

The conversions themselves are in the package `voltween.exchange`, which is above this
one and is imported when one of them is called.
"""

from importlib import import_module
from typing import Any, TypeVar

import numpy as np

V = TypeVar("V", bound="Exchange")


class Exchange:
    """The conversions of an image or a label map."""

    __slots__ = ()
    data: np.ndarray

    @classmethod
    def from_nibabel(cls: type[V], image: Any) -> V:
        """Makes one of an image of nibabel, (I, J, K) with an affine to RAS+.

        Its lengths are in the unit that its header states. An `AssumptionWarning` says
        if its header does not place it.

        Raises:
            InputError: If it is something else, not one 3D volume of real numbers, or
                if its file cannot be read.
        """
        return _conversions().from_nibabel(image, cls)

    @classmethod
    def from_sitk(cls: type[V], image: Any) -> V:
        """Makes one of an image of SimpleITK, which has its axes in LPS+ mm.

        Raises:
            InputError: As `from_nibabel`.
        """
        return _conversions().from_sitk(image, cls)

    @classmethod
    def from_torch(cls: type[V], tensor: Any, grid: Any) -> V:
        """Makes one of a tensor of PyTorch and the grid of its voxels.

        Args:
            tensor: (I, J, K), also with axes of length 1 before, on any device. It is
                copied.
            grid: The grid, in RAS+ mm: a tensor does not say where its voxels are.

        Raises:
            InputError: If it is something else, or has not the grid's shape.
        """
        return _conversions().from_torch(tensor, grid, cls)

    @classmethod
    def from_torchio(cls: type[V], image: Any) -> V:
        """Makes one of an image of TorchIO with one channel, in RAS+ mm.

        Raises:
            InputError: As `from_nibabel`; also if an image is to be made of a label
                map.
            MissingPackageError: If TorchIO is not installed.
        """
        return _conversions().from_torchio(image, cls)

    def to_nibabel(self) -> Any:
        """Makes a `Nifti1Image` of nibabel, in RAS+ mm and the type of `stored`."""
        return _conversions().to_nibabel(self)

    def to_sitk(self) -> Any:
        """Makes an image of SimpleITK, in LPS+ mm and the type of `stored`.

        Raises:
            InputError: If the grid is sheared, which ITK cannot say.
        """
        return _conversions().to_sitk(self)

    def to_torch(self) -> Any:
        """Makes a tensor of PyTorch, (1, 1, I, J, K): a copy of the voxels.

        Intensities are float32, labels int64. The place is lost: keep the grid.
        """
        return _conversions().to_torch(self)

    def to_torchio(self) -> Any:
        """Makes a `ScalarImage` of TorchIO, or of a label map a `LabelMap`.

        Raises:
            MissingPackageError: If TorchIO is not installed.
        """
        return _conversions().to_torchio(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The voxels (I, J, K), for functions of NumPy; read-only unless copied.

        Raises:
            ValueError: If another type is wanted without a copy.
        """
        if dtype is not None and np.dtype(dtype) != self.data.dtype:
            if copy is False:
                raise ValueError(f"voxels of {self.data.dtype} as {dtype} are a copy")
            return self.data.astype(dtype)
        return self.data.copy() if copy else self.data


def _conversions() -> Any:
    return import_module("voltween.exchange")
