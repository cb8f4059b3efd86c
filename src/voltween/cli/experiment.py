"""Command: run a table of the paper on a cohort."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import read_manifest
from voltween.evaluation import (
    Observer,
    ScaleName,
    read_experiment,
    run_experiment,
    table,
)


@dataclass(frozen=True)
class Experiment:
    """Run a table of the paper on a cohort: train its networks, compare its methods.

    Networks that several tables share are trained once, in --out, and a run that was
    cut short goes on where it was. Writes the report of `voltween compare`, and
    table.md with the paper's own numbers beside those measured.
    """

    table: Annotated[Positional[Path], tyro.conf.arg(metavar="TABLE")]
    """Table of the paper, table_2 to table_7, or a TOML file of the same form."""
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
