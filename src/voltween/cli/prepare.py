"""The command that makes a manifest of a download."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import COHORTS, Choices, cohort_named, prepare
from voltween.errors import InputError


@dataclass(frozen=True)
class Prepare:
    """Turn a cohort as you downloaded it into images, labels and a manifest.

    Recipes: lits, sliver07, lpba40, abide, adhd200, adni, oasis, learn2reg (any task of
    Learn2Reg or the Medical Segmentation Decathlon), rcn (the VTN authors' .h5 files).
    Without NAME they are listed; without SOURCE the recipe says where to download and
    what it looks for. Give the same command again to go on or to mend what was missing:
    finished cases are left alone. Exit code 1 if some cases could not be prepared.
    """

    name: Annotated[Positional[str | None], tyro.conf.arg(metavar="NAME")] = None
    """Recipe."""
    source: Annotated[Positional[Path | None], tyro.conf.arg(metavar="SOURCE")] = None
    """Folder of the download, or a zip; zips in the folder are looked into."""
    out: Path | None = None
    """Folder for images/, labels/, points/, cases.csv, provenance.json, log.csv and
    contact_sheet.png (look at it)."""
    choices: Annotated[Choices, tyro.conf.arg(name="")] = field(default_factory=Choices)

    def run(self) -> None:
        """List, describe, or prepare."""
        if self.name is None:
            console.show_recipes([(c.name, c.title) for c in COHORTS])
            return
        cohort = cohort_named(self.name)
        if self.source is None:
            console.show_recipe(cohort.title, cohort.download, cohort.disk)
            return
        if self.out is None:
            raise InputError(f"{self.source}: --out DIR is needed to prepare it")
        with console.console.status("Preparing ...") as status:
            prepared = prepare(
                cohort,
                self.source,
                out=self.out,
                choices=self.choices,
                on_case=lambda text: status.update(f"Preparing {text}"),
            )
        console.show_prepared(prepared)
        if prepared.faults:
            sys.exit(1)
