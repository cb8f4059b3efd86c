"""Command: plan a training from a cohort."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.table import Table
from tyro.conf import Positional

from voltween.cli.console import console
from voltween.cli.progress import case_progress
from voltween.cli.results import give_result, report_written
from voltween.cohorts import check_scans, read_manifest
from voltween.errors import InputError
from voltween.storage import check_is_no_input
from voltween.training import (
    describe_fingerprint,
    fine_tuned,
    measure_fingerprint,
    notes_that_hold,
    plan,
    write_plan,
)


@dataclass(frozen=True)
class Plan:
    """Inspect training scans and write training settings.

    The settings are a TOML file that explains every line and gives the reason for
    every decision. The labels of all cases are checked to lie on their scans. If cases
    have a label map and no image, the training is one on synthesized scans. Change what
    you like; then run `voltween train plan.toml --out DIR`.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases."""
    out: Path = Path("plan.toml")
    """File to write."""
    like: str | None = None
    """Plan to fine-tune this model: a shipped one, one of your own, or a model file.
    Grid, preprocessing and cascade are those of the model, adapted where the scans
    need it."""
    overwrite: bool = False
    """Overwrite an existing file."""

    def run(self) -> None:
        """Inspect, decide, write."""
        self._check_out()
        cases = read_manifest(self.manifest, may_lack_scans=True)
        with case_progress(len(cases)) as on_case:
            fingerprint = measure_fingerprint(cases, on_case)
            check_scans((c for c in cases if c.split != "train"), on_case)
        decided, notes = plan(
            self.manifest, fingerprint, has_gpu=torch.cuda.is_available()
        )
        if self.like is not None:
            planned = decided
            decided, changes = fine_tuned(planned, self.like, cases, fingerprint)
            notes = notes_that_hold(notes, planned, decided) | changes
        rows = describe_fingerprint(fingerprint)
        heading = [
            "Made by `voltween plan`, for `voltween train`. The training scans, along "
            "R x A x S:",
            "",
            *(f"{name}: {text}" for name, text in rows.items()),
        ]
        write_plan(decided, self.out, heading=heading, notes=notes)
        give_result(scans=rows, reasons=notes)
        _show(rows, notes)
        report_written(self.out)

    def _check_out(self) -> None:
        check_is_no_input(self.out)
        if self.out.suffix != ".toml":
            raise InputError(
                about="--out", expected="a name that ends in .toml", got=self.out
            )
        if self.out.exists() and not self.overwrite:
            raise InputError(
                about=self.out,
                expected="a new file",
                got="an existing one",
                advice="give --overwrite or another --out",
            )


def _show(rows: dict[str, str], notes: dict[str, str]) -> None:
    """Shows the facts of the cohort and the reasons for the settings."""
    table = Table("training scans", "along R x A x S")
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(table)
    for key, reason in notes.items():
        console.print(f"{key}: {reason}")
