"""Command: join the manifests of several cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table
from tyro.conf import Positional

from voltween.cli.console import console
from voltween.cli.results import report_written
from voltween.cohorts import SPLITS, Case, join_manifests, write_new_manifest
from voltween.storage import check_is_no_input


@dataclass(frozen=True)
class Join:
    """Join the manifests of several cohorts to one.

    The joined manifest names the cohorts; the scans stay where they are. A case keeps
    its cohort (column `cohort`); if it has none, the name of its manifest's folder is
    taken. Cases whose name occurs in two
    manifests become COHORT-NAME, and subjects are told apart in the same way. Labels
    are not changed: a label must stand for the same structure in all cohorts.
    """

    manifests: Annotated[
        Positional[tuple[Path, ...]], tyro.conf.arg(metavar="MANIFEST MANIFEST ...")
    ]
    """CSVs of cases, at least two."""
    out: Path
    """Folder for cases.csv. An existing manifest is never changed."""

    def run(self) -> None:
        """Read, join, write."""
        cases = join_manifests(self.manifests)
        path = self.out / "cases.csv"
        check_is_no_input(path)
        write_new_manifest(cases, path)
        _show(cases)
        report_written(path)


def _show(cases: Sequence[Case]) -> None:
    """Shows the number of cases of each cohort in each split."""
    table = Table("cohort", *SPLITS)
    for cohort in dict.fromkeys(case.cohort for case in cases):
        splits = [case.split for case in cases if case.cohort == cohort]
        table.add_row(cohort, *(str(splits.count(split)) for split in SPLITS))
    console.print(table)
