"""The commands that measure: evaluate, compare and experiment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween import console
from voltween.alignment import kept_alignment, prealigned
from voltween.baselines.voxelmorph import voxelmorph_method
from voltween.data import Case, cases_of_split, read_manifest
from voltween.errors import InputError
from voltween.evaluate import Protocol, evaluate
from voltween.experiment import (
    Observer,
    ScaleName,
    read_experiment,
    run_experiment,
    table,
)
from voltween.methods import Method, method_named, model_method
from voltween.pairs import (
    Pair,
    atlas_pairs,
    drawn_pairs,
    listed_pairs,
    ordered_pairs,
)
from voltween.report import write_report

_ALIGNED = "aligned:"


@dataclass(frozen=True)
class Choice:
    """Which pairs of a cohort."""

    split: str = "val"
    """Cases to pair: train, val or test."""
    pairs: Literal["all", "atlas", "list"] = "all"
    """All ordered pairs, all others onto one case, or those of a list."""
    atlas: str | None = None
    """Case to be the fixed one of all pairs; if not given, the first."""
    pair_list: Path | None = None
    """CSV with columns fixed and moving."""
    max_pairs: int = 0
    """Pairs to measure, drawn by a fixed seed; 0 takes all."""

    def of(self, cases: tuple[Case, ...]) -> list[Pair]:
        """The pairs.

        Raises:
            InputError: If options do not fit each other, or name what is not there.
        """
        if (self.pairs == "list") != (self.pair_list is not None):
            raise InputError("--pairs list and --pair-list FILE belong together")
        if self.atlas is not None and self.pairs != "atlas":
            raise InputError("--atlas needs --pairs atlas")
        names = [case.name for case in cases]
        if self.pair_list is not None:
            pairs = listed_pairs(self.pair_list)
        elif self.pairs == "atlas":
            pairs = atlas_pairs(names, self.atlas or names[0])
        else:
            pairs = ordered_pairs(names)
        return drawn_pairs(pairs, self.max_pairs)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model on pairs of a manifest's cases: overlap, distances, folding.

    Writes a row a pair (pairs.csv), a structure (structures.csv) and a stage
    (stages.csv), their summaries as CSV, Markdown and LaTeX, and pictures. Pairs that
    are finished are not measured again: give the same command to go on.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases; overlap needs labels, landmark distances need points."""
    out: Path
    """Folder for the tables."""
    model: str
    """Shipped model or model file."""
    device: str = "cpu"
    """Where the model computes, such as cpu or cuda."""
    choice: Annotated[Choice, tyro.conf.arg(name="")] = field(default_factory=Choice)
    protocol: Annotated[Protocol, tyro.conf.arg(name="")] = field(
        default_factory=Protocol
    )

    def run(self) -> None:
        """Measure and write."""
        cases = cases_of_split(read_manifest(self.manifest), self.choice.split)
        method = model_method(f"model:{self.model}", self.model, device=self.device)
        _measure([method], cases, self.choice, self.protocol, self.out)


@dataclass(frozen=True)
class Compare:
    """Measure models and other tools on the same pairs: tables, tests, pictures.

    Methods: identity (the scans as they are), centres (their middles laid on each
    other), ants (the command of the VTN paper), ants-affine (that for pre-alignment),
    ants-syn and ants-syncc (antspyx's), elastix (affine, B-spline of 1000 iterations),
    voxelmorph (VoxelMorph-2, first trained on the manifest's `train` cases, which takes
    long), voxelmorph:FILE (trained before), model:NAME_OR_FILE. With aligned: before a
    name, scans are laid on the atlas of --aligned first, and what is found there is
    carried back and measured on them as they are. Tools need voltween[baselines].
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases; overlap needs labels, landmark distances need points."""
    methods: str
    """Names, with commas between them."""
    out: Path
    """Folder for the tables."""
    aligned: Path | None = None
    """Folder made by `voltween align`, for names that begin with aligned:."""
    voxelmorph_steps: int | None = None
    """Of the training of `voxelmorph`; if not given, the published 5000."""
    device: str = "cpu"
    """Where models compute, such as cpu or cuda."""
    choice: Annotated[Choice, tyro.conf.arg(name="")] = field(default_factory=Choice)
    protocol: Annotated[Protocol, tyro.conf.arg(name="")] = field(
        default_factory=Protocol
    )

    def run(self) -> None:
        """Measure and write."""
        everything = read_manifest(self.manifest)
        cases = cases_of_split(everything, self.choice.split)
        names = [name.strip() for name in self.methods.split(",") if name.strip()]
        if not names or len(set(names)) < len(names):
            raise InputError(
                f"--methods must name different methods, got {self.methods!r}"
            )
        methods = [self._method(name, everything) for name in names]
        _measure(methods, cases, self.choice, self.protocol, self.out)

    def _method(self, name: str, cases: tuple[Case, ...]) -> Method:
        if name.startswith(_ALIGNED):
            if self.aligned is None:
                raise InputError(
                    f"{name}: needs --aligned DIR, made by `voltween align`"
                )
            inner_name = name.removeprefix(_ALIGNED)
            if inner_name == "voxelmorph":
                raise InputError(
                    f"{name}: would be trained on scans that are not aligned: train it "
                    "on those of `voltween align`, then give aligned:voxelmorph:FILE"
                )
            inner = self._method(inner_name, cases)
            return prealigned(inner, kept_alignment(self.aligned), name=name)
        if name == "voxelmorph":
            return voxelmorph_method(
                cases,
                self.out / "voxelmorph",
                steps=self.voxelmorph_steps,
                device=self.device,
            )
        return method_named(name, device=self.device)


@dataclass(frozen=True)
class Experiment:
    """Run a table of the paper on a cohort: train its networks, compare its methods.

    Networks that several tables share are trained once, in --out, and a run that was
    cut short goes on where it was. Writes the report of `voltween compare`, and
    table.md with the paper's own numbers beside those measured.
    """

    table: Annotated[Positional[Path], tyro.conf.arg(metavar="TABLE")]
    """TOML file of the experiment, such as experiments/table_4.toml."""
    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases, with `train` and `val` ones."""
    out: Path
    """Folder for networks and tables of all experiments on this manifest."""
    scale: ScaleName = "small"
    """Small: half the resolution and short trainings, for two processor cores. Full:
    the paper's trainings."""
    max_pairs: int = 0
    """Pairs of `val` cases to measure, drawn by a fixed seed; 0 takes all."""

    def run(self) -> None:
        """Train, measure, write."""
        experiment = read_experiment(self.table)
        cases = read_manifest(self.manifest)
        with console.experiment_progress() as (on_training, on_step, on_pair):
            scores = run_experiment(
                experiment,
                cases,
                out=self.out,
                scale=self.scale,
                max_pairs=self.max_pairs,
                observer=Observer(on_training, on_step, on_pair),
            )
        console.show_markdown(table(experiment, scores))


def _measure(
    methods: list[Method],
    cases: tuple[Case, ...],
    choice: Choice,
    protocol: Protocol,
    out: Path,
) -> None:
    pairs = choice.of(cases)
    with console.pair_progress(len(pairs) * len(methods)) as on_pair:
        scores = evaluate(
            methods, cases, pairs=pairs, out=out, protocol=protocol, on_pair=on_pair
        )
    write_report(scores, out)
    console.show_markdown((out / "summary.md").read_text())
