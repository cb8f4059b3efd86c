"""SimpleITK's own results, from arrays and transforms of this package."""

import numpy as np
import SimpleITK as sitk

LPS = np.array([-1.0, -1.0, 1.0])


def itk_image(data, grid):
    """An ITK image of numbers (I, J, K), or of vectors (I, J, K, C) as they are."""
    is_vector = data.ndim == 4
    order = (2, 1, 0, 3) if is_vector else (2, 1, 0)
    image = sitk.GetImageFromArray(
        np.ascontiguousarray(data.transpose(order)), isVector=is_vector
    )
    flip = np.diag(LPS)
    image.SetOrigin((flip @ grid.affine[:3, 3]).tolist())
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection((flip @ grid.affine[:3, :3] / grid.spacing_mm).ravel().tolist())
    return image


def itk_array(image):
    """The numbers of an ITK image, i first."""
    data = sitk.GetArrayFromImage(image)
    return data.transpose((2, 1, 0, 3) if data.ndim == 4 else (2, 1, 0))


def itk_affine(affine):
    """The affine map as ITK's."""
    flip = np.diag([*LPS, 1.0])
    matrix = flip @ affine.matrix @ flip
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def itk_field(field):
    """The displacement field as ITK's."""
    image = itk_image(field.vectors_mm * LPS, field.grid)
    return sitk.DisplacementFieldTransform(sitk.Cast(image, sitk.sitkVectorFloat64))


def itk_chain(*innermost_first):
    """ITK's composite, which applies what was added last first."""
    return sitk.CompositeTransform(list(reversed(innermost_first)))


def itk_resampled(image, transform, onto, way, fill=0.0):
    """The image resampled by SimpleITK, in its own type."""
    reference = itk_image(np.zeros(onto.shape, np.uint8), onto)
    moved = sitk.Resample(image, reference, transform, way, fill)
    return itk_array(moved)
