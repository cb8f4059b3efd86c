"""Transforms as ITK's files state them: kinds and numbers, in LPS+ mm.

An ITK file holds a list of records, whether it is text, HDF5 or MATLAB. A composite is
a record without numbers in front of those of its parts, outermost first.
"""

import operator
import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.errors import InputError
from voltween.io.itk import (
    component_sign,
    flip_matrix,
    flip_vectors,
    grid_in_frame,
    lps_affine,
)
from voltween.spatial import (
    Affine,
    DisplacementField,
    Field,
    Grid,
    SplineField,
    Transform,
)


class TransformRecord(NamedTuple):
    """One transform of a file."""

    kind: str
    """ITK's name of its class, number type and dimensions; see `_KIND`."""
    fixed: Float[np.ndarray, " n"]
    """Numbers that an optimization leaves as they are: a center, or a grid. LPS+ mm."""
    parameters: Float[np.ndarray, " n"]
    """The other numbers of the transform, LPS+ mm."""


_KIND = re.compile(r"(?P<name>\w+?)_(?:double|float)_(?P<dimensions>\d+_\d+)(_\d+)?")
_COMPOSITE = "CompositeTransform"
_FIELD = "DisplacementFieldTransform"
_SPLINE = "BSplineTransform"
_SUFFIX = "_double_3_3"
_LARGEST = 2**31  # voxels along an axis
_COLUMNS = 8  # that a cache holds for all planes of a large field
_NOTHING = np.empty(0)
_GRID_NUMBERS = 18  # size, origin, spacing and directions
_SPACING = slice(6, 9)  # of them
_LARGEST_STEP = 1 / 2048  # of the spacing: less than 0.001 mm for heads of 2 mm
_LINEAR: dict[str, Callable[[], sitk.Transform]] = {
    "AffineTransform": lambda: sitk.AffineTransform(3),
    "MatrixOffsetTransformBase": lambda: sitk.AffineTransform(3),
    "IdentityTransform": lambda: sitk.Transform(3, sitk.sitkIdentity),
    "TranslationTransform": lambda: sitk.TranslationTransform(3),
    "ScaleTransform": lambda: sitk.ScaleTransform(3),
    "ScaleLogarithmicTransform": lambda: sitk.Transform(3, sitk.sitkScaleLogarithmic),
    "QuaternionRigidTransform": lambda: sitk.Transform(3, sitk.sitkQuaternionRigid),
    "Euler3DTransform": sitk.Euler3DTransform,
    "VersorTransform": sitk.VersorTransform,
    "VersorRigid3DTransform": sitk.VersorRigid3DTransform,
    "Similarity3DTransform": sitk.Similarity3DTransform,
    "ScaleVersor3DTransform": sitk.ScaleVersor3DTransform,
    "ScaleSkewVersor3DTransform": sitk.ScaleSkewVersor3DTransform,
    "ComposeScaleSkewVersor3DTransform": sitk.ComposeScaleSkewVersor3DTransform,
}


def records_of(transform: Transform) -> list[TransformRecord]:
    """Converts a transform to the records of an ITK file."""
    parts = [_part_record(part) for part in transform.parts()]
    if len(parts) == 1:
        return parts
    return [TransformRecord(_COMPOSITE + _SUFFIX, _NOTHING, _NOTHING), *parts]


def rounded(record: TransformRecord) -> TransformRecord:
    """The record with the vectors of a field rounded, so that they can be compressed.

    They become multiples of a power of two, of at most 1/2048 of the smallest spacing.
    """
    if not record.kind.startswith((_FIELD, _SPLINE)):
        return record
    largest_mm = float(record.fixed[_SPACING].min()) * _LARGEST_STEP
    step_mm = 2.0 ** np.floor(np.log2(largest_mm))
    vectors_mm = np.round(record.parameters / step_mm) * step_mm
    return record._replace(parameters=vectors_mm)


def _part_record(part: Affine | Field) -> TransformRecord:
    if isinstance(part, SplineField):
        numbers = _components_in_itk_order(part.coefficients_mm)
        return TransformRecord(_SPLINE + _SUFFIX, _numbers_of(part.grid), numbers)
    if isinstance(part, Field):
        in_itk_order = flip_vectors(part.vectors_mm).transpose(2, 1, 0, 3).ravel()
        return TransformRecord(_FIELD + _SUFFIX, _numbers_of(part.grid), in_itk_order)
    matrix = flip_matrix(part.matrix)
    numbers = np.concatenate([matrix[:3, :3].ravel(), matrix[:3, 3]])
    return TransformRecord("AffineTransform" + _SUFFIX, np.zeros(3), numbers)


