"""The command that lays a cohort on an atlas: align."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import cases_of_split, load_case, read_manifest
from voltween.errors import InputError
from voltween.evaluation import align_cases, new_alignment


@dataclass(frozen=True)
class Align:
    """Lay all scans of a manifest on one of them by the paper's command for ANTs.

    For networks without an affine stage. Writes the scans, labels and points on the
    atlas with a manifest to train on, and every transform (NAME_from_atlas.tfm: atlas
    world to the scan's own). `voltween compare` on the manifest of the scans as they
    are takes the folder as --aligned and measures aligned:METHOD on those, landmarks
    too. Goes on where it was cut short. Needs voltween[baselines].
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases."""
    out: Path
    """Folder for the aligned cohort."""
    atlas: str | None = None
    """Case to lay the others on; if not given, the first `train` case."""

    def run(self) -> None:
        """Align and write."""
        cases = read_manifest(self.manifest)
        name = self.atlas or cases_of_split(cases, "train")[0].name
        chosen = [case for case in cases if case.name == name]
        if not chosen:
            raise InputError(f"--atlas {name}: no such case in {self.manifest}")
        alignment = new_alignment(load_case(chosen[0])[0], self.out)
        with console.case_progress(len(cases)) as on_case:
            align_cases(cases, alignment, self.out, on_case=on_case)
        console.console.print(f"Wrote {self.out / 'cases.csv'}")
