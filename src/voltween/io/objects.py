"""Makes images of files, arrays, and images of nibabel and SimpleITK."""

import os
import warnings
import zlib
from typing import Any, Protocol, TypeAlias, runtime_checkable

import nibabel
import numpy as np
import SimpleITK as sitk

from voltween.errors import AssumptionWarning, InputError
from voltween.io.itk import volume_from_itk
from voltween.io.nifti_header import mm_per_unit
from voltween.io.reading import read
from voltween.io.volume_file import check_is_volume
from voltween.spatial import Grid, Image, LabelMap
from voltween.storage import PathLike


@runtime_checkable
class NibabelImage(Protocol):
    """An image of nibabel, or of another package with the same interface."""

    @property
    def affine(self) -> Any:
        """Voxel (i, j, k) to RAS+ mm, (4, 4)."""

    @property
    def dataobj(self) -> Any:
        """The voxels, read when they are used."""

    def get_fdata(self) -> np.ndarray:
        """The voxels as floating-point numbers."""


ImageLike: TypeAlias = Image | PathLike | tuple[Any, Any] | sitk.Image | NibabelImage
"""Everything that `to_image` accepts."""

_ACCEPTED = (
    "an Image, the path of a file or DICOM folder, an array with its grid "
    "(array, Grid) or affine (array, 4x4 to RAS+ mm), or an image of nibabel or "
    "SimpleITK"
)


def to_image(thing: object) -> Image:
    """Makes an image in RAS+ mm of any of the accepted things; an image is kept.

    Args:
        thing: An image; the path of a file or DICOM folder; a pair of an array (I, J,
            K) and its grid, or its affine from voxels to RAS+ mm; or an image of
            nibabel (RAS+, in the unit of its header) or SimpleITK (LPS+ mm).

    Raises:
        InputError: If it is something else, cannot be read, or holds anything but one
            finite 3D image.
    """
    if isinstance(thing, Image):
        return thing
    if isinstance(thing, str | os.PathLike):
        return read(thing)
    if isinstance(thing, sitk.Image):
        return Image(*volume_from_sitk(thing))
    if isinstance(thing, NibabelImage):
        return Image(*volume_from_nibabel(thing))
    if isinstance(thing, tuple | list) and len(thing) == 2:
        return _image(*thing)
    raise _unknown(thing)


def volume_from_sitk(image: sitk.Image) -> tuple[np.ndarray, Grid]:
    """The voxels (I, J, K) of an image of SimpleITK (LPS+ mm) and their grid, RAS+ mm.

    Raises:
        InputError: If it is not one 3D volume of one number per voxel.
    """
    check_is_volume(image.GetSize(), image.GetNumberOfComponentsPerPixel())
    return volume_from_itk(image)


def volume_from_nibabel(image: NibabelImage) -> tuple[np.ndarray, Grid]:
    """The voxels (I, J, K) of an image of nibabel and their grid, RAS+ mm.

    An `AssumptionWarning` says if its header does not place it.

    Raises:
        InputError: If it is not one 3D volume of real numbers, or cannot be read.
    """
    try:
        data = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            about="image of nibabel",
            expected="a whole file behind it",
            got=f"one that cannot be read ({' '.join(str(error).split())[:100]})",
        ) from error
    check_is_volume(data.shape, 1)
    data = _numbers(data.reshape(data.shape[:3]), "image of nibabel")
    return data, Grid(data.shape, _affine_mm(image))


def _affine_mm(image: NibabelImage) -> np.ndarray:
    """Voxel (i, j, k) to RAS+ mm: in the unit that the header of a NIfTI states."""
    affine = _numbers(image.affine, "affine")
    header = getattr(image, "header", None)
    if not isinstance(header, nibabel.Nifti1Header):
        return affine
    if not header["qform_code"] and not header["sform_code"]:
        _warn(
            "its header does not say where left and right are: assumed, as nibabel "
            "does, that its axes run to the right, to the front and up; voltween.read "
            "assumes of such a file what ITK does"
        )
    if (mm := mm_per_unit(header)) is None:
        _warn("its unit of length has an unknown code: taken as mm")
    return np.diag([*[mm or 1.0] * 3, 1.0]) @ affine


def _warn(text: str) -> None:
    warnings.warn(f"image of nibabel: {text}", AssumptionWarning, stacklevel=4)


def _image(array: Any, place: Any) -> Image:
    """The image of an array and its grid or affine."""
    if isinstance(array, str | Image | LabelMap):
        raise _unknown((array, place))
    data = _numbers(array, "array")
    if data.ndim != 3:
        raise InputError(
            about="array", expected="a 3D array", got=f"one of shape {data.shape}"
        )
    if not isinstance(place, Grid):
        place = Grid(data.shape, _numbers(place, "affine"))
    return Image(data, place)


def _numbers(values: Any, about: str) -> np.ndarray:
    """The values as an array of real numbers."""
    array = np.asanyarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(
            about=about,
            expected="real numbers",
            got=f"{type(values).__name__} of {array.dtype}",
        )
    return array


def _unknown(thing: Any) -> InputError:
    """The error on a thing of another type."""
    advice = ""
    if isinstance(thing, LabelMap):
        advice = "give label maps as labels"
    elif type(thing).__module__.startswith("torchio."):
        advice = "Image.from_torchio makes an image of it"
    elif type(thing).__name__ == "Tensor":
        advice = "Image.from_torch makes an image of a tensor and its grid"
    elif isinstance(thing, np.ndarray):
        advice = "an array alone does not say where its voxels are"
    name = type(thing).__name__
    if isinstance(thing, tuple | list):
        name += " of " + (", ".join(type(item).__name__ for item in thing) or "nothing")
    return InputError(about="scan", expected=_ACCEPTED, got=name, advice=advice)
