"""Command: measure a model on the pairs of a cohort."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from tyro.conf import Positional

from voltween.cli.console import console, show_markdown
from voltween.cohorts import Case, cases_of_split, read_manifest
from voltween.evaluation import (
    EvaluationProtocol,
    Method,
    PairScore,
    PairSelection,
    check_report_folder,
    evaluate,
    model_method,
    write_report,
)


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
    selection: Annotated[PairSelection, tyro.conf.arg(name="")] = field(
        default_factory=PairSelection
    )
    protocol: Annotated[EvaluationProtocol, tyro.conf.arg(name="")] = field(
        default_factory=EvaluationProtocol
    )

    def run(self) -> None:
        """Measure and write."""
        cases = cases_of_split(read_manifest(self.manifest), self.selection.split)
        method = model_method(f"model:{self.model}", self.model, device=self.device)
        measure_pairs([method], cases, self.selection, self.protocol, self.out)


def measure_pairs(
    methods: list[Method],
    cases: tuple[Case, ...],
    selection: PairSelection,
    protocol: EvaluationProtocol,
    out: Path,
) -> None:
    """Measures methods on the chosen pairs with a progress bar; writes the report."""
    check_report_folder(out)
    pairs = selection.choose(cases)
    with pair_progress(len(pairs) * len(methods)) as on_pair:
        scores = evaluate(
            methods, cases, pairs=pairs, out=out, protocol=protocol, on_pair=on_pair
        )
    write_report(scores, out)
    show_markdown((out / "summary.md").read_text(encoding="utf-8"))


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
