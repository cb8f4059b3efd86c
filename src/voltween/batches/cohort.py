"""A cohort: which pairs are registered, what is done already, and what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from voltween.batches.bids_input import entities_of, is_bids
from voltween.batches.bids_output import BidsLayout, bids_uri, write_data_set
from voltween.batches.case_sources import read_cases
from voltween.batches.companions import Companions
from voltween.batches.layout import PARTS, FolderLayout, Layout
from voltween.batches.names import alphanumeric_names, safe_names
from voltween.batches.options import RegistrationOptions
from voltween.batches.pair_job import PairJob
from voltween.batches.pairing import (
    CohortPair,
    is_list_of_pairs,
    listed_pairs,
    pairs_in_time,
    pairs_of_all,
    pairs_to,
)
from voltween.batches.tables import PAIRS, SUMMARY
from voltween.batches.work import (
    Work,
    do_work,
    failed_work,
    finished_work,
    forget_failure,
    keep_failure,
)
from voltween.cohorts import read_structures
from voltween.errors import InputError
from voltween.models import weights_digest
from voltween.refinement import WITHOUT_MODEL
from voltween.registration import AUTO, check_outputs
from voltween.reports import INDEX
from voltween.storage import check_is_no_input, file_name, output_folder
from voltween.workers import STATUS, Engine, Outcome, Status, Task, run_tasks


@dataclass(frozen=True)
class CohortChoice:
    """The pairs of a cohort: one of four ways to form them, and the fixed files."""

    fixed: Path | None = None
    """Scan to register every case to, or the name of a case."""
    all_pairs: bool = False
    """Register all ordered pairs of cases."""
    longitudinal: bool = False
    """Register every later scan of a subject to the subject's first."""
    companions: Companions = field(default_factory=Companions)
    """The files of the fixed scan."""

    def pairs(self, cases: Path) -> list[CohortPair]:
        """The pairs of the cases of a place.

        Raises:
            InputError: If no way or several are chosen, or the cases cannot be used.
        """
        if is_list_of_pairs(cases):
            self._check_ways(0, "none of these options with a list of pairs")
            return listed_pairs(cases)
        self._check_ways(1, "one of them")
        scans = read_cases(cases)
        if self.fixed is not None:
            return pairs_to(scans, self.fixed, self.companions)
        if [*self.companions.by_role()]:
            role, files = next(self.companions.by_role())
            raise InputError(
                about=f"--{role.replace('_', '-')}",
                expected="--fixed, whose file it is",
                got=files[0],
            )
        return pairs_of_all(scans) if self.all_pairs else pairs_in_time(scans)

    def _check_ways(self, number: int, expected: str) -> None:
        ways = {
            "--fixed": self.fixed is not None,
            "--all-pairs": self.all_pairs,
            "--longitudinal": self.longitudinal,
        }
        chosen = [name for name, is_chosen in ways.items() if is_chosen]
        if len(chosen) != number:
            raise InputError(
                about=", ".join(ways),
                expected=expected,
                got=" and ".join(chosen) or "none",
                advice="give one, or a CSV with columns fixed and moving"
                if number and not chosen
                else "",
            )


def plan_cohort(
    pairs: Sequence[CohortPair],
    options: RegistrationOptions,
    *,
    bids: Path | None = None,
    points_guide: bool = False,
) -> list[Work]:
    """The work of every pair, with its name.

    Args:
        pairs: The pairs.
        options: How they are registered.
        bids: The BIDS data set that the moving scans belong to, if the results are a
            BIDS derivative.
        points_guide: Whether landmarks of both scans guide the registration.

    Raises:
        InputError: If options cannot be used for any pair, or the cases are no BIDS
            data set.
    """
    check_registration(options)
    if bids is not None and not is_bids(bids):
        raise InputError(
            about="--bids",
            expected="a BIDS data set with sub-*/[ses-*/]anat/*_T1w.nii.gz",
            got=bids,
        )
    is_one_target = len({pair.fixed_image for pair in pairs}) == 1
    keys = [(pair.moving,) if is_one_target else pair.key for pair in pairs]
    targets = alphanumeric_names(list(dict.fromkeys(_space(p) for p in pairs)))
    if bids is not None:  # one derivative holds the results for several templates
        keys = [(pair.moving, targets[_space(pair)]) for pair in pairs]
    works = []
    for pair, name in zip(pairs, safe_names(keys), strict=True):
        layout: Layout = FolderLayout(name)
        if bids is not None:
            layout = BidsLayout(
                pair.moving,
                targets[_space(pair)],
                moving_uri=bids_uri(pair.moving_image, bids),
                fixed_uri=bids_uri(pair.fixed_image, bids),
            )
        job = PairJob(
            pair.fixed_image.absolute(),
            pair.moving_image.absolute(),
            pair.companions.absolute(),
            options,
            points_guide,
        )
        works.append(Work(name, pair.fixed, pair.moving, job, layout))
    return works


