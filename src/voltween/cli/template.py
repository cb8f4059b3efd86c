"""Command: make a template of many scans."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.batches import read_cases
from voltween.cli.console import error_console, show_markdown
from voltween.cli.engine import EngineOptions
from voltween.cli.exit_codes import EXIT_SOME_FAILED
from voltween.cli.interrupts import KEPT
from voltween.cli.results import give_result, report_written
from voltween.cli.works import cases_in, registering
from voltween.storage import alone_in, check_is_no_input, folder_of
from voltween.templates import SUMMARY, TEMPLATE, TemplateOptions, build_template


@dataclass(frozen=True)
class Template:
    """Make a template of scans: their mean in shape and intensity.

    CASES is a manifest (CSV with columns case, image, split), a folder of scans, or a
    BIDS data set. Every round registers all scans to the template and averages them in
    their mean shape. It writes template.nii.gz, transforms/NAME.h5 (fixed to moving,
    from the template to the scan NAME: `voltween apply` resamples the scan or its
    labels onto the template with it) and NAME_inverse.h5, summary.md, and the rounds
    with the verdicts of their registrations (rounds/N/index.html). Give the same
    command again to continue, or with more rounds. Scans that cannot be registered, or
    whose verdict is failed, are left out of their round and listed; they make the exit
    code 1 if they are left out in the end.
    """

    cases: Annotated[Positional[Path], tyro.conf.arg(metavar="CASES")]
    """Manifest, folder of scans, or BIDS data set."""
    out: Path
    """Folder for the template; made if missing."""
    start: Path | None = None
    """Image to start from, whose grid and pose the template keeps. If not given, the
    mean of the scans after affine registration to the first one, in their mean pose."""
    split: str | None = None
    """Only cases of this split: train, val or test."""
    options: Annotated[TemplateOptions, tyro.conf.arg(name="")] = field(
        default_factory=TemplateOptions
    )
    engine: EngineOptions = field(default_factory=EngineOptions)

    @property
    def left(self) -> str:
        """The sentence after an interrupt."""
        return KEPT

    def run(self) -> None:
        """Register and average."""
        cases = cases_in(read_cases(self.cases), self.split)
        for name in (TEMPLATE, SUMMARY):
            check_is_no_input(self.out / name)
        with folder_of(self.out / SUMMARY), alone_in(self.out, work="template"):
            result = build_template(
                cases,
                self.out,
                self.options,
                registering(self.engine),
                start=self.start,
            )
        show_markdown((self.out / SUMMARY).read_text(encoding="utf-8"))
        give_result(left_out=result.left_out)
        report_written(result.template)
        for name, reason in result.left_out.items():
            error_console.print(f"voltween: {name}: left out: {reason}")
        if result.left_out:
            sys.exit(EXIT_SOME_FAILED)
