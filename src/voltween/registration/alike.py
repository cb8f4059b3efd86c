"""Two scans of which one was cut out, as by skull stripping: the other is cut alike.

A stripped brain and a whole head agree in the brain alone. What only the head shows
pulls the edge of the brain toward the skull, and networks have never seen the two
together. So the pair is registered first where the cut scan shows something; what this
maps to the outside is taken out of the other scan; and the two stripped scans are the
pair that is registered.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from voltween.errors import InputError
from voltween.preprocessing import find_cut_out, find_foreground, looks_like_ct
from voltween.registration.guidance import Guidance, Side
from voltween.registration.result import Registration, SideName
from voltween.registration.timing import Seconds, timing, watching_parts
from voltween.spatial import Image, LabelMap, Transform

_LARGEST_SHARE = 0.7  # of the other scan's foreground
_EDGE_MM = 2.0  # beyond what is shown: the edge of the brain counts

Find = Callable[[Image, Image, Guidance], Registration]
"""Registers two scans under guidance."""


class Alike(NamedTuple):
    """Two scans that show the same, and what was done for it."""

    fixed: Image
    moving: Image
    cut: SideName | None = None
    """The side that was cut like the other; None if neither was."""
    seconds: Seconds = Seconds(0, 0)
    """The time that cutting it took."""
    is_mixed: bool = False
    """Whether one scan came cut out and the other shows far more."""


class _CutSide(NamedTuple):
    """The side of a pair that came cut out, and where it shows something."""

    name: SideName
    shown: LabelMap


def cut_alike(
    fixed: Image, moving: Image, guidance: Guidance, ways: Sequence[Find]
) -> Alike:
    """The pair with the whole scan cut like the other, if one of them came cut out.

    The scans are registered for it in the first of the ways that does not fail. The
    pair as it is if none was cut, if masks say what to compare, or if all ways fail.
    """
    if guidance.fixed.mask is not None or guidance.moving.mask is not None:
        return Alike(fixed, moving)
    side = _find_cut_side(fixed, moving)
    if side is None:
        return Alike(fixed, moving)
    seconds, alike = dict[str, Seconds](), Alike(fixed, moving)
    # Nobody sees this answer: neither its warnings nor its parts are told.
    with (
        timing(seconds, "cutting"),
        watching_parts(lambda part: None),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for find in ways:
            with suppress(InputError):  # the registration itself says what is wrong
                alike = _cut(fixed, moving, side, guidance.initial, find)
            if alike.cut is not None:
                break
    return alike._replace(seconds=seconds["cutting"], is_mixed=True)


def _cut(
    fixed: Image, moving: Image, side: _CutSide, initial: Transform | None, find: Find
) -> Alike:
    within = Side(mask=_grow(side.shown, _EDGE_MM))
    sides = (within, Side()) if side.name == "fixed" else (Side(), within)
    found = find(fixed, moving, Guidance(*sides, initial))
    if found.verdict.grade == "failed":
        return Alike(fixed, moving)
    if side.name == "fixed":
        inside = found.moving_to_fixed.resample(side.shown, onto=moving.grid)
        return Alike(fixed, _within(moving, inside), "moving")
    inside = found.fixed_to_moving.resample(side.shown, onto=fixed.grid)
    return Alike(_within(fixed, inside), moving, "fixed")


def _find_cut_side(fixed: Image, moving: Image) -> _CutSide | None:
    """The side that was cut out, if the other was not and shows far more."""
    sides: tuple[tuple[SideName, Image, Image], ...]
    sides = (("fixed", fixed, moving), ("moving", moving, fixed))
    for name, scan, other in sides:
        cut = find_cut_out(scan)
        if cut is None or find_cut_out(other) is not None:
            continue
        whole = find_foreground(other, is_ct=looks_like_ct(other))
        if cut.volume_mm3 < _LARGEST_SHARE * whole.volume_mm3:
            return _CutSide(name, cut.mask(scan))
    return None


def _grow(mask: LabelMap, by_mm: float) -> LabelMap:
    """The mask, wider by whole voxels, at least one."""
    from scipy.ndimage import binary_dilation  # 0.1 s, and few pairs come here

    voxels = max(1, round(by_mm / float(mask.grid.spacing_mm.min())))
    return LabelMap(
        binary_dilation(mask.data, iterations=voxels).astype(np.uint8), mask.grid
    )


def _within(scan: Image, inside: LabelMap) -> Image:
    """The scan, with its darkest value outside a mask on its grid."""
    return Image(np.where(inside.data > 0, scan.data, scan.data.min()), scan.grid)
