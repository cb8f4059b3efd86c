"""Measures registrations across contrasts: remapped, stripped, in thick slices.

    python runs/contrasts.py measure brain_ixi/cases.csv rows.csv --methods brain
    python runs/contrasts.py measure brain_ixi/cases.csv rows.csv \
        --methods run/best.safetensors brain+accurate none+accurate
    python runs/contrasts.py show rows.csv
    python runs/contrasts.py verdicts rows.csv
    python runs/contrasts.py picture brain_ixi/cases.csv picture.png \
        --condition "remapped 1" --methods brain-any+accurate --structures 51 52

A method is a model, or "none", with +fast or +accurate for a refinement, which may be
followed by what it compares (+accurate+MIND-SSC), or another tool by its name in
`voltween compare`, such as greedy-nmi. "measure" adds a row per method, condition and
pair of `val` scans that is not refused, and goes on where it ended; "show" prints a
table of the mean Dice per condition and method, and "verdicts" one of how many answers
were called good, doubtful and failed. "picture" draws the first pair, before and after
registration, with outlines of structures. Processor seconds are those of one thread if
OMP_NUM_THREADS is 1.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import tyro
from shared import (
    LabeledScan,
    Manifest,
    final_dice,
    mean_dice,
    read_rows,
    val_pairs,
    write_rows,
    write_small_picture,
)

from refinement import CHANGES, from_0_to_1
from voltween.baselines import TOOLS, Tool
from voltween.cohorts import mask_by_labels
from voltween.errors import InputError
from voltween.figures import (
    FIXED_OUTLINE,
    MOVED_OUTLINE,
    Window,
    draw_outlines,
    find_outlines,
    gray,
    paint_mosaic,
    rgb,
    whole_views,
)
from voltween.metrics import dice_per_label
from voltween.models import load_model
from voltween.refinement import WITHOUT_MODEL, split_name
from voltween.registration import Grade, Registration, register, settle_named
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    Transform,
    directions_to_ras,
    labels_in_common,
    resample_smoothly,
)

_REMAPPINGS = 10
_KNOTS = 5
_DARK = 0.05  # of the intensity range: background, which remappings of tissue keep
_SLICE_MM = 5.0

Pair = tuple[Image, Image]
Truth = tuple[LabeledScan, LabeledScan]
Row = dict[str, str | float]
Answer = Callable[[Pair, Truth], Row]


@dataclass(frozen=True)
class Measure:
    """Register pairs under every condition."""

    manifest: Manifest
    rows: tyro.conf.Positional[Path]
    """CSV to which rows are added."""
    methods: tuple[str, ...] = ("brain",)
    conditions: tuple[str, ...] = ()
    """Beginnings of the names of conditions; all if not given."""
    max_pairs: int = 3

    def run(self) -> None:
        """Measure what is missing; write after every pair."""
        rows = read_rows(self.rows) if self.rows.exists() else []
        done = {tuple(row[name] for name in _KEY) for row in rows}
        methods = {name: _method(name) for name in self.methods}
        for names, fixed, moving in val_pairs(self.manifest, self.max_pairs):
            for condition, change in self._chosen().items():
                images = change(fixed, moving)
                for method, answer in methods.items():
                    key = (method, condition, *names)
                    if key in done:
                        continue
                    try:
                        row = answer(images, (fixed, moving))
                    except InputError as error:  # as by features of one contrast
                        print(method, condition, *names, f"refused: {error}")
                        continue
                    rows.append(dict(zip(_KEY, key, strict=True)) | row)
                    write_rows(rows, self.rows)
                    print(*rows[-1].values(), flush=True)

    def _chosen(self) -> dict[str, Callable[[LabeledScan, LabeledScan], Pair]]:
        wanted = self.conditions or ("",)
        return {n: c for n, c in CONDITIONS.items() if n.startswith(wanted)}


@dataclass(frozen=True)
class Show:
    """Print the table of mean Dice."""

    rows: tyro.conf.Positional[Path]

    def run(self) -> None:
        """One line per condition, one column per method."""
        _print_table(read_rows(self.rows), _mean)


@dataclass(frozen=True)
class Verdicts:
    """Print how many answers were called good, doubtful and failed."""

    rows: tyro.conf.Positional[Path]

    def run(self) -> None:
        """One line per condition, one column per method."""
        _print_table(read_rows(self.rows), _grades)


@dataclass(frozen=True)
class Drawing:
    """Draw the first pair under a condition, before and after registration."""

    manifest: Manifest
    out: tyro.conf.Positional[Path]
    """PNG to write."""
    condition: str
    methods: tuple[str, ...] = ("brain-any",)
    """Models with refinements; other tools are not drawn."""
    structures: tuple[int, ...] = ()
    """Labels that are outlined: fixed orange, moved blue on top of it."""
    side: int = 160
    """Pixels along the longest side of the fixed scan."""

    def run(self) -> None:
        """Register and draw."""
        _, fixed, moving = next(val_pairs(self.manifest, 1))
        pair = CONDITIONS[self.condition](fixed, moving)
        transforms: dict[str, Transform] = {}
        for name in self.methods:
            result = _registering(name)(*pair)
            transforms.setdefault("before", result.tweening["before"])
            transforms[name.replace("+accurate", "")] = result.fixed_to_moving
        scans = (pair[0], fixed[1]), (pair[1], moving[1])
        columns = {"fixed": self._column(scans[:1], Affine.identity())}
        for name, transform in transforms.items():
            columns[name] = self._column(scans, transform)
        write_small_picture(paint_mosaic("", columns), self.out)

    def _column(self, scans: Sequence[LabeledScan], transform: Transform):
        """Sections of the last scan, with the outlines of all, of which one moves."""
        (fixed, labels), (shown, moving_labels) = scans[0], scans[-1]
        window, panels = Window.of(shown), []
        for view in whole_views(fixed.grid, self.side):
            panel = gray(view.gray(shown, transform, window=window))
            sides = [(view.labels(labels), FIXED_OUTLINE)]
            if len(scans) > 1:
                moved = view.labels(moving_labels, transform)
                sides.append((moved, MOVED_OUTLINE))
            for section, color in sides:
                edges = find_outlines(section, self.structures)
                panel = draw_outlines(panel, edges, np.array(rgb(color)))
            panels.append(panel)
        return panels


_KEY = ("method", "condition", "fixed", "moving")


def _group(condition: str) -> str:
    """The name of a condition without the number of its draw."""
    return condition.rstrip("0123456789").strip()


def _print_table(
    rows: Sequence[dict[str, str]], cell: Callable[[Sequence[dict[str, str]]], str]
) -> None:
    """Prints one line per condition and one column per method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    print("| condition |", " | ".join(methods), "|")
    print("|---" * (len(methods) + 1) + "|")
    for condition in dict.fromkeys(_group(row["condition"]) for row in rows):
        alike = [row for row in rows if _group(row["condition"]) == condition]
        cells = [
            cell([row for row in alike if row["method"] == method])
            for method in methods
        ]
        print(f"| {condition} |", " | ".join(cells), "|")


