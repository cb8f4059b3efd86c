"""Command: train a network, from a plan or from a manifest and options."""

import argparse
import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from tyro.conf import Positional

from voltween.cli import invocation
from voltween.cli.console import console, error_console, is_first_process
from voltween.cli.progress import Description, progress_bar
from voltween.cli.results import give_result
from voltween.cohorts import read_manifest
from voltween.training import (
    DryRun,
    Hardware,
    StageValidation,
    StepReport,
    TrainConfig,
    TrainingOptions,
    default_training,
    option_names,
    read_outcome,
    read_recipe,
    train,
    try_training,
)

_BAR_WIDTH = 24  # beside which the rest has room in 80 columns


@dataclass(frozen=True)
class Train:
    """Train a network on the `train` cases of a cohort.

    Give a plan (see `voltween plan`), or a manifest and settings as options. A manifest
    is a CSV with the columns case, image, split (train, val, test), and optionally
    labels and points. The `val` cases choose the best model, which is best.safetensors
    in the folder. Ctrl-C keeps the state of the step; repeat the command to go on.
    """

    source: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST_OR_PLAN")]
    """CSV of cases, or a TOML plan, whose settings options override."""
    out: Path
    """Folder of the run."""
    fine_tune: str | None = None
    """Train a model further: a shipped one, one of your own, or a model file. Grid,
    preprocessing and cascade are those of the model, adapted where the scans need it;
    rate, steps and early stopping suit a fine-tuning."""
    options: Annotated[TrainingOptions, tyro.conf.arg(name="")] = field(
        default_factory=TrainingOptions
    )
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: default_training("vtn")
    )
    dry_run: bool = False
    """Only read all scans, take a few steps, and report what the training needs."""
    cache: Path | None = None
    """Folder for scans on the network's grid; if not given, a folder in --out."""
    hardware: Annotated[Hardware, tyro.conf.arg(name="")] = field(
        default_factory=Hardware
    )

    def run(self) -> None:
        """Train, or report what the training needs."""
        logging.getLogger("voltween").setLevel(logging.INFO)
        manifest, recipe = read_recipe(
            self.source,
            self.options,
            self.training,
            named=set(option_names(invocation.words.get())),
            fine_tune=self.fine_tune,
        )
        is_synthesized = recipe.training.synthesis.share > 0
        cases = read_manifest(manifest, may_lack_scans=is_synthesized)
        if is_first_process():
            for remark in recipe.remarks:
                console.print(remark)
        run: dict[str, Any] = {
            "out": self.out,
            "cache": self.cache,
            "hardware": self.hardware,
        }
        if self.dry_run:
            needs = try_training(cases, recipe, **run)
            if is_first_process():
                give_result(needs=needs)
                _show_needs(needs)
            return
        with _saying_how_to_go_on(), _progress(recipe.training.steps) as on_step:
            train(cases, recipe, on_step=on_step, **run)
        if is_first_process():
            outcome = read_outcome(self.out)
            give_result(out=self.out, model=outcome.model, findings=outcome.sentences)
            for sentence in outcome.sentences:
                console.print(sentence)


def command_for(words: Sequence[str]) -> Callable[..., Train]:
    """`Train` with the defaults of the network and objective that the options name."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--network", "--objective", "--repeats"):
        parser.add_argument(name, nargs="?")
    named = parser.parse_known_args(list(words))[0]
    repeats = named.repeats or ""
    training = default_training(
        "voxelmorph-2" if named.network == "voxelmorph-2" else "vtn",
        "rcn" if named.objective == "rcn" else "vtn",
        int(repeats) if repeats.isdecimal() else 1,  # else refused with its option
    )
    return partial(
        Train, options=TrainingOptions(), training=training, hardware=Hardware()
    )


@contextmanager
def _saying_how_to_go_on() -> Iterator[None]:
    """Says after an interrupt which command goes on with the training."""
    try:
        yield
    except KeyboardInterrupt:
        if is_first_process():
            words = shlex.join(invocation.words.get())
            text = f"To go on, repeat the command: {words}"
            error_console.print(text, soft_wrap=True)
        raise


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[StepReport], None]]:
    """Shows a progress bar with the time left; yields the function to call per step.

    Of several training processes on one machine, only the first shows it.
    """
    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(_BAR_WIDTH),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        Description(),
    )
    with progress_bar(*columns, is_shown=is_first_process(), is_kept=True) as progress:
        task = progress.add_task("preparing the scans", total=steps)
        recent: list[float] = []

        def on_step(report: StepReport) -> None:
            if report.losses:  # none before the first step
                recent.append(sum(report.losses.values()))
            loss = f"loss {np.mean(recent[-50:]):.4f}" if recent else ""
            progress.update(task, completed=report.step, description=loss)
            for stage in report.stages:
                console.print(stage_line(report.step, stage))

        yield on_step


def stage_line(step: int, stage: StageValidation) -> str:
    """Validation of a stage after a step, as one line."""
    dice = "" if stage.dice is None else f"Dice {stage.dice:.4f}, "
    return (
        f"step {step}, {stage.stage}: {dice}correlation {stage.correlation:.4f}, "
        f"folding {stage.folding_percent:.3g} %"
    )


def _show_needs(needs: DryRun) -> None:
    """Shows the memory, disk and time that a training needs, and its first losses."""
    table = Table("", "needs", "has")
    available = needs.memory_available_bytes
    has = "unknown" if available is None else f"{available / 1e9:.1f} GB"
    table.add_row("memory", f"{needs.memory_bytes / 1e9:.1f} GB", has)
    table.add_row("disk", f"{needs.disk_bytes / 1e9:.1f} GB", "enough")
    hours, minutes = divmod(round(needs.seconds / 60), 60)
    table.add_row("time, if nothing else runs", f"{hours} h {minutes} min", "")
    console.print(table)
    terms = ", ".join(f"{name} {value:.4f}" for name, value in needs.losses.items())
    console.print(f"{needs.scans} scans can be used. {needs.weights} weights.")
    console.print(f"First losses: {terms}")
