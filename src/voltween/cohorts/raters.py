"""Landmarks of several raters: their mean, and how far they are from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import Points


@dataclass(frozen=True, eq=False)
class RatedPoints:
    """The landmarks of a case, averaged over raters."""

    points: Points
    """Mean position of every landmark, RAS+ mm."""
    distances_mm: Float[np.ndarray, "raters n"]
    """Distance of every rater from the mean; 0 for a single rater."""
    raters: tuple[str, ...]

    @property
    def remark(self) -> str:
        """Raters and spread, one line for the log."""
        if len(self.raters) == 1:
            return "1 rater"
        return f"mean of {len(self.raters)} raters; {spread_text([self])}"


def average_raters(by_rater: Mapping[str, Points]) -> RatedPoints:
    """Averages every landmark over the raters, by name, or by order without names.

    Raises:
        InputError: If there are no landmarks, or the raters disagree in their number
            or names.
    """
    raters = tuple(by_rater)
    first = by_rater[raters[0]]
    if not len(first.mm):
        raise InputError(about="points", expected="landmarks", got="an empty file")
    names = first.names if all(p.names for p in by_rater.values()) else ()
    positions = [_in_order(by_rater, rater, names) for rater in raters]
    mean = np.mean(positions, axis=0)
    distances = np.linalg.norm(np.array(positions) - mean, axis=-1)
    return RatedPoints(Points(mean, names), distances, raters)


def spread_text(cases: Iterable[RatedPoints]) -> str:
    """Mean and largest distance of the raters from their mean, over all cases."""
    distances = np.concatenate([case.distances_mm.ravel() for case in cases])
    return (
        f"a rater is {distances.mean():.2f} mm from the mean on average, "
        f"{distances.max():.2f} mm at most"
    )


def _in_order(
    by_rater: Mapping[str, Points], rater: str, names: tuple[str, ...]
) -> Float[np.ndarray, "n 3"]:
    """The rater's positions in the order of the first rater's.

    Raises:
        InputError: If number or names differ from the first rater's, or a name occurs
            twice.
    """
    reference, points = next(iter(by_rater.values())), by_rater[rater]
    if len(points.mm) != len(reference.mm):
        raise InputError(
            about="points",
            expected=f"{len(reference.mm)} landmarks of every rater",
            got=f"{len(points.mm)} of {rater}",
        )
    if not names:
        return points.mm
    if sorted(points.names) != sorted(names) or len(set(names)) != len(names):
        raise InputError(
            about="points",
            expected=f"the same names of every rater ({', '.join(names[:5])} ...)",
            got=f"{', '.join(points.names[:5])} ... of {rater}",
            advice="names must occur once and in all files of a case",
        )
    return points.mm[[points.names.index(name) for name in names]]
