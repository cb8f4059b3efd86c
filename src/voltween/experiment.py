"""Tables of the paper as experiments on a cohort: train every row, compare all.

An experiment is a TOML file, `experiments/table_2.toml` to `table_7.toml`: the rows of
a table with the paper's own numbers. Networks that several tables share are trained
once, in the folder `trained` of the output.
"""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from voltween.alignment import Alignment, aligned_cases, prealigned
from voltween.augment import Augmentation
from voltween.data import Case, cases_of_split, load_case
from voltween.errors import InputError, MissingPackageError
from voltween.evaluate import evaluate
from voltween.files import existing_file, whole_file
from voltween.methods import Method, method_named, model_method, unavailable
from voltween.networks import CascadeConfig, NetworkConfig, VoxelMorphConfig
from voltween.objective import SUPERVISED, VOXELMORPH, VTN_LIVER, Objective
from voltween.pairs import drawn_pairs, ordered_pairs
from voltween.plan import FLOW_MULTIPLIER, fitted_preprocessing
from voltween.preprocess import Preprocessing
from voltween.recipe import Recipe, TrainConfig
from voltween.report import write_report
from voltween.scores import PairScore, Scores
from voltween.summaries import MethodSummary, summary_rows
from voltween.train import train
from voltween.training_logs import StepReport

VOXELMORPH_2 = "VoxelMorph-2"
PAPER_COLUMNS = ("iou", "landmark_distance", "gpu_seconds", "cpu_seconds")
ScaleName = Literal["small", "full"]


@dataclass(frozen=True)
class Row:
    """A row of a table: a tool, or a network and how it is trained.

    Raises:
        InputError: If it is neither or both.
    """

    name: str
    method: str | None = None
    """Name of a method that needs no training, such as "ants"."""
    network: str | None = None
    """Stages of a cascade, such as "ADD", or "VoxelMorph-2"."""
    aligned: bool = False
    """Scans are first laid on an atlas by ANTs: the paper's starred rows."""
    supervised: bool = False
    """Learns flows that ANTs finds."""
    invertibility: float = 0.0
    """Weight of the invertibility loss."""
    train_share: float = 1.0
    """Share of the training cases."""
    paper: Mapping[str, float] = field(default_factory=dict)
    """What the paper has there, by the names in `PAPER_COLUMNS`."""

    def __post_init__(self) -> None:
        if (self.method is None) == (self.network is None):
            raise InputError(
                f"row {self.name!r} must have either a method or a network, got "
                f"{self.method!r} and {self.network!r}"
            )
        if not 0 < self.train_share <= 1:
            raise InputError(
                f"row {self.name!r}: train_share must be above 0 and at most 1, got "
                f"{self.train_share}"
            )

    @property
    def method_name(self) -> str:
        """The same for rows, of whatever table, that are the same."""
        if self.method is not None:
            return self.method
        parts = [self.network or ""]
        parts += ["aligned"] * self.aligned + ["supervised"] * self.supervised
        if self.invertibility:
            parts.append(f"invertibility-{self.invertibility:g}")
        if self.train_share < 1:
            parts.append(f"share-{self.train_share:g}")
        return "-".join(parts)


@dataclass(frozen=True)
class Experiment:
    """A table of the paper.

    Raises:
        InputError: If two rows have the same name or are the same.
    """

    name: str
    title: str
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        for kind in ("name", "method_name"):
            values = [getattr(row, kind) for row in self.rows]
            if len(set(values)) < len(values):
                raise InputError(f"{self.name}: rows must differ, got {values}")


@dataclass(frozen=True)
class Scale:
    """How large networks are and how long they are trained."""

    coarsening: int
    """Voxel size over that of the scans."""
    channels: int
    training: TrainConfig
    voxelmorph_steps: int
    voxelmorph_pairs_per_step: int


