"""Checks of the arguments that people give: arrays of numbers, and grids."""

from typing import Any

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError, check_type
from voltween.spatial.grid import Grid
from voltween.spatial.ranges import real_numbers

_REAL_KINDS = "biuf"
_ADVICE = {
    "str": "read a file with voltween.read",
    "list": "give numpy.array(...)",
    "tuple": "give numpy.array(...)",
    "Tensor": "from_torch makes an image or a label map of a tensor and a grid",
    "Image": "its voxels are its .data",
    "LabelMap": "its voxels are its .data",
}


def check_is_array(values: object, about: str, shape: str = "(I, J, K)") -> None:
    """Checks that voxels are a NumPy array of real numbers.

    Raises:
        InputError: If they are something else, with advice on how to get an array.
    """
    name = type(values).__name__
    check_type(
        values,
        np.ndarray,
        about=about,
        expected=f"a NumPy array {shape}",
        advice=_ADVICE.get(name, ""),
    )
    if isinstance(values, np.ndarray) and values.dtype.kind not in _REAL_KINDS:
        raise InputError(about=about, expected="real numbers", got=values.dtype)


def check_is_grid(place: object, about: str = "grid") -> None:
    """Checks that a grid is one.

    Raises:
        InputError: If it is something else, with advice on how to get a grid.
    """
    advice = ""
    if hasattr(place, "grid"):
        advice = "give its .grid"
    elif isinstance(place, np.ndarray):
        advice = "Grid(array.shape, affine) is the grid of an array and its affine"
    check_type(place, Grid, about=about, expected="a Grid", advice=advice)


def check_is_volume(volume: object, kinds: tuple[type, ...]) -> None:
    """Checks that what is to be resampled is an image or a label map.

    Raises:
        InputError: If it is something else, with advice on how to get one.
    """
    advice = "read a file with voltween.read"
    if isinstance(volume, np.ndarray):
        advice = "give Image(array, grid) or LabelMap(array, grid)"
    expected = "an Image or a LabelMap"
    check_type(volume, kinds, about="moving", expected=expected, advice=advice)


def check_is_points(points: object, kind: type) -> None:
    """Checks that what is to be mapped are points.

    Raises:
        InputError: If they are something else, with advice on how to get points.
    """
    advice = "Points(array) makes them of positions in RAS+ mm, (N, 3)"
    check_type(points, kind, about="points", expected="Points", advice=advice)


def check_is_transform(transform: object, kinds: type | tuple[type, ...]) -> None:
    """Checks that what is to be composed, or to start from, is a transform.

    Raises:
        InputError: If it is something else, with advice on how to get a transform.
    """
    advice = {
        "ndarray": "Affine(matrix) is the transform of a matrix in RAS+ mm",
        "str": "read a file with voltween.read_transform",
        "Points": "transform.map_points(points) maps points",
        "Image": "transform.resample(image, onto=grid) moves an image",
    }.get(type(transform).__name__, "")
    expected = "a transform from fixed to moving mm"
    check_type(transform, kinds, about="transform", expected=expected, advice=advice)


def as_positions(positions: Any) -> Float[np.ndarray, "n 3"]:
    """The positions as an array (N, 3), the same one if it is an array of numbers.

    Raises:
        InputError: If they have another shape, or are no numbers.
    """
    if hasattr(positions, "mm"):
        raise InputError(
            about="positions",
            expected="an array of shape (N, 3)",
            got=type(positions).__name__,
            advice="transform.map_points(points) maps points",
        )
    if not isinstance(positions, np.ndarray) or positions.dtype.kind not in _REAL_KINDS:
        positions = real_numbers(positions, "positions", "numbers of shape (N, 3)")
    if positions.ndim != 2 or positions.shape[1] != 3:
        got = positions.shape
        raise InputError(about="positions", expected="shape (N, 3)", got=got)
    return positions