def check_registration(options: RegistrationOptions) -> None:
    """Checks once what every pair would fail at, before anything is done.

    With the model "auto", that is what fails after any model; without one, more may.

    Raises:
        InputError: If options cannot be used for any pair.
    """
    check_outputs(options.names_of_outputs or ())
    if options.structures:
        read_structures(options.structures)
    if options.model not in (AUTO, WITHOUT_MODEL):
        weights_digest(options.model)
    options.refinement.choice(model_name=str(options.model), has_guidance=False)


def _space(pair: CohortPair) -> str:
    """The name of the fixed scan's space: a template's own, or that of the scan."""
    return entities_of(pair.fixed).get("tpl", pair.fixed)


@dataclass
class CohortRun:
    """A cohort in its folder, run by an engine."""

    works: Sequence[Work]
    out: Path
    engine: Engine
    retry_failed: bool = False
    name: str = ""
    """The name of a run that shares the folder with others at the same time."""

    def __post_init__(self) -> None:
        part = self.engine.part
        self.share = part.of(self.works) if part else list(self.works)
        self.folder = self.out
        if part:
            self.folder = self.out / PARTS / f"{part.number}-of-{part.parts}"
        elif self.name:
            self.folder = self.out / PARTS / file_name(self.name)
        self.failures: dict[str, str] = {}
        """Names of the pairs that failed, now or before, and why."""

    def make_folder(self) -> Path:
        """Makes the folder of the run's state, which no other run shares.

        Raises:
            InputError: If a file that will be written there is an input.
            OutputError: If it cannot be made or written to.
        """
        for name in (PAIRS, SUMMARY, INDEX):
            check_is_no_input(self.out / name)
        check_is_no_input(self.folder / STATUS)
        return output_folder(self.folder)

    def begin(self, on_change: Callable[[Status], None]) -> Status:
        """The state of the run with its table in the folder.

        `on_change` is called at the start and at the end of every pair.
        """
        names = [work.name for work in self.share]
        return Status(names, file=self.folder / STATUS, on_change=on_change)

    def run(self, status: Status, on_failure: Callable[[str], object]) -> None:
        """Registers what is missing; `on_failure` is called with every failure's line.

        Raises:
            InputError: If the engine cannot be started, or an input is in the way.
            OutputError: If the folder cannot be written to.
        """
        missing = {
            work.name: work for work in self.share if not self._is_kept(work, status)
        }

        def on_done(outcome: Outcome) -> None:
            status.end(outcome)
            if outcome.error is not None:
                self.failures[outcome.name] = outcome.error
                keep_failure(self.out, missing[outcome.name], outcome.error)
                on_failure(f"{outcome.name}: {outcome.error}")

        try:
            run_tasks(
                do_work,
                [
                    Task(name, (self.out.absolute(), work))
                    for name, work in missing.items()
                ],
                replace(self.engine, part=None),
                on_done,
                on_start=status.start,
            )
        finally:
            status.close()

    def _is_kept(self, work: Work, status: Status) -> bool:
        """Whether an earlier run has done a pair, or has failed at it."""
        if finished_work(self.out, work):
            forget_failure(self.out, work)  # with other files, since restored
            status.keep(work.name)
            return True
        line = None if self.retry_failed else failed_work(self.out, work)
        if line is None:
            return False
        self.failures[work.name] = line
        status.keep(work.name, error=line)
        return True


def make_data_set(out: Path, source: Path) -> None:
    """Makes a folder a BIDS derivative of a data set."""
    write_data_set(output_folder(out), source)
