"""What the command line shows people: tables and progress bars, nothing else."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from voltween.cohorts import Prepared
from voltween.demo import TISSUES, DemoResult
from voltween.evaluation import PairScore
from voltween.networks import config_from_facts
from voltween.refinement import Step
from voltween.spatial import Points
from voltween.training import DryRun, StageValidation, StepReport

console = Console(highlight=False, soft_wrap=True)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)


def is_first_process() -> bool:
    """Whether this is the only training process of the machine, or the first."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def show_figures(figures: dict[str, Any]) -> None:
    """Quality figures of a registration, as registration.json has them."""
    correlation = figures["correlation"]
    console.print(
        f"Correlation with the fixed image: {correlation['before']:.3f} before "
        f"(centers aligned), {correlation['after']:.3f} after. "
        f"Folding: {figures['folding_percent']:.3g} % of the fixed scan's voxels."
    )
    if "mean_dice" in figures:
        stages = ", ".join(f"{n} {d:.3f}" for n, d in figures["mean_dice"].items())
        console.print(f"Mean Dice over shared labels: {stages}.")
    seconds = figures["seconds"]
    times = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    console.print(f"Time: {times}.")


def show_points(transform: Path, points: Points) -> None:
    """How many points were carried, and which way."""
    console.print(
        f"{len(points.mm)} points carried the way of {transform.name}: a "
        "fixed_to_moving transform takes points from the fixed to the moving scan. "
        "RAS+ mm."
    )


def show_models(models: list[tuple[str, dict[str, Any]]]) -> None:
    """What is installed: name, purpose, grid, training and measured figures."""
    table = Table("model", "for", "network, grid", "trained on", "measured")
    for name, description in models:
        network, preprocessing = (
            config_from_facts(description),
            description["preprocessing"],
        )
        grid = " x ".join(map(str, preprocessing["shape"]))
        spacing = " x ".join(f"{mm:g}" for mm in preprocessing["spacing_mm"])
        provenance = description["provenance"]
        table.add_row(
            name,
            provenance.get("purpose", ""),
            f"{network.title}, {grid} voxels of {spacing} mm",
            f"{provenance.get('data', '')}; {len(provenance['train_cases'])} scans, "
            f"{provenance['steps']} steps",
            provenance.get("measured", ""),
        )
    console.print(table)


def show_demo(result: DemoResult, picture: Path) -> None:
    """Overlap and error of the demo, before and after, and the picture to open."""
    table = Table("stage", *(f"Dice {name}" for name in TISSUES.values()), "error (mm)")
    for stage, dice in result.dice.items():
        values = [f"{dice[label]:.3f}" for label in TISSUES]
        table.add_row(stage, *values, f"{result.error_mm[stage]:.2f}")
    console.print(table)
    seconds = sum(result.registration.seconds.values())
    console.print(
        f"Error: mean distance to the known true position, over the brain. "
        f"Folding {result.registration.folding_percent:.3g} %. {seconds:.1f} s in all."
    )
    console.print(f"Now open {picture}")


@contextmanager
def refinement_progress() -> Iterator[Callable[[Step], None]]:
    """What a registration does; yields the function to call at every step of it."""
    with console.status("Registering ...") as status:

        def on_step(progress: Step) -> None:
            status.update(
                f"Refining: {progress.part}, level {progress.level} of "
                f"{progress.levels}, step {progress.step} of {progress.steps}, "
                f"similarity loss {progress.similarity_loss:.4f} ..."
            )

        yield on_step


@contextmanager
def training_progress(steps: int) -> Iterator[Callable[[StepReport], None]]:
    """A progress bar with the time left; yields the function to call after every step.

    Of several training processes on a machine only the first shows it.
    """
    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(
        *columns, console=console, disable=not is_first_process()
    ) as progress:
        task = progress.add_task("", total=steps)
        recent: list[float] = []

        def on_step(report: StepReport) -> None:
            recent.append(sum(report.losses.values()))
            loss = float(np.mean(recent[-50:]))
            progress.update(task, completed=report.step, description=f"loss {loss:.4f}")
            for stage in report.stages:
                progress.print(_stage_line(report.step, stage))

        yield on_step


