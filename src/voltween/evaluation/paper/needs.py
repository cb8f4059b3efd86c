"""Resources that the trainings of a table need, found by a step of each network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voltween.cohorts import Case
from voltween.errors import InputError
from voltween.evaluation.paper.experiment import ExperimentRun, open_laboratory
from voltween.evaluation.paper.laboratory import Laboratory
from voltween.evaluation.paper.table_file import PaperTable, TableRow
from voltween.training import DryRun, try_training


@dataclass(frozen=True)
class RowNeeds:
    """Resources that the training of a row needs."""

    row: TableRow
    needs: DryRun | None
    """None for a row without a training of its own, and for one that fails."""
    note: str
    """Further needs, or the reason for the failure."""


def experiment_needs(
    table: PaperTable,
    cases: Sequence[Case],
    *,
    out: Path,
    run: ExperimentRun,
    on_row: Callable[[str], None] = lambda name: None,
) -> Iterator[RowNeeds]:
    """Yields the needs of every row; nothing but prepared scans is kept.

    Rows whose networks differ only in their training scans are tried once. Aligned rows
    are tried on the scans as they are, and supervised ones without their teacher.

    Raises:
        InputError: If the cases cannot be used.
    """
    laboratory = open_laboratory(table, cases, out=out, run=run)
    tried: dict[str, DryRun] = {}
    for row in table.rows:
        if row.network is None:
            yield RowNeeds(row, None, "a tool or a model: no training")
            continue
        on_row(row.name)
        plain = TableRow(
            row.network, network=row.network, invertibility=row.invertibility
        )
        try:
            if plain.method_name not in tried:
                tried[plain.method_name] = _try(laboratory, plain)
            yield RowNeeds(row, tried[plain.method_name], _note(laboratory, row))
        except InputError as error:
            yield RowNeeds(row, None, str(error))


def _try(laboratory: Laboratory, row: TableRow) -> DryRun:
    return try_training(
        laboratory.cases,
        laboratory.recipe(row),
        out=laboratory.out,
        hardware=laboratory.hardware,
        cache=laboratory.out / "cache",
        steps=1,
    )


def _note(laboratory: Laboratory, row: TableRow) -> str:
    notes = []
    if row.aligned:
        notes.append(f"alignment of {len(laboratory.cases)} scans by ANTs first")
    if row.supervised:
        recipe = laboratory.recipe(replace(row, aligned=False))
        pairs = recipe.training.target_pairs
        notes.append(f"{pairs} pairs registered by ANTs first")
    return "; ".join(notes)
