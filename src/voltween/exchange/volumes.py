"""Images and label maps from and to images of nibabel and SimpleITK."""

from typing import Any, cast

import SimpleITK as sitk

from voltween.exchange.arguments import V, check_is_image_of
from voltween.io import (
    NibabelImage,
    image_to_itk,
    volume_from_nibabel,
    volume_from_sitk,
)
from voltween.spatial import Image, LabelMap


def from_nibabel(image: object, kind: type[V]) -> V:
    """Makes an image or a label map, in RAS+ mm, of an image of nibabel.

    Its lengths are in the unit that its header states.

    Raises:
        InputError: If it is something else, not one 3D volume of real numbers, or if
            its file cannot be read.
    """
    check_is_image_of("nibabel", image, NibabelImage, kind)
    return kind(*volume_from_nibabel(cast("NibabelImage", image)))


def from_sitk(image: object, kind: type[V]) -> V:
    """Makes an image or a label map (RAS+ mm) of an image of SimpleITK (LPS+ mm).

    Raises:
        InputError: If it is something else, or not one 3D volume of real numbers.
    """
    check_is_image_of("SimpleITK", image, sitk.Image, kind)
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