_AUGMENTATION = Augmentation(
    displacement=0.05, rotation_degrees=15.0, scaling=0.1, translation=0.08, gamma=0.3
)
SCALES: dict[ScaleName, Scale] = {
    # For two processor cores; every network sees as many pairs as any other.
    "small": Scale(
        coarsening=2,
        channels=8,
        training=TrainConfig(
            steps=1000,
            pairs_per_step=2,
            learning_rate=5e-4,
            augmentation=_AUGMENTATION,
            validate_every=500,
            kept_states=1,
        ),
        voxelmorph_steps=500,
        voxelmorph_pairs_per_step=4,
    ),
    # The paper's (sections V-A1 and V-A3), on the finest grid that fits the cohort.
    "full": Scale(
        coarsening=1,
        channels=16,
        training=TrainConfig(
            steps=100_000,
            pairs_per_step=8,
            augmentation=_AUGMENTATION,
            validate_every=2000,
        ),
        voxelmorph_steps=5000,
        voxelmorph_pairs_per_step=4,
    ),
}


@dataclass(frozen=True)
class Observer:
    """Who is told how far an experiment is."""

    on_training: Callable[[str], None] = lambda name: None
    on_step: Callable[[StepReport], None] = lambda report: None
    on_pair: Callable[[PairScore], None] = lambda score: None


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file.

    Raises:
        InputError: If the file is missing or no such file, or a row is not legal.
    """
    try:
        content = tomllib.loads(existing_file(path).read_text())
        rows = tuple(_row(path, values) for values in content["row"])
        return Experiment(path.stem, content["title"], rows)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected an experiment (TOML with a title and [[row]]s), got "
            f"something else ({error})"
        ) from error


def run_experiment(
    experiment: Experiment,
    cases: Sequence[Case],
    *,
    out: Path,
    scale: ScaleName = "small",
    max_pairs: int = 0,
    observer: Observer = Observer(),
) -> Scores:
    """Train and compare all rows on pairs of the `val` cases; goes on if it was cut.

    Writes the report of a comparison and table.md, beside the paper's numbers, into the
    folder of the experiment's name in `out`.

    Raises:
        InputError: If the cases cannot be used or `out` cannot be written to.
    """
    laboratory = _Laboratory(tuple(cases), SCALES[scale], out / scale, observer)
    methods = [laboratory.method(row) for row in experiment.rows]
    val = cases_of_split(cases, "val")
    folder = out / scale / experiment.name
    pairs = drawn_pairs(ordered_pairs([case.name for case in val]), max_pairs)
    # Tables share what they have in common: the pairs of one folder.
    measured = evaluate(
        methods, val, pairs=pairs, out=out / scale, on_pair=observer.on_pair
    )
    scores = _renamed(measured, experiment)
    write_report(scores, folder)
    with whole_file(folder / "table.md") as partial:
        partial.write_text(table(experiment, scores) + "\n")
    return scores


def table(experiment: Experiment, scores: Scores) -> str:
    """The experiment's table in Markdown, the paper's numbers beside the measured."""
    measured = {row.method: row for row in summary_rows(scores)}
    lines = [
        f"## {experiment.title}",
        "",
        "| method | IoU (95 % interval) | Dice | s a pair | paper: IoU | landmark "
        "distance | s, GPU | s, CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in experiment.rows:
        own = _measured_cells(measured[row.name])
        paper = [_number(row.paper.get(name)) for name in PAPER_COLUMNS]
        lines.append(f"| {row.name} | {' | '.join((*own, *paper))} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Laboratory:
    """Where networks are trained, on the cases as they are or laid on an atlas."""

    cases: tuple[Case, ...]
    scale: Scale
    out: Path
    observer: Observer

    def method(self, row: Row) -> Method:
        """The row as a method; its network is trained if it was not yet."""
        if row.method is not None:
            return method_named(row.method)
        self.observer.on_training(row.method_name)
        try:
            method = model_method(row.method_name, str(self._trained(row)))
        except MissingPackageError as error:
            return unavailable(row.method_name, error)
        if row.aligned:
            return prealigned(method, self._alignment, name=row.method_name)
        return method

    def _trained(self, row: Row) -> Path:
        cases = self._aligned_cases() if row.aligned else self.cases
        fitted = fitted_preprocessing(cases_of_split(cases, "train"))
        recipe = recipe_of(row, fitted, self.scale)
        return train(
            share_of(cases, row.train_share),
            recipe,
            out=self.out / "trained" / row.method_name,
            cache=self.out / "cache",
            on_step=self.observer.on_step,
        )

    def _aligned_cases(self) -> tuple[Case, ...]:
        used = [case for case in self.cases if case.split in ("train", "val")]
        return aligned_cases(used, self._alignment, self.out.parent / "aligned")

    @property
    def _alignment(self) -> Alignment:
        """To the first training case."""
        image, _ = load_case(cases_of_split(self.cases, "train")[0])
        return Alignment(image, self.out.parent / "alignment")


def recipe_of(row: Row, fitted: Preprocessing, scale: Scale) -> Recipe:
    """How the row's network is trained; `fitted` is the cohort's finest grid."""
    i, j, k = (side // scale.coarsening for side in fitted.shape)
    r, a, s = (mm * scale.coarsening for mm in fitted.spacing_mm)
    network = _network(row, (i, j, k), scale)
    training = replace(scale.training, objective=_objective(row))
    if row.network == VOXELMORPH_2:
        training = replace(
            training,
            steps=scale.voxelmorph_steps,
            pairs_per_step=scale.voxelmorph_pairs_per_step,
        )
    preprocessing = replace(fitted, shape=network.shape, spacing_mm=(r, a, s))
    return Recipe(preprocessing, network, training)


def _network(row: Row, shape: tuple[int, int, int], scale: Scale) -> NetworkConfig:
    assert row.network is not None
    if row.network == VOXELMORPH_2:
        return VoxelMorphConfig.covering(shape)
    most = int(np.log2(min(shape) / 2))
    return CascadeConfig(
        row.network,
        shape,
        channels=scale.channels,
        levels=min(most, CascadeConfig.levels),
        affine_levels=min(most, CascadeConfig.affine_levels),
        flow_multiplier=FLOW_MULTIPLIER,
    )


def share_of(cases: Sequence[Case], share: float) -> list[Case]:
    """The cases with a share of the `train` ones; smaller shares lie within larger."""
    train_cases = [case.name for case in cases if case.split == "train"]
    order = np.random.default_rng(0).permutation(len(train_cases))
    chosen = {train_cases[n] for n in order[: round(share * len(train_cases))]}
    return [case for case in cases if case.split != "train" or case.name in chosen]


def _objective(row: Row) -> Objective:
    if row.network == VOXELMORPH_2:
        return VOXELMORPH
    if row.supervised:
        return SUPERVISED
    return replace(VTN_LIVER, invertibility=row.invertibility)


def _row(path: Path, values: dict[str, Any]) -> Row:
    known = {item.name for item in fields(Row)}
    if unknown := sorted(set(values) - known):
        raise InputError(
            f"{path}: a row may have {', '.join(sorted(known))}, got "
            f"{', '.join(unknown)}"
        )
    return Row(**values)


def _renamed(measured: Scores, experiment: Experiment) -> Scores:
    """The scores by the names of the table's rows."""
    names = {row.method_name: row.name for row in experiment.rows}

    def renamed(scores: Any) -> Any:
        return tuple(replace(one, method=names[one.method]) for one in scores)

    return Scores(
        renamed(measured.pairs), renamed(measured.structures), renamed(measured.stages)
    )


def _measured_cells(row: MethodSummary) -> tuple[str, str, str]:
    if row.reason:
        return row.reason, "", ""
    iou, dice, seconds = (row.estimates[name] for name in ("iou", "dice", "seconds"))
    interval = f" ({iou.ci_low:.3f} to {iou.ci_high:.3f})"
    return (
        f"{iou.mean:.3f}" + ("" if math.isnan(iou.ci_low) else interval),
        f"{dice.mean:.3f}",
        f"{seconds.median:.3g}",
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
