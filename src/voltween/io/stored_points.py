"""Lists of points as files state them, before they are in RAS+ mm."""

import math
from typing import NamedTuple

from voltween.errors import InputError


class StoredPoints(NamedTuple):
    """One list of points of a file."""

    positions_mm: list[list[float]]
    """Positions in mm, in the list's frame."""
    names: list[str]
    """One per point, which may be empty; or none at all."""
    frame: str | None
    """The frame that the file states, in capitals; None if it states none."""
    usual_frame: str | None = None
    """The frame that files without one are taken to be in; None if they are refused."""
    reason: str = ""
    """The reason for the usual frame."""


def number(value: object) -> float:
    """A finite number in a file of text or JSON.

    Raises:
        InputError: If the value is none: true, "", "1_0", NaN or beyond all floats.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number or (isinstance(value, str) and "_" not in value):
        try:
            converted = float(value)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            converted = math.nan
        if math.isfinite(converted):
            return converted
    raise InputError(expected="finite numbers as positions", got=repr(value)[:40])
