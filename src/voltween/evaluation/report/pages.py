"""The pages of a report: tables with the notes that explain them."""

from collections.abc import Sequence

from voltween.cohorts import Pair
from voltween.evaluation.report.markup import latex_table, markdown_table
from voltween.evaluation.report.statistics import FEWEST_DRAWN, FEWEST_PAIRS
from voltween.evaluation.report.summaries import (
    Comparison,
    MethodSummary,
    failures,
    methods_of,
    short_names,
    suspects,
)
from voltween.evaluation.report.tables import comparison_table, method_table
from voltween.evaluation.scores import PairScore, Scores
from voltween.storage import latex, markdown

_METHODS_LEGEND = (
    "Means over the registered pairs, with the SD over pairs in brackets; time is the "
    "median. The 95 % intervals come from resampling scans, because pairs that share a "
    f"scan are not independent; they need at least {FEWEST_DRAWN} scans. The best "
    "value is bold; identity (no registration) competes only in overlap. Landmark "
    "distances are those in the fixed scan."
)
_VERDICTS_LEGEND = (
    "Answers to look at, by their images alone (labels are not needed for a verdict), "
    "the worst first:"
)
_SUSPECTS = 20
_DIFFERENT_PAIRS = (
    "The methods did not register the same pairs, so their means are not comparable. "
    "The paired tests use the pairs that both methods registered."
)
_TESTS_LEGEND = (
    "Differences are method minus reference; p is that of Wilcoxon's two-sided "
    "signed-rank test, and that after Holm's correction for all tests here. The test "
    "assumes independent pairs: if pairs share scans, p is too small, and the interval "
    f"of the mean is the better guide. With fewer than {FEWEST_PAIRS} pairs p cannot "
    "reach 0.05."
)


def markdown_page(
    scores: Scores, rows: Sequence[MethodSummary], compared: Sequence[Comparison]
) -> str:
    """The page of tables in Markdown."""
    parts = [markdown_table(method_table(rows)), _METHODS_LEGEND]
    if _have_different_pairs(scores):
        parts.append(_DIFFERENT_PAIRS)
    if failed := failures(scores):
        listed = "\n".join(f"- {markdown(_failure(score))}" for score in failed)
        parts.append(
            f"Pairs that were not registered and are not included above:\n\n{listed}"
        )
    if count := sum(score.status == "missing" for score in scores.pairs):
        parts.append(
            f"{count} of {len(scores.pairs)} measurements are missing: repeat the "
            "command to continue."
        )
    if suspect := suspects(scores):
        listed = "\n".join(f"- {markdown(line)}" for line in _suspicions(suspect))
        parts.append(f"{_VERDICTS_LEGEND}\n\n{listed}")
    if compared:
        table = comparison_table(compared, methods_of(scores))
        parts.append(f"Against {markdown(_reference(compared, scores))}:")
        parts += [markdown_table(table), _TESTS_LEGEND]
    return "\n\n".join(parts) + "\n"


def latex_page(
    scores: Scores, rows: Sequence[MethodSummary], compared: Sequence[Comparison]
) -> str:
    r"""The page of tables in LaTeX, for \input; it needs the package booktabs."""
    parts = [latex_table(method_table(rows)), latex(_METHODS_LEGEND)]
    if _have_different_pairs(scores):
        parts.append(latex(_DIFFERENT_PAIRS))
    if failed := failures(scores):
        listed = "; ".join(map(_failure, failed))
        parts.append(
            latex(
                f"Pairs that were not registered and are not included above: {listed}"
            )
        )
    if suspect := suspects(scores):
        listed = "; ".join(_suspicions(suspect))
        parts.append(latex(f"{_VERDICTS_LEGEND} {listed}"))
    if compared:
        table = comparison_table(compared, methods_of(scores))
        parts.append(latex(f"Against {_reference(compared, scores)}:"))
        parts += [latex_table(table), latex(_TESTS_LEGEND)]
    return "\n\n".join(["% \\usepackage{booktabs}", *parts]) + "\n"


def _reference(compared: Sequence[Comparison], scores: Scores) -> str:
    first = compared[0]
    name = short_names(methods_of(scores))[first.reference]
    return f"{name} ({first.reference_is})"


def _have_different_pairs(scores: Scores) -> bool:
    """Whether two methods registered different, non-empty sets of pairs."""
    registered: dict[str, set[Pair]] = {}
    for score in scores.pairs:
        if score.status == "ok":
            pair = score.fixed, score.moving
            registered.setdefault(score.method, set()).add(pair)
    return len(set(map(frozenset, registered.values()))) > 1


def _suspicions(suspect: Sequence[PairScore]) -> list[str]:
    """Lines about the worst answers, and the number of those left out."""
    lines = [
        f"{s.verdict}: {s.method}, {s.moving} to {s.fixed}: {s.reasons}"
        for s in suspect[:_SUSPECTS]
    ]
    left = len(suspect) - len(lines)
    return [*lines, f"{left} more in pairs.csv"] if left else lines


def _failure(score: PairScore) -> str:
    note = f": {score.note}" if score.note else ""
    return f"{score.method}, {score.moving} to {score.fixed}{note}"
