"""Command: plan a training from a cohort."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.training import (
    describe_fingerprint,
    measure_fingerprint,
    plan,
    write_plan,
)


@dataclass(frozen=True)
class Plan:
    """Look at the `train` scans of a manifest and write settings for training on them.

    The settings are a TOML file in which every line is explained, and every decision
    has its reason. Change what you like; then `voltween train plan.toml --out DIR`.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases."""
    out: Path = Path("plan.toml")
    """File to write."""
    overwrite: bool = False
    """Write over a file that is there."""

    def run(self) -> None:
        """Look, decide, write."""
        if self.out.suffix != ".toml":
            raise InputError(f"{self.out}: expected a name that ends in .toml")
        if self.out.exists() and not self.overwrite:
            raise InputError(
                f"{self.out}: is there already: give --overwrite or another --out"
            )
        cases = read_manifest(self.manifest)
        with console.case_progress(sum(c.split == "train" for c in cases)) as on_case:
            found = measure_fingerprint(cases, on_case)
        decided, notes = plan(self.manifest, found, has_gpu=torch.cuda.is_available())
        rows = describe_fingerprint(found)
        heading = [
            "Made by `voltween plan`, for `voltween train`. What was found in the "
            "training scans, along R x A x S:",
            "",
            *(f"{name}: {text}" for name, text in rows.items()),
        ]
        write_plan(decided, self.out, heading=heading, notes=notes)
        console.show_cohort(rows)
        console.show_decisions(notes)
        console.console.print(f"Wrote {self.out}")
