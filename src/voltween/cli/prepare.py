"""Command: turn a download into images, labels and a manifest."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table
from tyro.conf import Positional

from voltween.cli.console import console, error_console
from voltween.cli.engine import EngineOptions
from voltween.cli.exit_codes import EXIT_SOME_FAILED
from voltween.cli.results import give_result
from voltween.cohorts import (
    DOWNLOADS,
    PreparationOptions,
    PreparedCohort,
    download_named,
    prepare,
)
from voltween.errors import InputError


@dataclass(frozen=True)
class Prepare:
    """Turn a downloaded cohort into images, labels and a manifest.

    Recipes: lits, sliver07, lpba40, abide1, abide2, adhd200, adni, oasis, learn2reg for
    any task of Learn2Reg or the Medical Segmentation Decathlon, rcn for the .h5 files
    of the VTN authors, folder for your own scans, with --region and --exposure.
    Without NAME, the recipes are listed; without SOURCE, the recipe states where to
    download the cohort and which files it expects. Repeat the command to continue, or
    after you have added missing files: finished cases are kept. The exit code is 1 if
    some cases could not be prepared.
    """

    name: Annotated[Positional[str | None], tyro.conf.arg(metavar="NAME")] = None
    """Recipe."""
    source: Annotated[Positional[Path | None], tyro.conf.arg(metavar="SOURCE")] = None
    """Folder of the download, or a zip file; zip files in the folder are read too."""
    out: Path | None = None
    """Folder for images/, labels/, points/, cases.csv, provenance.json, log.csv,
    contact_sheet.png (an overview to check by eye) and options.json. An option that is
    left out is as in the last run with this folder; options.json records them."""
    options: Annotated[PreparationOptions, tyro.conf.arg(name="")] = field(
        default_factory=PreparationOptions
    )
    engine: Annotated[EngineOptions, tyro.conf.arg(name="")] = field(
        default_factory=EngineOptions
    )

    def run(self) -> None:
        """List, describe, or prepare."""
        if self.name is None:
            _list_recipes()
        elif self.source is None:
            _describe_recipe(self.name)
        else:
            self._prepare(self.name, self.source)

    def _prepare(self, name: str, source: Path) -> None:
        cohort = download_named(name)
        if self.out is None:
            raise InputError(
                about="--out", expected="a folder for the prepared cohort", got="none"
            )
        with self.engine.running(self.out) as runner:
            prepared = prepare(
                cohort, source, out=self.out, options=self.options, runner=runner
            )
        give_result(
            manifest=prepared.manifest,
            splits=prepared.splits,
            new=list(prepared.made),
            faults=list(prepared.faults),
        )
        _show(prepared)
        if prepared.faults:
            sys.exit(EXIT_SOME_FAILED)


def _list_recipes() -> None:
    table = Table("recipe", "cohort")
    for cohort in DOWNLOADS:
        table.add_row(cohort.name, cohort.title)
    give_result(recipes={cohort.name: cohort.title for cohort in DOWNLOADS})
    console.print(table)


def _describe_recipe(name: str) -> None:
    """Shows the contents of a cohort, where to download it, and its layout on disk."""
    cohort = download_named(name)
    rows = [f"  {row}" for row in cohort.disk]
    for line in (cohort.title, f"From {cohort.origin}", "On disk:", *rows):
        console.print(line)


def _show(prepared: PreparedCohort) -> None:
    """Shows the number of finished cases and the faults of the others."""
    for fault in prepared.faults:
        error_console.print(f"voltween: {fault}")
    for note in prepared.notes:
        console.print(note)
    splits = Counter(prepared.splits.values())
    counts = ", ".join(f"{count} {split}" for split, count in splits.items())
    console.print(
        f"{len(prepared.splits)} cases ({counts}), {len(prepared.made)} of them new. "
        f"Wrote {prepared.manifest}"
    )
    console.print(f"Check {prepared.manifest.parent / 'contact_sheet.png'}")
