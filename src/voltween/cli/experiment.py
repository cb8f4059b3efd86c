"""Command: run a table of the paper on a cohort."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli.console import console, show_markdown
from voltween.cli.evaluate import pair_line
from voltween.cli.train import stage_line
from voltween.cohorts import read_manifest
from voltween.evaluation import (
    Observer,
    PairScore,
    ScaleName,
    read_experiment,
    run_experiment,
    table,
)
from voltween.training import StepReport


@dataclass(frozen=True)
class Experiment:
    """Run a table of the paper on a cohort.

    It trains the networks of the table and compares its methods. Networks that several
    tables share are trained once, in --out, and an interrupted run continues when the
    command is repeated. It writes the report of `voltween compare`, and table.md with
    the published numbers beside the measured ones.
    """

    table: Annotated[Positional[Path], tyro.conf.arg(metavar="TABLE")]
    """Table of the paper, table_2 to table_7, or a TOML file of the same form."""
    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases, with `train` and `val` ones."""
    out: Path
    """Folder for networks and tables of all experiments on this manifest."""
    scale: ScaleName = "small"
    """small: half the resolution and short trainings, for two processor cores. full:
    the trainings of the paper."""
    max_pairs: int = 0
    """Number of pairs of `val` cases to measure, drawn with a fixed seed; 0 for all."""

    def run(self) -> None:
        """Train, measure, write."""
        experiment = read_experiment(self.table)
        cases = read_manifest(self.manifest)
        with _progress() as observer:
            scores = run_experiment(
                experiment,
                cases,
                out=self.out,
                scale=self.scale,
                max_pairs=self.max_pairs,
                observer=observer,
            )
        show_markdown(table(experiment, scores))


@contextmanager
def _progress() -> Iterator[Observer]:
    """Shows one changing line for networks, steps and pairs."""
    with console.status("") as status:
        name = ""

        def on_training(network: str) -> None:
            nonlocal name
            name = network

        def on_step(report: StepReport) -> None:
            status.update(f"Training {name}: step {report.step}")
            if report.stages:
                line = stage_line(report.step, report.stages[-1])
                console.print(f"{name}, {line}", markup=False)

        def on_pair(score: PairScore) -> None:
            status.update(pair_line(score))

        yield Observer(on_training, on_step, on_pair)
