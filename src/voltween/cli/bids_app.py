"""The program `voltween-bids`, a BIDS App: cohorts of BIDS data sets.

BIDS Apps have one command line in common: data set, output, level of the analysis.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween.batches import (
    SUMMARY,
    CohortChoice,
    CohortRun,
    Companions,
    PairRow,
    RegistrationOptions,
    Work,
    check_data_set,
    check_has_scans,
    make_data_set,
    memory_limit,
    name_of_run,
    plan_cohort,
    rows_of,
    works_of,
    write_pages,
)
from voltween.cli.app import HELP, build_command, execute
from voltween.cli.console import console, show_markdown
from voltween.cli.engine import EngineOptions, LogLines, showing
from voltween.cli.exit_codes import EXIT_FAILED, EXIT_SOME_FAILED
from voltween.cli.parameters import parameters_of
from voltween.cli.words import check_words
from voltween.errors import InputError
from voltween.storage import alone_in

PROGRAM = "voltween-bids"


@dataclass(frozen=True)
class BidsApp:
    """Register the T1-weighted scans of a BIDS data set (a BIDS App).

    participant registers the scans of all participants, or of those with
    --participant-label, to a template or to the participant's first session, and writes
    OUTPUT_DIR as a BIDS derivative. Runs for different participants may share
    OUTPUT_DIR at the same time. What is done is kept: the same command again does what
    is missing. group writes the tables and the overview of all participants:
    index.html, pairs.csv and summary.md. Give it the same --template or --longitudinal.
    """

    bids_dir: Annotated[Positional[Path], tyro.conf.arg(metavar="BIDS_DIR")]
    """BIDS data set with sub-*/[ses-*/]anat/*_T1w.nii.gz."""
    out: Annotated[Positional[Path], tyro.conf.arg(metavar="OUTPUT_DIR")]
    """Folder for the derivatives; made if missing."""
    analysis_level: Annotated[
        Positional[Literal["participant", "group"]],
        tyro.conf.arg(metavar="{participant,group}"),
    ]
    """Register the scans, or write the tables and the overview."""
    participant_label: tuple[str, ...] = ()
    """Participants to process, with or without sub-; all if not given."""
    template: Path | None = None
    """Scan to register all scans to, such as tpl-MNI152NLin2009cAsym_T1w.nii.gz."""
    template_labels: Path | None = None
    """Label map of the template, which is carried to every scan."""
    longitudinal: bool = False
    """Register every later session of a participant to the first one."""
    skip_bids_validation: bool = False
    """Do not check dataset_description.json and the names of the scans."""
    retry_failed: bool = False
    """Try failed scans again."""
    strict: bool = False
    """End with exit code 3 if the verdict of a registration is failed."""
    registration: Annotated[RegistrationOptions, tyro.conf.arg(name="")] = field(
        default_factory=RegistrationOptions
    )
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Register, or write the pages."""
        check_has_scans(self.bids_dir)
        if not self.skip_bids_validation:
            check_data_set(self.bids_dir)
        works = self._works()
        chosen = works_of(works, self.participant_label)
        if self.analysis_level == "group":
            self._write_group(chosen)
        else:
            self._register(chosen, memory_limit(works))

    def _works(self) -> list[Work]:
        """The pairs of all participants: names depend on all of them."""
        if (self.template is None) != self.longitudinal:
            raise InputError(
                about="--template, --longitudinal",
                expected="one of them",
                got="both" if self.longitudinal else "none",
            )
        if self.template_labels is not None and self.template is None:
            raise InputError(
                about="--template-labels", expected="--template", got="--longitudinal"
            )
        companions = Companions(fixed_labels=self.template_labels)
        choice = CohortChoice(
            self.template, longitudinal=self.longitudinal, companions=companions
        )
        pairs = choice.pairs(self.bids_dir)
        return plan_cohort(pairs, self.registration, bids=self.bids_dir)

    def _register(self, works: list[Work], memory: int | None) -> None:
        run = CohortRun(
            works,
            self.out,
            self.engine.engine(self.out, memory=memory),
            retry_failed=self.retry_failed,
            name=name_of_run(self.participant_label),
        )
        make_data_set(self.out, self.bids_dir)
        with alone_in(run.make_folder(), work=PROGRAM):
            status = run.begin(LogLines())
            with showing(status):
                run.run(status, console.print)
        console.print(
            f"{len(works) - len(run.failures)} of {len(works)} scans are registered. "
            f"Next: {self._following}"
        )
        if run.failures:
            sys.exit(EXIT_SOME_FAILED)
        self._end_if_strict(rows_of(works, self.out))

    @property
    def _following(self) -> str:
        """The command for the group."""
        words = [PROGRAM, str(self.bids_dir), str(self.out), "group"]
        target = [] if self.template is None else ["--template", str(self.template)]
        words += target or ["--longitudinal"]
        words += ["--skip-bids-validation"] if self.skip_bids_validation else []
        return shlex.join(words)

    def _write_group(self, works: list[Work]) -> None:
        make_data_set(self.out, self.bids_dir)
        rows = write_pages(works, self.out)
        show_markdown((self.out / SUMMARY).read_text(encoding="utf-8"))
        if any(row.state != "done" for row in rows):
            sys.exit(EXIT_SOME_FAILED)
        self._end_if_strict(rows)

    def _end_if_strict(self, rows: Sequence[PairRow]) -> None:
        if self.strict and any(row.grade == "failed" for row in rows):
            sys.exit(EXIT_FAILED)


def run_bids_app(words: list[str]) -> None:
    """Runs the program with these words."""
    if "--version" in words:
        from voltween import __version__

        print(f"{PROGRAM} {__version__}")
        return
    if not HELP & {*words}:
        parameters = parameters_of(BidsApp, is_grouped=True)
        check_words(words, parameters, program=PROGRAM)
    command = build_command(PROGRAM, BidsApp, words, is_grouped=True)
    execute(command, (PROGRAM, *words))
