"""The index of a comparison: all its pairs, worst first, with pictures of them."""

from collections.abc import Sequence
from pathlib import Path

from voltween.evaluation.comparison_folder import ComparisonFolder
from voltween.evaluation.scores import PairScore
from voltween.reports import INDEX, IndexRow, write_index


def write_comparison_index(scores: Sequence[PairScore], folder: Path) -> None:
    """Writes index.html of the scores to the folder of a comparison, or of a table.

    Raises:
        InputError: If the page is an input of the command.
        OutputError: If the folder cannot be written to.
    """
    comparison = ComparisonFolder.at(folder)
    methods = list(dict.fromkeys(score.method for score in scores))
    rows = [_row(score, comparison, is_named=len(methods) > 1) for score in scores]
    compared = f"Comparison of {len(methods)} methods"
    title = compared if len(methods) > 1 else f"Evaluation of {methods[0]}"
    write_index(rows, folder / INDEX, title=f"{title}, {folder.resolve().name}")


def _row(score: PairScore, comparison: ComparisonFolder, *, is_named: bool) -> IndexRow:
    pair, is_measured = (score.fixed, score.moving), score.status == "ok"
    return IndexRow(
        fixed=score.fixed,
        moving=score.moving,
        method=score.method if is_named else "",
        verdict=score.verdict,
        reasons=score.reasons,
        similarity=score.similarity,
        dice=score.dice,
        landmark_mm=score.landmark_fixed_mm,
        folding_percent=score.folding_percent,
        seconds=score.seconds,
        error="" if is_measured else score.note or score.status,
        thumbnail=comparison.thumbnail(score.method, pair) if is_measured else None,
        report=comparison.report(score.method, pair) if is_measured else None,
    )
