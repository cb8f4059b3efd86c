"""Command: align a cohort to an atlas."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli.engine import EngineOptions, list_failures
from voltween.cli.exit_codes import EXIT_SOME_FAILED
from voltween.cli.results import give_result, report_written
from voltween.cohorts import cases_of_split, load_case, read_manifest
from voltween.errors import InputError
from voltween.evaluation import align_cases, new_alignment


@dataclass(frozen=True)
class Align:
    """Align all scans of a manifest to one of them with ANTs.

    It uses the paper's command, for networks without an affine stage. It writes the
    scans, labels and points on the atlas with a manifest to train on, and every
    transform (NAME_from_atlas.tfm, from atlas world to the scan's world). Scans that
    cannot be aligned are listed and make the exit code 1. `voltween
    compare`, on the manifest of the original scans, takes the folder as --aligned and
    measures aligned:METHOD on the original scans, landmarks too. Repeat the command to
    continue an interrupted run. Needs voltween[baselines].
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases."""
    out: Path
    """Folder for the aligned cohort."""
    atlas: str | None = None
    """Case to align the others to; if not given, the first `train` case."""
    engine: Annotated[EngineOptions, tyro.conf.arg(name="")] = field(
        default_factory=EngineOptions
    )

    def run(self) -> None:
        """Align and write."""
        cases = read_manifest(self.manifest, may_lack_files=True)
        name = self.atlas or cases_of_split(cases, "train")[0].name
        chosen = [case for case in cases if case.name == name]
        if not chosen:
            raise InputError(
                about="--atlas", expected=f"a case of {self.manifest}", got=repr(name)
            )
        atlas, _ = load_case(chosen[0])
        with self.engine.running(self.out) as runner:
            alignment = new_alignment(atlas, self.out)
            align_cases(cases, alignment, self.out, runner=runner)
        report_written(self.out / "cases.csv")
        give_result(failures=runner.status.failures)
        list_failures(runner.status)
        if runner.status.failures:
            sys.exit(EXIT_SOME_FAILED)
