"""Command: register a cohort."""

import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

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
    make_data_set,
    memory_limit,
    memory_remark,
    plan_cohort,
    write_pages,
)
from voltween.cli.console import console, error_console, show_markdown
from voltween.cli.engine import EngineOptions, LogLines, showing
from voltween.cli.exit_codes import EXIT_FAILED, EXIT_SOME_FAILED
from voltween.cli.invocation import words
from voltween.cli.results import give_result
from voltween.errors import InputError, VoltweenError, check_range
from voltween.storage import alone_in
from voltween.workers import SlurmJob, array_script

_OWN = ("--print-sbatch", "--slurm", "--jobs", "--part")
_MOST_TASKS = 100_000


@dataclass(frozen=True)
class FixedFiles:
    """Files of the fixed scan of all pairs."""

    fixed_labels: Path | None = None
    """Label map of the --fixed scan, which is carried to every case."""
    fixed_points: Path | None = None
    """Points of the --fixed scan, which are carried to every case."""
    fixed_mask: Path | None = None
    """Label map: only voxels > 0 of the --fixed scan count."""

    @property
    def companions(self) -> Companions:
        """The same files as companions of a pair."""
        return Companions(
            fixed_labels=self.fixed_labels,
            fixed_points=self.fixed_points,
            fixed_mask=self.fixed_mask,
        )


@dataclass(frozen=True)
class Cohort:
    """Register many scans, and go on where an earlier run ended.

    CASES is a manifest (CSV with columns case, image, split), a folder of scans, a BIDS
    data set (sub-*/[ses-*/]anat/*_T1w.nii.gz), or a CSV of pairs with columns fixed and
    moving, and with labels, masks and points in columns named as the options of
    `voltween register`. Every pair gets a folder as `voltween register` writes it, in
    cases/. pairs.csv has the verdict of every pair, worst first; status.csv has the
    state while the command runs; summary.md and index.html show the pairs to check.
    Give the same command again to do what is missing: after an interrupt, on another
    machine, or with other workers. Pairs that cannot be registered are recorded and
    listed, and make the exit code 1.
    """

    cases: Annotated[Positional[Path], tyro.conf.arg(metavar="CASES")]
    """Manifest, folder of scans, BIDS data set, or list of pairs."""
    out: Path
    """Folder for the results; made if missing."""
    fixed: Path | None = None
    """Scan to register every case to, such as an atlas, or the name of a case."""
    all_pairs: bool = False
    """Register all ordered pairs of cases."""
    longitudinal: bool = False
    """Register every later scan of a subject to the subject's first."""
    bids: bool = False
    """Write the results as BIDS derivatives; CASES is a BIDS data set."""
    retry_failed: bool = False
    """Try failed pairs again. Pairs whose files have changed are tried again without
    this option."""
    guide_by_points: bool = False
    """Align the landmarks of both scans; without it they are only carried along."""
    strict: bool = False
    """End with exit code 3 if the verdict of a pair is failed."""
    part: str | None = None
    """Share of the pairs to do, such as 3/40; with /40, the number is that of the task
    of a Slurm job array. Processes with different shares use one folder."""
    print_sbatch: bool = False
    """Print the script of a Slurm job array that does the work, with --slurm for the
    resources of a task and --jobs for the number of tasks, and do nothing."""
    fixed_files: FixedFiles = field(default_factory=FixedFiles)
    registration: Annotated[RegistrationOptions, tyro.conf.arg(name="")] = field(
        default_factory=RegistrationOptions
    )
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Register what is missing, and write the tables."""
        if self.print_sbatch:
            script = self._script()
            give_result(script=script)
            console.print(script, soft_wrap=True, end="")
            return
        works = self._works()
        memory = memory_limit(works)
        run = CohortRun(
            works,
            self.out,
            self.engine.engine(self.out, part=self.part, memory=memory),
            retry_failed=self.retry_failed,
        )
        if remark := memory_remark(run.share, run.engine):
            error_console.print(f"voltween: {remark}")
        if self.bids:
            make_data_set(self.out, self.cases)
        with alone_in(run.make_folder(), work="cohort"):
            status = run.begin(LogLines())
            try:
                with showing(status):
                    run.run(status, console.print)
            except BaseException:  # an interrupt, above all
                with suppress(VoltweenError):
                    write_pages(works, self.out)
                raise
            rows = write_pages(works, self.out)
        self._end(run, rows)

    def _works(self) -> list[Work]:
        """All pairs."""
        choice = CohortChoice(
            self.fixed,
            self.all_pairs,
            self.longitudinal,
            self.fixed_files.companions,
        )
        return plan_cohort(
            choice.pairs(self.cases),
            self.registration,
            bids=self.cases if self.bids else None,
            points_guide=self.guide_by_points,
        )

    def _end(self, run: CohortRun, rows: list[PairRow]) -> None:
        """Shows the summary and the failures; ends with their exit code."""
        give_result(out=self.out, pairs=[asdict(row) for row in rows])
        show_markdown((self.out / SUMMARY).read_text(encoding="utf-8"))
        if run.failures:
            sys.exit(EXIT_SOME_FAILED)
        if self.strict and any(row.grade == "failed" for row in rows):
            sys.exit(EXIT_FAILED)

    def _script(self) -> str:
        """The script of a job array."""
        if self.engine.slurm is None:
            raise InputError(
                about="--print-sbatch",
                expected="--slurm with the resources of one task",
                got="none",
            )
        job = SlurmJob.read(self.engine.slurm, memory_limit(self._works()))
        check_range("--jobs", self.engine.jobs, 1, _MOST_TASKS)
        return array_script(_without_own(words.get()[1:]), job, self.engine.jobs)


def _without_own(given: tuple[str, ...]) -> list[str]:
    """The words of the command without the options of the job array itself."""
    kept = []
    rest = iter(given)
    for word in rest:
        name, equals, _ = word.replace("_", "-").partition("=")
        if name not in _OWN:
            kept.append(word)
        elif name != "--print-sbatch" and not equals:
            next(rest, None)
    return kept
