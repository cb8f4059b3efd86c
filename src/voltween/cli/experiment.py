"""Command: run a table of the paper on a cohort."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table
from tyro.conf import Positional

from voltween.baselines import TIME_LIMIT_MINUTES
from voltween.cli.console import console, show_markdown
from voltween.cli.engine import PlaceOptions
from voltween.cli.interrupts import KEPT
from voltween.cli.progress import changing_line
from voltween.cli.results import give_result
from voltween.cli.train import stage_line
from voltween.cohorts import Case, read_manifest
from voltween.evaluation import (
    ExperimentRun,
    ExperimentSettings,
    Observer,
    PaperTable,
    RowNeeds,
    ScaleName,
    experiment_needs,
    read_experiment,
    run_experiment,
)
from voltween.training import Hardware, StepReport
from voltween.workers import STATUS, Runner, Status


@dataclass(frozen=True)
class Experiment:
    """Run a table of the paper on a cohort.

    It trains the networks of the table and compares its methods on the `test` cases.
    Networks that several tables share are trained once, in --out, and an interrupted
    run continues when the command is repeated. A row that fails is a note in the table.
    With --workers, or on a cluster, workers align scans and measure pairs, too; the
    networks are trained by the command itself.
    It writes the report of `voltween compare`, and table.md with the published numbers
    beside the measured ones.
    """

    table: Annotated[Positional[Path], tyro.conf.arg(metavar="TABLE")]
    """Table of the paper, table_2 to table_7, table_3_shares or table_6_shares, or a
    TOML file of the same form."""
    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases, with `train`, `val` and `test` ones (see `voltween split`)."""
    out: Path
    """Folder for networks and tables of all experiments on this manifest."""
    scale: ScaleName = "small"
    """small: half the resolution and short trainings, for two processor cores. paper:
    the grids, networks and trainings of the paper."""
    dry_run: bool = False
    """Only take one step of every network, and report what the trainings need."""
    max_pairs: int = 0
    """Number of pairs to measure, drawn with a fixed seed; 0 for all."""
    keep_transforms: bool = False
    """Keep the transforms of all pairs, to draw figures from; those of other tools are
    then measured in later runs instead of registering again."""
    time_limit_minutes: float = TIME_LIMIT_MINUTES
    """Time that another tool gets for a pair before the pair counts as failed."""
    settings: Annotated[ExperimentSettings, tyro.conf.arg(name="")] = field(
        default_factory=ExperimentSettings
    )
    hardware: Annotated[Hardware, tyro.conf.arg(name="")] = field(
        default_factory=Hardware
    )
    place: Annotated[PlaceOptions, tyro.conf.arg(name="")] = field(
        default_factory=PlaceOptions
    )

    @property
    def left(self) -> str:
        """The sentence after an interrupt."""
        return KEPT

    def run(self) -> None:
        """Train, measure, write; or report what that needs."""
        table = read_experiment(self.table)
        cases = read_manifest(self.manifest, may_lack_files=True)
        if self.dry_run:
            self._show_needs(table, cases)
            return
        engine = self.place.with_workers(max(1, self.hardware.workers)).engine(self.out)
        with _progress(self.out / STATUS) as (observer, status):
            run = self._run(observer, Runner(engine, status))
            page = run_experiment(table, cases, out=self.out, run=run)
        give_result(out=self.out, page=page)
        show_markdown(page)

    def _run(self, observer: Observer, runner: Runner) -> ExperimentRun:
        return ExperimentRun(
            scale=self.scale,
            settings=self.settings,
            max_pairs=self.max_pairs,
            keep_transforms=self.keep_transforms,
            hardware=self.hardware,
            time_limit_minutes=self.time_limit_minutes,
            observer=observer,
            runner=runner,
        )

    def _show_needs(self, table: PaperTable, cases: tuple[Case, ...]) -> None:
        shown, notes = Table("row", "weights", "memory", "disk", "time"), []
        with changing_line() as show:
            for needs in experiment_needs(
                table,
                cases,
                out=self.out,
                run=self._run(Observer(), Runner()),
                on_row=lambda name: show(f"Trying {name}"),
            ):
                shown.add_row(needs.row.name, *_needs_cells(needs))
                notes += [f"{needs.row.name}: {needs.note}"] if needs.note else []
        console.print(shown)
        for note in notes:
            console.print(note)
        console.print(
            "Memory is the peak so far, of all rows above. Time is that of the "
            "training, on a machine that does nothing else."
        )


def _needs_cells(row: RowNeeds) -> tuple[str, str, str, str]:
    """Weights, memory, disk and time, empty if the row was not tried."""
    needs = row.needs
    if needs is None:
        return "", "", "", ""
    available = needs.memory_available_bytes
    has = "unknown" if available is None else f"{available / 1e9:.0f} GB"
    hours, minutes = divmod(round(needs.seconds / 60), 60)
    return (
        f"{needs.weights:,}",
        f"{needs.memory_bytes / 1e9:.1f} GB of {has}",
        f"{needs.disk_bytes / 1e9:.1f} GB",
        f"{hours} h {minutes} min",
    )


@contextmanager
def _progress(file: Path) -> Iterator[tuple[Observer, Status]]:
    """Shows a changing line for networks, steps and pairs; `file` gets the pairs."""
    with changing_line() as show:
        name = ""

        def on_training(network: str) -> None:
            nonlocal name
            name = network

        def on_step(report: StepReport) -> None:
            show(f"Training {name}: step {report.step}")
            if report.stages:
                line = stage_line(report.step, report.stages[-1])
                console.print(f"{name}, {line}")

        status = Status(
            file=file, on_change=lambda status: show(f"Pairs: {status.line()}")
        )
        yield Observer(on_training, on_step), status