def _stage_line(step: int, stage: StageValidation) -> str:
    dice = "" if stage.dice is None else f"Dice {stage.dice:.4f}, "
    return (
        f"step {step}, {stage.stage}: {dice}correlation {stage.correlation:.4f}, "
        f"folding {stage.folding_percent:.3g} %"
    )


def show_dry_run(found: DryRun) -> None:
    """What a training will need, and what its first losses are."""
    table = Table("", "needs", "has")
    gigabytes = [
        f"{n / 1e9:.1f} GB" for n in (found.memory_bytes, found.memory_available_bytes)
    ]
    table.add_row("memory", *gigabytes)
    table.add_row("disk", f"{found.disk_bytes / 1e9:.1f} GB", "enough")
    hours, minutes = divmod(round(found.seconds / 60), 60)
    table.add_row("time, if nothing else runs", f"{hours} h {minutes} min", "")
    console.print(table)
    terms = ", ".join(f"{name} {value:.4f}" for name, value in found.losses.items())
    console.print(f"{found.scans} scans can be used. {found.weights} weights.")
    console.print(f"First losses: {terms}")


def show_cohort(described: dict[str, str]) -> None:
    """What was found in a cohort; vectors are along R, A, S."""
    table = Table("training scans", "along R x A x S")
    for name, text in described.items():
        table.add_row(name, text)
    console.print(table)


def show_decisions(notes: dict[str, str]) -> None:
    """Why the settings are what they are."""
    for key, reason in notes.items():
        console.print(f"{key}: {reason}", markup=False)


@contextmanager
def case_progress(cases: int) -> Iterator[Callable[[str], None]]:
    """A progress bar over scans; yields the function to call before each."""
    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=cases)
        yield lambda name: progress.update(task, advance=1, description=name)


@contextmanager
def pair_progress(pairs: int) -> Iterator[Callable[[PairScore], None]]:
    """A progress bar over pairs; yields the function to call after every pair."""
    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=pairs)

        def on_pair(score: PairScore) -> None:
            progress.update(task, advance=1, description=_pair_line(score))
            if score.status == "failed":
                progress.print(_pair_line(score), markup=False)

        yield on_pair


@contextmanager
def experiment_progress() -> Iterator[
    tuple[
        Callable[[str], None], Callable[[StepReport], None], Callable[[PairScore], None]
    ]
]:
    """One changing line; yields what to call for every network, step and pair."""
    with console.status("") as status:
        name = ""

        def on_training(network: str) -> None:
            nonlocal name
            name = network

        def on_step(report: StepReport) -> None:
            status.update(f"Training {name}: step {report.step}")
            if report.stages:
                line = _stage_line(report.step, report.stages[-1])
                console.print(f"{name}, {line}", markup=False)

        def on_pair(score: PairScore) -> None:
            status.update(_pair_line(score))

        yield on_training, on_step, on_pair


def _pair_line(score: PairScore) -> str:
    what = f"Dice {score.dice:.3f}" if score.status == "ok" else score.note
    return f"{score.method}, {score.moving} to {score.fixed}: {what}"


def show_markdown(text: str) -> None:
    """A page of Markdown, such as a table of results."""
    console.print(Markdown(text))


def show_recipes(recipes: Sequence[tuple[str, str]]) -> None:
    """The cohorts that can be prepared."""
    table = Table("recipe", "cohort")
    for name, title in recipes:
        table.add_row(name, title)
    console.print(table)


def show_recipe(title: str, download: str, disk: Sequence[str]) -> None:
    """What a cohort is, where it is, and how it lies on disk."""
    for line in (title, f"From {download}", "On disk:", *(f"  {row}" for row in disk)):
        console.print(line, markup=False)


def show_prepared(prepared: Prepared) -> None:
    """How many cases are ready, what is wrong with the others, and what to look at."""
    for fault in prepared.faults:
        error_console.print(f"voltween: {fault}", markup=False)
    splits = Counter(prepared.splits.values())
    counts = ", ".join(f"{count} {split}" for split, count in splits.items())
    console.print(
        f"{len(prepared.splits)} cases ({counts}), {len(prepared.made)} of them new. "
        f"Wrote {prepared.manifest}"
    )
    console.print(f"Look at {prepared.manifest.parent / 'contact_sheet.png'}")