def _mean(rows: Sequence[dict[str, str]]) -> str:
    values = [float(row["dice"]) for row in rows]
    return f"{np.mean(values):.3f} (least {min(values):.3f})" if values else ""


def _grades(rows: Sequence[dict[str, str]]) -> str:
    grades = [row["verdict"] for row in rows]
    return ", ".join(str(grades.count(grade)) for grade in get_args(Grade))


def _method(name: str) -> Answer:
    """What a name stands for: a tool, or a model and its refinement."""
    if name in TOOLS:
        return partial(_by_tool, TOOLS[name])
    return partial(_by_voltween, _registering(name))


def _registering(name: str) -> Callable[[Image, Image], Registration]:
    """A registration by a model and its refinement."""
    base, named = split_name(name)
    model = None if base == WITHOUT_MODEL else load_model(base)
    return partial(register, model=model, refinement=settle_named(base, named))


def _by_voltween(
    registering: Callable[[Image, Image], Registration], images: Pair, truth: Truth
) -> Row:
    start = time.process_time()
    result = registering(*images)
    seconds = time.process_time() - start
    return {
        "dice": round(final_dice(result, truth[0][1], truth[1][1]), 5),
        "folding_percent": result.folding_percent,
        "processor_seconds": round(seconds, 2),
        "verdict": result.verdict.grade,
        "similarity": round(result.verdict.evidence.similarity, 4),
    }


