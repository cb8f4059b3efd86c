"""Images and label maps from and to images of nibabel and SimpleITK."""

from typing import Any, TypeVar, cast

import SimpleITK as sitk

from voltween.errors import check_type
from voltween.io import (
    NibabelImage,
    image_to_itk,
    volume_from_nibabel,
    volume_from_sitk,
)
from voltween.spatial import Image, LabelMap

V = TypeVar("V", Image, LabelMap)


def from_nibabel(image: object, kind: type[V]) -> V:
    """Makes an image or a label map of an image of nibabel, both in RAS+ mm.

    Raises:
        InputError: If it is something else, or not one 3D volume of real numbers.
    """
    check_type(
        image,
        NibabelImage,
        about="image",
        expected="an image of nibabel",
        advice=advice_on(image, kind),
    )
    return kind(*volume_from_nibabel(cast("NibabelImage", image)))


def from_sitk(image: object, kind: type[V]) -> V:
    """Makes an image or a label map (RAS+ mm) of an image of SimpleITK (LPS+ mm).

    Raises:
        InputError: If it is something else, or not one 3D volume of real numbers.
    """
    check_type(
        image,
        sitk.Image,
        about="image",
        expected="an image of SimpleITK",
        advice=advice_on(image, kind),
    )
    return kind(*volume_from_sitk(image))


def to_nibabel(volume: Image | LabelMap) -> Any:
    """Makes a `Nifti1Image` with the voxels as stored, in RAS+ mm."""
    import nibabel

    stored = volume.stored
    image = nibabel.Nifti1Image(stored, volume.grid.affine, dtype=stored.dtype)
    image.header.set_xyzt_units("mm")
    return image


def to_sitk(volume: Image | LabelMap) -> sitk.Image:
    """Makes an image of SimpleITK with the voxels as stored, in LPS+ mm.

    Raises:
        InputError: If the grid is sheared, which ITK cannot say.
    """
    return image_to_itk(volume.stored, volume.grid)


def advice_on(thing: object, kind: type) -> str:
    """The method that takes a thing of another library; empty where there is none."""
    library = type(thing).__module__.split(".")[0]
    name = {"SimpleITK": "sitk"}.get(library, library)
    if library in ("nibabel", "SimpleITK", "torch", "torchio"):
        return f"{kind.__name__}.from_{name} takes it"
    if isinstance(thing, str):
        return "read a file with voltween.read"
    return ""
