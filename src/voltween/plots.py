"""Curves of a training run: what the losses and every stage's Dice did."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from jaxtyping import Float

from voltween.files import whole_file
from voltween.run_folder import LOG, VALIDATION

_SMOOTHED_OVER = 0.02  # of all steps
_SMALL_LOSS = 1e-4

Curves = dict[str, tuple[list[int], list[float]]]


def write_progress(folder: Path, path: Path) -> None:
    """Write a PNG of a run's log.csv and validation.csv.

    Left the weighted loss terms; right the Dice, or the correlation where there are no
    labels, after each stage.
    """
    from matplotlib.figure import Figure  # 0.5 s, needed here alone

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, (steps, values) in _losses(folder / LOG).items():
        left.plot(steps, _smoothed(np.array(values)), label=name, linewidth=1)
    left.set_yscale("symlog", linthresh=_SMALL_LOSS)  # mutual information is negative
    left.set(xlabel="step", ylabel="weighted loss terms, running means")
    measure, curves = _stages(folder / VALIDATION)
    for name, (steps, values) in curves.items():
        right.plot(steps, values, label=name, marker=".")
    words = {"dice": "Dice", "correlation": "correlation"}
    right.set(xlabel="step", ylabel=f"validation {words[measure]}, network's grid")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=90)


def _losses(path: Path) -> Curves:
    curves: Curves = defaultdict(lambda: ([], []))
    for row in _rows(path):
        for name, value in row.items():
            if name != "step":
                curves[name][0].append(int(row["step"]))
                curves[name][1].append(float(value))
    return curves


def _stages(path: Path) -> tuple[str, Curves]:
    """The measure shown, and its curve for each stage."""
    rows = _rows(path)
    measure = "dice" if rows and rows[0]["dice"] else "correlation"
    curves: Curves = defaultdict(lambda: ([], []))
    for row in rows:
        curves[row["stage"]][0].append(int(row["step"]))
        curves[row["stage"]][1].append(float(row[measure]))
    return measure, curves


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _smoothed(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Running mean of the last values; the first ones over what there is."""
    width = max(1, round(_SMOOTHED_OVER * len(values)))
    sums = np.concatenate([[0.0], values.cumsum()])
    ends = np.arange(1, len(values) + 1)
    starts = (ends - width).clip(0)
    return (sums[ends] - sums[starts]) / (ends - starts)
