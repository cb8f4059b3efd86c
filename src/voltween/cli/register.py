"""Command: register a pair."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.text import Text
from tyro.conf import Positional

from voltween.batches import (
    Companions,
    PairJob,
    RegistrationOptions,
    register_files,
)
from voltween.cli.console import console
from voltween.cli.exit_codes import EXIT_FAILED
from voltween.cli.invocation import words
from voltween.cli.registration_bar import registration_bar
from voltween.cli.results import give_result
from voltween.registration import AUTO, OUTPUTS

_SHOWN_SECONDS = 0.005
_PICTURES = "report.html", "overview.png"


@dataclass(frozen=True)
class Register:
    """Register MOVING to FIXED and write the results to a folder.

    Scans may be NIfTI, NRRD, MetaImage, MGH, AFNI, MRtrix or DICOM (docs/formats.md),
    of any orientation and spacing. It writes moved.nii.gz (moving on the fixed grid),
    fixed_to_moving.h5 (ITK transform) and its inverse, moving_to_fixed.h5,
    registration.json (quality figures), report.html (verdict,
    figures and a viewer), overview.png (a picture to check by eye) and, with labels,
    moved_labels.nii.gz and carried_labels.nii.gz (those of the fixed scan on the moving
    grid). An earlier result in the folder, which has a registration.json, is replaced
    as a whole: all of these files are deleted, and others stay. Files that the command
    reads are never written over.
    """

    fixed: Annotated[Positional[Path], tyro.conf.arg(metavar="FIXED")]
    """Scan to register to."""
    moving: Annotated[Positional[Path], tyro.conf.arg(metavar="MOVING")]
    """Scan to be registered."""
    out: Path
    """Folder for the results; made if missing."""
    volume: int | None = None
    """Volume to take of a scan that is a 4D image, counted from 0."""
    strict: bool = False
    """End with exit code 3 if the verdict is failed."""
    companions: Companions = field(default_factory=Companions)
    registration: Annotated[RegistrationOptions, tyro.conf.arg(name="")] = field(
        default_factory=RegistrationOptions
    )

    def run(self) -> None:
        """Register and write."""
        job = PairJob(
            self.fixed,
            self.moving,
            self.companions,
            self.registration,
            points_guide=True,
            volume=self.volume,
        )
        absent = {output.step for name, output in OUTPUTS.items()} - {
            OUTPUTS[name].step for name in job.outputs
        }
        absent |= set() if self.registration.no_folding else {"unfolding"}
        with registration_bar(frozenset(absent)) as on_step:
            figures = register_files(
                job, self.out, command=words.get(), on_step=on_step
            )
        give_result(out=self.out, **figures)
        if self.registration.model == AUTO:
            console.print(f"Model: {figures['model']} ({figures['model_reason']}).")
        _show(figures)
        shown = [file for file in _PICTURES if file in figures["outputs"]]
        if shown:
            console.print(f"Check {self.out / shown[0]}")
        if self.strict and figures["verdict"]["grade"] == "failed":
            raise SystemExit(EXIT_FAILED)


def _show(figures: dict[str, Any]) -> None:
    """Shows the verdict and the quality figures of registration.json."""
    verdict = figures["verdict"]
    reasons = "; ".join(verdict["reasons"]) or "nothing speaks against it"
    color = {"good": "green", "doubtful": "yellow", "failed": "red"}[verdict["grade"]]
    grade = f"Verdict: {verdict['grade']}", f"bold {color}"
    console.print(Text.assemble(grade, f" ({reasons})."))
    correlation = figures["correlation"]
    console.print(
        f"Correlation with the fixed image: {correlation['before']:.3f} before "
        f"(centers aligned), {correlation['after']:.3f} after. "
        f"Folding: {figures['folding_percent']:.3g} % of the fixed scan's voxels."
    )
    if "mean_dice" in figures:
        stages = ", ".join(f"{n} {d:.3f}" for n, d in figures["mean_dice"].items())
        console.print(f"Mean Dice over shared labels: {stages}.")
    if (error_mm := figures["round_trip_error_mm"]) is not None:
        console.print(
            "Error of the inverse, over the fixed scan's foreground: "
            f"{_mm(error_mm['median'])} (median), {_mm(error_mm['percentile_95'])} "
            f"(95th percentile), at most {_mm(error_mm['largest'])}."
        )
    wall, processor = (figures["seconds"][clock] for clock in ("wall", "processor"))
    parts = ", ".join(f"{n} {s:.2f} s" for n, s in wall.items() if s >= _SHOWN_SECONDS)
    console.print(
        "Wall time, after Voltween was loaded and the scans were read: "
        f"{sum(wall.values()):.2f} s ({parts}). Processor time, summed over threads: "
        f"{sum(processor.values()):.2f} s."
    )


def _mm(length: float) -> str:
    """A length; what is less than a micrometer is 0."""
    return f"{round(length, 3):.3g} mm"