def _by_tool(tool: Tool, images: Pair, truth: Truth) -> Row:
    transform, used = tool.run(*images, threads=1)
    (_, fixed), (_, moving) = truth
    moved = transform.resample(moving, onto=fixed.grid)
    per_label = dice_per_label(fixed.data, moved.data)
    shared = labels_in_common(fixed, moving)
    return {
        "dice": round(mean_dice({label: per_label[label] for label in shared}), 5),
        "folding_percent": "",
        "processor_seconds": round(used.processor_seconds, 2),
        "verdict": "",
        "similarity": "",
    }


def _changed(
    change: Callable[[np.ndarray], np.ndarray], fixed: LabeledScan, moving: LabeledScan
) -> Pair:
    """The moving scan in other intensities."""
    image = moving[0]
    return fixed[0], Image(change(from_0_to_1(image)), image.grid)


def _remapped(seed: int, data: np.ndarray) -> np.ndarray:
    """Random intensities, linear between five knots; the background stays dark."""
    values = np.random.default_rng(seed).uniform(0, 1, _KNOTS)
    curve = np.interp(data, np.linspace(_DARK, 1, _KNOTS), values)
    return np.where(data > _DARK, curve, 0)


def _remapped_alike(seed: int, fixed: LabeledScan, moving: LabeledScan) -> Pair:
    """Both scans in the same random intensities: what these tell at the most."""
    scans = (fixed[0], moving[0])
    one, other = (
        Image(_remapped(seed, from_0_to_1(scan)), scan.grid) for scan in scans
    )
    return one, other


def _stripped(sides: str, fixed: LabeledScan, moving: LabeledScan) -> Pair:
    """The scans, of which "fixed", "moving" or "both" show the brain alone."""
    return (
        mask_by_labels(*fixed) if sides in ("fixed", "both") else fixed[0],
        mask_by_labels(*moving) if sides in ("moving", "both") else moving[0],
    )


def _in_slices(fixed: LabeledScan, moving: LabeledScan) -> Pair:
    """The moving scan in axial slices of 5 mm."""
    image = moving[0]
    directions = directions_to_ras(image.grid)
    extent_mm = image.grid.extent_mm(directions)
    r, a, s = (float(mm) for mm in image.grid.spacing_mm)
    spacing_mm = (r, a, max(s, _SLICE_MM))
    i, j, k = (np.ceil(extent_mm / spacing_mm)).astype(int) + 1
    grid = Grid.centered(
        (int(i), int(j), int(k)),
        center_mm=image.grid.center_mm,
        spacing_mm=spacing_mm,
        directions=directions,
    )
    return fixed[0], resample_smoothly(image, onto=grid)


def _conditions() -> Iterator[tuple[str, Callable[[LabeledScan, LabeledScan], Pair]]]:
    for name, change in CHANGES.items():
        yield name, partial(_changed, change)
    for seed in range(_REMAPPINGS):
        yield f"remapped {seed}", partial(_changed, partial(_remapped, seed))
    for seed in range(_REMAPPINGS):
        yield f"both remapped alike {seed}", partial(_remapped_alike, seed)
    yield "both stripped", partial(_stripped, "both")
    yield "stripped to raw", partial(_stripped, "moving")
    yield "raw to stripped", partial(_stripped, "fixed")
    yield "slices of 5 mm", _in_slices


CONDITIONS = dict(_conditions())

if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict(
        {
            "measure": Measure,
            "show": Show,
            "verdicts": Verdicts,
            "picture": Drawing,
        }
    ).run()
