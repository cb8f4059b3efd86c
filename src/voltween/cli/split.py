"""Command: divide a cohort into train, val and test."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table
from tyro.conf import Positional

from voltween.cli.console import console
from voltween.cli.results import report_written
from voltween.cohorts import (
    SPLITS,
    Case,
    read_manifest,
    split_cases,
    write_new_manifest,
)
from voltween.storage import check_is_no_input, check_suffix, naming


@dataclass(frozen=True)
class Split:
    """Divide cases into train, val and test, by subject.

    It writes a new manifest; MANIFEST and the scans stay as they are. All scans of one
    subject (column `subject`) get the same split; a case without a subject counts as
    one. The draw depends on the seed and on the names of the subjects, not on the order
    of the rows. Choose settings and checkpoints on `val`, and measure on `test`.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases."""
    out: Path
    """Manifest to write, such as split.csv. An existing file is never changed."""
    val: float = 0.1
    """Share of the subjects to draw for val; with --test-from, of those that are not in
    the test set."""
    test: float = 0.0
    """Share of the subjects to draw for test."""
    seed: int = 1
    """Seed of the draw."""
    test_from: Literal["val", "test"] | None = None
    """Take the cases of this split as the test set, as they are, and draw val from the
    others. Without it, all cases are drawn anew, whatever their split was."""

    def run(self) -> None:
        """Read, draw, write."""
        check_suffix(self.out, (".csv",), "a manifest")
        cases = read_manifest(self.manifest)
        check_is_no_input(self.out)
        with naming(self.manifest):
            divided = split_cases(
                cases,
                val_share=self.val,
                test_share=self.test,
                seed=self.seed,
                test_from=self.test_from,
            )
        write_new_manifest(divided, self.out)
        _show(divided)
        report_written(self.out)


def _show(cases: Iterable[Case]) -> None:
    """Shows the number of cases and subjects in each split."""
    table = Table("split", "cases", "subjects")
    for split in SPLITS:
        persons = [case.person for case in cases if case.split == split]
        table.add_row(split, str(len(persons)), str(len(set(persons))))
    console.print(table)