def _components_in_itk_order(
    vectors_mm: Float[np.ndarray, "i j k 3"],
) -> Float[np.ndarray, " n"]:
    """All first components of RAS+ mm in LPS+ mm, axis i the fastest, then the others.

    In columns that the caches hold: half the time of one transposition.
    """
    i, j, k = vectors_mm.shape[:3]
    result = np.empty((3, k, j, i))
    for component, numbers in enumerate(result):
        in_order, sign = vectors_mm[..., component].T, component_sign(component)
        for first in range(0, j, _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            np.multiply(in_order[:, columns], sign, out=numbers[:, columns])
    return result.ravel()


def _numbers_of(grid: Grid) -> Float[np.ndarray, " 18"]:
    affine = lps_affine(grid)
    directions = affine[:3, :3] / grid.spacing_mm
    return np.concatenate(
        [grid.shape, affine[:3, 3], grid.spacing_mm, directions.ravel()]
    )


def transform_of(records: Sequence[TransformRecord]) -> Transform:
    """Converts the records of a file to one transform in RAS+ mm.

    Raises:
        InputError: If there is none, or several that are no composite; or if one is not
            3D, of a kind that is not supported, or has not as many numbers as its kind.
    """
    if not records:
        raise InputError(expected="a transform", got="a file with none")
    first, *rest = records
    if _name(first) == _COMPOSITE:
        if first.parameters.size:
            raise InputError(
                expected="a composite that consists of other transforms",
                got=f"one with {first.parameters.size} numbers of its own",
            )
        parts = [_part_of(record) for record in rest]
        return reduce(operator.matmul, parts) if parts else Affine.identity()
    if rest:
        raise _several(records)
    return _part_of(first)


def _several(records: Sequence[TransformRecord]) -> InputError:
    """The error that a file does not say how its transforms belong together."""
    names = ", ".join(_name(record) for record in records[:4])
    more = f" and {len(records) - 4} more" if len(records) > 4 else ""
    return InputError(
        expected="one transform, or a composite",
        got=f"{len(records)} transforms: {names}{more}",
        advice="the file does not say whether they follow each other or belong to "
        "several volumes: save each as a file of its own; or, if they follow each "
        f"other, make a {_COMPOSITE} of them, of which ITK applies the last one first",
    )


def _name(record: TransformRecord) -> str:
    """The name of the record's class, checked to be 3D."""
    match = _KIND.fullmatch(record.kind)
    if match is None:
        raise InputError(
            expected="the kind of a transform, such as AffineTransform_double_3_3",
            got=repr(record.kind[:60]),
        )
    if match["dimensions"] != "3_3":
        dimensions = match["dimensions"].partition("_")[0]
        raise InputError(expected="a 3D transform", got=f"{dimensions}D")
    return match["name"]


def _part_of(record: TransformRecord) -> Affine | Field:
    name = _name(record)
    if name == _FIELD:
        grid = _grid_of(record)
        i, j, k = grid.shape
        vectors_lps = record.parameters.reshape(k, j, i, 3).transpose(2, 1, 0, 3)
        return DisplacementField(grid, flip_vectors(vectors_lps))
    if record.kind in (_SPLINE + "_double_3_3", _SPLINE + "_float_3_3"):  # cubic
        grid = _grid_of(record)
        i, j, k = grid.shape
        components = record.parameters.reshape(3, k, j, i).transpose(3, 2, 1, 0)
        return SplineField.from_coefficients(flip_vectors(components), grid)
    if name in _LINEAR:
        return Affine(flip_matrix(_matrix_of(_LINEAR[name](), record)))
    raise InputError(
        expected="affine parts, displacement fields and cubic B-splines",
        got=f"a {record.kind[:60]}",
        advice="convert it to a displacement field (SimpleITK: "
        "TransformToDisplacementField) first",
    )


def _grid_of(record: TransformRecord) -> Grid:
    """The grid of a field, checked to have three numbers per voxel."""
    _check_count(record, "fixed parameters", len(record.fixed), _GRID_NUMBERS)
    size, origin, spacing, directions = np.split(record.fixed, [3, 6, 9])
    if not (size == np.rint(size)).all() or size.min() < 1 or size.max() > _LARGEST:
        raise InputError(
            about=_name(record), expected="sizes of a grid", got=size.tolist()
        )
    i, j, k = (int(n) for n in size)
    _check_count(record, "parameters", len(record.parameters), 3 * i * j * k)
    affine_lps = np.eye(4)
    affine_lps[:3, :3] = directions.reshape(3, 3) * spacing
    affine_lps[:3, 3] = origin
    return grid_in_frame((i, j, k), affine_lps)


def _matrix_of(
    itk: sitk.Transform, record: TransformRecord
) -> Float[np.ndarray, "4 4"]:
    """The matrix (LPS) of a linear transform, of which ITK knows the parameters."""
    fixed = record.fixed
    if not (_name(record) == "Euler3DTransform" and len(fixed) == 3):  # older files
        wanted = len(itk.GetFixedParameters())
        _check_count(record, "fixed parameters", len(fixed), wanted)
    wanted = len(itk.GetParameters())
    _check_count(record, "parameters", len(record.parameters), wanted)
    try:
        itk.SetFixedParameters(fixed.tolist())
        itk.SetParameters(record.parameters.tolist())
    except RuntimeError as error:
        raise InputError(
            about=_name(record),
            expected="parameters of such a transform",
            got=record.parameters.tolist(),
        ) from error
    matrix = np.eye(4)
    matrix[:3, 3] = itk.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = itk.TransformPoint(np.eye(3)[axis].tolist()) - matrix[:3, 3]
    return matrix


def _check_count(
    record: TransformRecord, about: str, count: int, expected: int
) -> None:
    """Checks the number of a record's parameters: ITK would read beyond them."""
    if count != expected:
        raise InputError(
            about=_name(record),
            expected=f"{expected} {about}",
            got=count,
            advice="is the file cut short?",
        )
