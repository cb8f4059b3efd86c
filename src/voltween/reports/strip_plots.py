"""Strip plots of an index: one point per pair along the axis of a measure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from voltween.reports.index_rows import IndexRow

_WIDTH, _MARGIN, _BAND = 560, 16, 56  # pixels
_AXIS = 22
_POINT = 6  # diameter
_STEPS = (1, 2, 2.5, 5, 10)
_TICKS = 5
_MEASURES = {
    "similarity": ("Similarity", "higher is better"),
    "dice": ("Dice", "higher is better"),
    "landmark_mm": ("Distance of landmarks, mm", "lower is better"),
    "folding_percent": ("Folding, % of voxels", "lower is better"),
    "seconds": ("Time, s", "lower is better"),
}


@dataclass(frozen=True)
class StripPoint:
    """A pair in a plot, in pixels from its top left corner."""

    x: float
    y: float
    row: int
    """Index of the row, which the point links to."""
    value: str


@dataclass(frozen=True)
class StripBand:
    """The points of one method."""

    method: str
    y: float
    points: tuple[StripPoint, ...]


@dataclass(frozen=True)
class StripPlot:
    """A plot of one measure, with a band per method."""

    title: str
    note: str
    summary: str
    width: int
    height: int
    ticks: tuple[tuple[float, str], ...]
    """Places in pixels, and their values."""
    bands: tuple[StripBand, ...]


def strip_plots(rows: Sequence[IndexRow]) -> list[StripPlot]:
    """The plots of the measures that differ between pairs."""
    plots = []
    for measure, words in _MEASURES.items():
        values = [float(getattr(row, measure)) for row in rows]
        measured = {v for v in values if math.isfinite(v)}
        if len(measured) > 1:
            plots.append(_plot(words, rows, values))
    return plots


def _plot(
    words: tuple[str, str], rows: Sequence[IndexRow], values: Sequence[float]
) -> StripPlot:
    finite = sorted(value for value in values if math.isfinite(value))
    ticks = _ticks(finite[0], finite[-1])
    low, high = min(finite[0], ticks[0]), max(finite[-1], ticks[-1])
    scale = (_WIDTH - 2 * _MARGIN) / (high - low)
    places = [_MARGIN + (value - low) * scale for value in values]
    methods = list(dict.fromkeys(row.method for row in rows))
    bands = []
    for number, method in enumerate(methods):
        chosen = [
            n
            for n, row in enumerate(rows)
            if row.method == method and math.isfinite(values[n])
        ]
        middle = _BAND * (number + 0.5)
        points = _swarm([places[n] for n in chosen], middle)
        named = zip(chosen, points, strict=True)
        bands.append(
            StripBand(
                method,
                middle,
                tuple(StripPoint(*p, n, f"{values[n]:.3g}") for n, p in named),
            )
        )
    return StripPlot(
        *words,
        summary=f"median {median(finite):.3g} of {len(finite)}",
        width=_WIDTH,
        height=_BAND * len(methods) + _AXIS,
        ticks=tuple((round(_MARGIN + (t - low) * scale, 1), f"{t:g}") for t in ticks),
        bands=tuple(bands),
    )


def _swarm(places: Sequence[float], middle: float) -> list[tuple[float, float]]:
    """Places of points that are stacked around the middle where many are at one value.

    A stack that is too high for the band is pressed together.
    """
    columns = [round(place / _POINT) for place in places]
    highest = Counter(columns)
    so_far: Counter[int] = Counter()
    points = []
    for place, column in zip(places, columns, strict=True):
        number, so_far[column] = so_far[column], so_far[column] + 1
        step = min(_POINT, (_BAND - 2 * _POINT) / max(1, highest[column] - 1))
        side = 1 if number % 2 else -1
        y = middle + side * ((number + 1) // 2) * step
        points.append((round(place, 1), round(y, 1)))
    return points


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that span the values."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in _STEPS if s * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(n * step, 12) for n in range(first, last + 1)]
