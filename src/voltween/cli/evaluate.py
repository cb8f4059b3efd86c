"""Command: measure a model on the pairs of a cohort."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from tyro.conf import Positional

from voltween.cli.console import console, show_markdown
from voltween.cohorts import (
    Case,
    Pair,
    atlas_pairs,
    cases_of_split,
    draw_pairs,
    ordered_pairs,
    read_manifest,
    read_pairs,
)
from voltween.errors import InputError
from voltween.evaluation import (
    Method,
    PairScore,
    Protocol,
    evaluate,
    model_method,
    write_report,
)


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
            pairs = read_pairs(self.pair_list)
        elif self.pairs == "atlas":
            pairs = atlas_pairs(names, self.atlas or names[0])
        else:
            pairs = ordered_pairs(names)
        return draw_pairs(pairs, self.max_pairs)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model on pairs of a cohort: overlap, distances, folding.

    It writes one row per pair (pairs.csv), structure (structures.csv) and stage
    (stages.csv), their summaries as CSV, Markdown and LaTeX, and plots. Finished pairs
    are not measured again: repeat the command to continue an interrupted run.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases; overlap needs labels, landmark distances need points."""
    out: Path
    """Folder for the tables."""
    model: str
    """Shipped model or model file."""
    device: str = "cpu"
    """Device of the model, such as cpu or cuda."""
    choice: Annotated[Choice, tyro.conf.arg(name="")] = field(default_factory=Choice)
    protocol: Annotated[Protocol, tyro.conf.arg(name="")] = field(
        default_factory=Protocol
    )

    def run(self) -> None:
        """Measure and write."""
        cases = cases_of_split(read_manifest(self.manifest), self.choice.split)
        method = model_method(f"model:{self.model}", self.model, device=self.device)
        measure_pairs([method], cases, self.choice, self.protocol, self.out)


def measure_pairs(
    methods: list[Method],
    cases: tuple[Case, ...],
    choice: Choice,
    protocol: Protocol,
    out: Path,
) -> None:
    """Measures methods on the chosen pairs with a progress bar; writes the report."""
    pairs = choice.of(cases)
    with pair_progress(len(pairs) * len(methods)) as on_pair:
        scores = evaluate(
            methods, cases, pairs=pairs, out=out, protocol=protocol, on_pair=on_pair
        )
    write_report(scores, out)
    show_markdown((out / "summary.md").read_text())


@contextmanager
def pair_progress(pairs: int) -> Iterator[Callable[[PairScore], None]]:
    """Shows a progress bar over pairs; yields the function to call after each pair."""
    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=pairs)

        def on_pair(score: PairScore) -> None:
            progress.update(task, advance=1, description=pair_line(score))
            if score.status == "failed":
                progress.print(pair_line(score), markup=False)

        yield on_pair


def pair_line(score: PairScore) -> str:
    """Method, pair, and the Dice value or the reason why there is none."""
    result = f"Dice {score.dice:.3f}" if score.status == "ok" else score.note
    return f"{score.method}, {score.moving} to {score.fixed}: {result}"
