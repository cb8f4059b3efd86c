"""Registrations of a cohort as a part of other commands."""

from collections.abc import Callable, Sequence
from pathlib import Path

from voltween.batches import CohortRun, PairRow, Work, memory_limit, write_pages
from voltween.cli.console import console
from voltween.cli.engine import EngineOptions, LogLines, showing
from voltween.cohorts import Case
from voltween.errors import InputError


def registering(
    options: EngineOptions,
) -> Callable[[Sequence[Work], Path], list[PairRow]]:
    """The function that registers what is missing of some pairs in a folder.

    It shows the progress, and returns the rows of all pairs, worst first. What is left
    after an interrupt, the command says.
    """

    def register(works: Sequence[Work], folder: Path) -> list[PairRow]:
        engine = options.engine(folder, memory=memory_limit(works))
        run = CohortRun(works, folder, engine)
        run.make_folder()
        status = run.begin(LogLines())
        with showing(status, left=""):
            run.run(status, console.print)
        return write_pages(works, folder)

    return register


def cases_in(cases: Sequence[Case], split: str | None) -> tuple[Case, ...]:
    """The cases of a split; all of them without one.

    Raises:
        InputError: If there is none.
    """
    chosen = tuple(case for case in cases if split in (None, case.split))
    if not chosen:
        splits = sorted({case.split for case in cases if case.split})
        raise InputError(
            about="--split",
            expected=f"one of {', '.join(splits)}" if splits else "cases with a split",
            got=split if splits else "cases without one",
            advice="" if splits else "leave it out, or give a manifest with splits",
        )
    return chosen
