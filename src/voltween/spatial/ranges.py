"""Numbers in millimeters, and the range beyond which a file is damaged."""

from typing import Any

import numpy as np

from voltween.errors import InputError

_LARGEST_MM = 1e9
_SMALLEST_SPACING_MM = 1e-9


def real_numbers(values: Any, about: str, expected: str) -> np.ndarray:
    """Copies numbers into a float64 array.

    Raises:
        InputError: If they are no real numbers, or lists of unequal lengths.
    """
    try:
        array = np.array(values)
        if array.dtype.kind not in "biuf":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        got = type(values).__name__
        if isinstance(values, str):
            got = repr(values)
        raise InputError(about=about, expected=expected, got=got) from None


def check_range(values: np.ndarray, about: str) -> None:
    """Checks that finite numbers are of a size that positions and lengths can have.

    Larger ones would overflow somewhere later.

    Raises:
        InputError: If one is larger than 1e9 mm.
    """
    # Not by np.abs, which would copy the vectors of a large field.
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if largest > _LARGEST_MM:
        raise InputError(
            about=about,
            expected=f"numbers within {_LARGEST_MM:.0e} mm",
            got=f"{largest:.3g}",
            advice="if a file has them, it is damaged",
        )


def check_spacing(spacing_mm: np.ndarray, about: str) -> None:
    """Checks that voxels are not so small that positions in voxels overflow.

    Raises:
        InputError: If one is smaller than a millionth of a micrometer.
    """
    if spacing_mm.min() < _SMALLEST_SPACING_MM:
        raise InputError(
            about=about,
            expected=f"voxels of at least {_SMALLEST_SPACING_MM:.0e} mm",
            got=f"{spacing_mm.min():.3g} mm",
            advice="if a file has it, the file's header is damaged",
        )
