"""Curves of training runs: loss terms, and the Dice after every stage."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from voltween import process
from voltween.errors import InputError
from voltween.storage import existing_file, read_table, whole_file
from voltween.training.run_folder import LOG, VALIDATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_SMOOTHED_OVER = 0.02  # share of all steps
_SMALL_LOSS = 1e-4  # the axis of losses is linear below
_WORDS = {"dice": "Dice", "correlation": "correlation"}

Curves = dict[str, tuple[list[int], list[float]]]  # steps and values by name


def write_progress(folder: Path, path: Path) -> None:
    """Writes a PNG of the log.csv and validation.csv of a run.

    Left: the weighted loss terms. Right: the Dice after each stage, or the correlation
    if there are no labels.

    Raises:
        MissingPackageError: If Matplotlib is not installed.
        OutputError: If the file cannot be written.
    """
    figure, left, right = _two_panels()
    for name, (steps, values) in _losses(folder / LOG).items():
        left.plot(steps, _smoothed(np.array(values)), label=name, linewidth=1)
    left.set_yscale("symlog", linthresh=_SMALL_LOSS)  # mutual information is negative
    left.set(xlabel="step", ylabel="weighted loss terms, running means")
    measure, curves = _stages(folder / VALIDATION)
    for name, (steps, values) in curves.items():
        right.plot(steps, values, label=name, marker=".")
    right.set(xlabel="step", ylabel=f"validation {_WORDS[measure]}, network's grid")
    _finish((left, right))
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=90)


def curves_figure(runs: Sequence[Path]) -> "Figure":
    """Draws several runs in one figure, one color per run, by the names of the folders.

    Left: the sum of the weighted loss terms. Right: the Dice after the last stage and,
    dotted, before the first; the correlation if there are no labels.

    Raises:
        InputError: If no folder is given, or one has no training log or tables of
            another kind.
        MissingPackageError: If Matplotlib is not installed.
    """
    if not runs:
        raise InputError(
            about="curves", expected="the folder of a training run", got="none"
        )
    figure, left, right = _two_panels()
    measures = set()
    for n, (run, name) in enumerate(zip(runs, _run_names(runs), strict=True)):
        steps, totals = _totals(existing_file(run / LOG))
        measure, stages = _stages(run / VALIDATION)
        left.plot(steps, _smoothed(totals), f"C{n}", label=name, linewidth=1)
        if not stages:
            continue
        *_, last = stages.values()
        right.plot(*last, f"C{n}-", label=name, marker=".")
        right.plot(*next(iter(stages.values())), f"C{n}:")
        measures.add(_WORDS[measure])
    left.set(xlabel="step", ylabel="weighted loss, sum of terms, running mean")
    words = " or ".join(sorted(measures)) or "nothing measured"
    right.set(xlabel="step", ylabel=f"validation {words}, last stage (dotted: before)")
    _finish((left, right))
    return figure


def _two_panels() -> "tuple[Figure, Axes, Axes]":
    process.require("matplotlib", extra="figures", purpose="curves of a training")
    from matplotlib.figure import Figure  # 0.5 s

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    return figure, left, right


def _totals(path: Path) -> tuple[list[int], Float[np.ndarray, " n"]]:
    """Steps, and the sum of the loss terms of each."""
    rows = _rows(path)
    try:
        sums = [
            sum(float(value) for name, value in row.items() if name != "step" and value)
            for row in rows
        ]
        return [int(row["step"]) for row in rows], np.array(sums)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            about=path,
            expected="the log of a training run: numbers, and a column named step",
            got="another table",
        ) from error


def _run_names(runs: Sequence[Path]) -> list[str]:
    """The names of the folders; full paths for those with the same name."""
    names = [run.resolve().name for run in runs]
    return [
        name if names.count(name) == 1 else str(run)
        for run, name in zip(runs, names, strict=True)
    ]


def _finish(panels: Sequence["Axes"]) -> None:
    for axes in panels:
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)


def _losses(path: Path) -> Curves:
    curves: Curves = defaultdict(lambda: ([], []))
    for row in _rows(path):
        for name, value in row.items():
            if name != "step":
                curves[name][0].append(int(row["step"]))
                curves[name][1].append(float(value))
    return curves


def _stages(path: Path) -> tuple[str, Curves]:
    """The measure shown, and its curve for every stage."""
    rows = _rows(path)
    curves: Curves = defaultdict(lambda: ([], []))
    try:
        measure = "dice" if rows and rows[0]["dice"] else "correlation"
        for row in rows:
            curves[row["stage"]][0].append(int(row["step"]))
            curves[row["stage"]][1].append(float(row[measure]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            about=path,
            expected="the validation of a training run: columns step, stage, dice and "
            "correlation",
            got="another table",
        ) from error
    return measure, curves


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    return list(read_table(path, "a table of a training run").rows)


def _smoothed(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Running mean over the preceding values, fewer of them at the beginning."""
    width = max(1, round(_SMOOTHED_OVER * len(values)))
    sums = np.concatenate([[0.0], values.cumsum()])
    ends = np.arange(1, len(values) + 1)
    starts = (ends - width).clip(0)
    return (sums[ends] - sums[starts]) / (ends - starts)
