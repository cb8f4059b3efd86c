"""The pages of a report: its tables with what one must know to read them."""

from collections.abc import Sequence

from voltween.cohorts import Pair
from voltween.evaluation.report.markup import (
    latex,
    latex_table,
    markdown,
    markdown_table,
)
from voltween.evaluation.report.statistics import FEWEST_DRAWN, FEWEST_PAIRS
from voltween.evaluation.report.summaries import (
    Comparison,
    MethodSummary,
    failures,
    methods_of,
    short_names,
)
from voltween.evaluation.report.tables import comparison_table, method_table
from voltween.evaluation.scores import PairScore, Scores

_HOW_TO_READ = (
    "Means over the pairs that were registered, with the SD over pairs in brackets; "
    "time is the median. The intervals of 95 % come from resampling scans, because "
    "pairs that share a scan are not independent; with fewer than "
    f"{FEWEST_DRAWN} scans there is none. Bold is the best; to move nothing (identity) "
    "counts in overlap alone."
)
_DIFFERENT_PAIRS = (
    "The methods did not register the same pairs, so that their means are of different "
    "things. The paired tests are of the pairs that both methods have."
)
_HOW_TO_READ_TESTS = (
    "Differences are method minus reference, p is of Wilcoxon's signed-rank test, "
    "two-sided, then corrected after Holm for all tests here. The test takes pairs for "
    "independent: where pairs share scans p is too small, and the interval of the mean "
    f"is what to go by. With fewer than {FEWEST_PAIRS} pairs p cannot reach 0.05."
)


def markdown_page(
    scores: Scores, rows: Sequence[MethodSummary], compared: Sequence[Comparison]
) -> str:
    """The page of tables in Markdown."""
    parts = [markdown_table(method_table(rows)), _HOW_TO_READ]
    if _have_different_pairs(scores):
        parts.append(_DIFFERENT_PAIRS)
    if failed := failures(scores):
        listed = "\n".join(f"- {markdown(_failure(score))}" for score in failed)
        parts.append(f"Pairs that were not registered, left out above:\n\n{listed}")
    if compared:
        table = comparison_table(compared, methods_of(scores))
        parts.append(f"Against {markdown(_reference(compared, scores))}:")
        parts += [markdown_table(table), _HOW_TO_READ_TESTS]
    return "\n\n".join(parts) + "\n"


def latex_page(
    scores: Scores, rows: Sequence[MethodSummary], compared: Sequence[Comparison]
) -> str:
    r"""The same in LaTeX, to be read by \input; it needs the package booktabs."""
    parts = [latex_table(method_table(rows)), latex(_HOW_TO_READ)]
    if _have_different_pairs(scores):
        parts.append(latex(_DIFFERENT_PAIRS))
    if failed := failures(scores):
        listed = "; ".join(map(_failure, failed))
        parts.append(latex(f"Pairs that were not registered, left out above: {listed}"))
    if compared:
        table = comparison_table(compared, methods_of(scores))
        parts.append(latex(f"Against {_reference(compared, scores)}:"))
        parts += [latex_table(table), latex(_HOW_TO_READ_TESTS)]
    return "\n\n".join(["% \\usepackage{booktabs}", *parts]) + "\n"


def _reference(compared: Sequence[Comparison], scores: Scores) -> str:
    first = compared[0]
    name = short_names(methods_of(scores))[first.reference]
    return f"{name} ({first.reference_is})"


def _have_different_pairs(scores: Scores) -> bool:
    """Whether two methods that registered something did not register the same pairs."""
    registered: dict[str, set[Pair]] = {}
    for score in scores.pairs:
        if score.status == "ok":
            pair = score.fixed, score.moving
            registered.setdefault(score.method, set()).add(pair)
    return len(set(map(frozenset, registered.values()))) > 1


def _failure(score: PairScore) -> str:
    note = f": {score.note}" if score.note else ""
    return f"{score.method}, {score.moving} to {score.fixed}{note}"
