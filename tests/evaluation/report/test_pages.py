"""Pages of a report in Markdown and LaTeX, and the tables in them."""

import math
from itertools import permutations

import numpy as np
import pytest

from support.scores import MODEL, PAIRS, of_method, pair_score, scores_of
from voltween.evaluation import PairScore
from voltween.evaluation.report.markup import (
    Cell,
    Line,
    Table,
    latex_table,
    markdown_table,
)
from voltween.evaluation.report.pages import latex_page, markdown_page
from voltween.evaluation.report.summaries import comparisons, summary_rows
from voltween.evaluation.report.tables import method_table
from voltween.storage import latex


def pages_of(scores):
    rows = summary_rows(scores)
    compared = comparisons(scores, rows)
    return markdown_page(scores, rows, compared), latex_page(scores, rows, compared)


def test_a_failed_pair_is_listed_once():
    failed = pair_score("ants", PAIRS[0], 0.1, status="failed")
    scores = scores_of(failed, pair_score("ants", PAIRS[1], 0.9))
    assert "- ants, s3 to s1" not in pages_of(scores)[0]
    assert "- ants, s2 to s1" in pages_of(scores)[0]


def test_a_method_that_failed_everywhere_is_said_in_the_table():
    pairs = [
        PairScore(method="ants", fixed=f, moving=v, status="failed", note="no memory")
        for f, v in PAIRS
    ]
    markdown, tex = pages_of(scores_of(*pairs))
    assert "| ants | *failed on all 6 pairs: no memory* |" in markdown
    assert "failed on all 6 pairs: no memory" in tex
    assert "not included above" not in markdown  # the table has the reason


def test_methods_without_a_pair_in_common_have_a_line():
    scores = scores_of(
        *of_method(MODEL, [0.8] * 3, PAIRS[:3]),
        *of_method("ants", [0.7] * 3, PAIRS[3:]),
    )
    markdown, _ = pages_of(scores)
    assert "| ants | IoU | 0 |  |  |  |  | no common pair |" in markdown
    assert "did not register the same pairs" in markdown


def test_the_same_pairs_are_not_called_different(scores):
    same = [score for score in scores.pairs if score.method != "elastix"]
    assert "did not register the same pairs" in pages_of(scores)[0]
    assert "did not register the same pairs" not in pages_of(scores_of(*same))[0]


def test_markdown_page(scores):
    markdown, _ = pages_of(scores)
    head, _, *lines = markdown.splitlines()
    # HD95, landmarks and the Jacobian were not measured: they have no column.
    assert head == (
        "| method | pairs | Dice (SD) | IoU [95 % CI] | folding (%) | time (s) |"
    )
    assert lines[0] == "| identity | 6 | 0.450 (0.037) | 0.291 | 0 | 1e-06 |"
    assert lines[1] == "| elastix | 5 of 6 | 0.760 (0.032) | 0.614 |  | 9 |"
    assert lines[2] == (
        "| voxelmorph | *unavailable: package voxelmorph is missing* |  |  |  |  |"
    )
    assert lines[3] == (
        f"| {MODEL} | 6 | **0.850 (0.037)** | **0.741** | 0.02 | **0.2** |"
    )
    failure = r"- elastix, s2 to s1: too few samples: 100% \| \_outside\_"
    assert failure in lines
    assert f"Against {MODEL} (first model):" in lines
    assert (
        "| elastix | Dice | 5 | -0.100 | -0.100 | 0.062 | 0.12 | too few pairs |"
        in (lines)
    )


def test_latex_page(scores):
    _, tex = pages_of(scores)
    assert "% \\usepackage{booktabs}" in tex
    assert "elastix & 5 of 6 & 0.760 (0.032) & 0.614 &  & 9 \\\\" in tex
    reason = "unavailable: package voxelmorph is missing"
    assert f"voxelmorph & \\multicolumn{{5}}{{l}}{{\\emph{{{reason}}}}} \\\\" in tex
    assert "\\textbf{0.850 (0.037)}" in tex
    assert "100\\% \\textbar{} \\_outside\\_" in tex
    assert "elastix & Dice & 5 & $-$0.100 &" in tex
    assert tex.count("\\begin{tabular}") == tex.count("\\end{tabular}") == 2


def test_interval_stands_beside_the_mean_from_five_scans_on():
    pairs = list(permutations("abcde", 2))
    dice = np.linspace(0.6, 0.9, len(pairs))
    scores = scores_of(*of_method("ants", dice, pairs))
    found = summary_rows(scores)[0].estimates["iou"]
    text = f"{found.mean:.3f} [{found.ci_low:.3f}, {found.ci_high:.3f}]"
    assert found.ci_low < found.mean < found.ci_high
    assert f"| {text} |" in pages_of(scores)[0]


def best_of(rows):
    return [
        [cell.is_best for cell in line.cells[2:]] for line in method_table(rows).lines
    ]


def test_best_are_bold_but_not_what_comes_from_moving_nothing():
    same = {"folding_percent": 0.5, "seconds": 3.0, "hd95_mm": 2.0}
    scores = scores_of(
        *of_method(
            "identity", [0.9] * 6, hd95_mm=1.0, folding_percent=0.0, seconds=0.0
        ),
        *of_method("ants", [0.8] * 6, **same),
        *of_method("elastix", [0.7] * 6, **same | {"seconds": 2.0}),
    )
    # Dice, IoU, HD95, folding, time; equal values are all bold.
    assert best_of(summary_rows(scores)) == [
        [True, True, False, False, False],
        [False, False, True, True, False],
        [False, False, True, True, True],
    ]


def test_iou_of_the_union_is_a_column_only_if_it_says_more_than_iou():
    dice = np.linspace(0.6, 0.9, len(PAIRS))
    iou = dice / (2 - dice)

    def headings(union):
        pairs = [
            pair_score("ants", pair, d, iou_union=u)
            for pair, d, u in zip(PAIRS, dice, union, strict=True)
        ]
        return method_table(summary_rows(scores_of(*pairs))).headings

    without = ("method", "pairs", "Dice (SD)", "IoU [95 % CI]")
    assert headings(iou) == without
    assert headings(iou * (1 + 1e-14)) == without  # counted in another way
    assert headings([math.nan] * len(PAIRS)) == without
    one_differs = [*iou[:-1], 0.95]
    assert headings(one_differs) == (*without, "IoU of union")


def test_landmark_distances_of_tables_are_those_in_the_fixed_scan():
    distances = {"landmark_mm": 5.0, "landmark_fixed_mm": 4.5, "landmark_voxels": 2.25}
    table = method_table(
        summary_rows(scores_of(pair_score("ants", PAIRS[0], 1.0, **distances)))
    )
    assert table.headings[-2:] == ("landmarks (mm)", "landmarks (voxels)")
    assert [cell.text for cell in table.lines[0].cells[-2:]] == ["4.5", "2.25"]


def test_a_single_method_is_not_the_best():
    assert best_of(summary_rows(scores_of(*of_method("ants", [0.8] * 6)))) == [
        [False, False]
    ]


def test_rows_of_tables_have_all_columns():
    table = Table(
        ("method", "a", "b"),
        (
            Line((Cell("m|n"), Cell("1"), Cell("2", is_best=True))),
            Line((Cell("x_y"), Cell(""), Cell("")), reason="no\nmemory"),
        ),
    )
    assert markdown_table(table).splitlines() == [
        "| method | a | b |",
        "| --- | ---: | ---: |",
        r"| m\|n | 1 | **2** |",
        "| x_y | *no memory* |  |",
    ]
    assert latex_table(table).splitlines()[2:-2] == [
        r"method & a & b \\",
        r"\midrule",
        r"m\textbar{}n & 1 & \textbf{2} \\",
        r"x\_y & \multicolumn{2}{l}{\emph{no memory}} \\",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % of a_b & c#1", r"50 \% of a\_b \& c\#1"),
        (r"{~^}\$", r"\{\textasciitilde{}\textasciicircum{}\}\textbackslash{}\$"),
        ("<a>|b", r"\textless{}a\textgreater{}\textbar{}b"),
        ("[-0.1, 1e-05] ants-2", "[$-$0.1, 1e-05] ants-2"),
        ("--flag", "-{}-flag"),
        ("two\nlines", "two lines"),
    ],
)
def test_latex_sets_text_as_it_is(text, expected):
    assert latex(text) == expected


def test_verdicts_are_counted_and_the_worst_answers_come_first():
    good, doubtful, failed = (
        pair_score("ants", pair, 0.9, verdict=verdict, similarity=s, reasons=reasons)
        for pair, verdict, s, reasons in (
            (PAIRS[0], "good", 0.7, ""),
            (PAIRS[1], "doubtful", 0.4, "less alike than usual"),
            (PAIRS[2], "failed", 0.5, "folds"),
        )
    )
    lost = pair_score("identity", PAIRS[0], 0.1, verdict="failed", reasons="lost")
    markdown, tex = pages_of(scores_of(good, doubtful, failed, lost))
    assert "| good / doubtful / failed |" in markdown
    assert "| ants | 3 | 1 / 1 / 1 |" in markdown
    first, second = (line for line in markdown.splitlines() if line[:2] == "- ")
    assert first == "- failed: ants, s1 to s2: folds"
    assert second == "- doubtful: ants, s3 to s1: less alike than usual"
    assert "doubtful: ants" in tex
    assert "lost" not in markdown  # nothing was registered


def test_a_long_list_of_suspects_is_cut():
    pairs = [(f"f{n}", "m") for n in range(23)]
    scores = [
        pair_score("ants", pair, 0.9, verdict="failed", similarity=0.1, reasons="lost")
        for pair in pairs
    ]
    markdown, _ = pages_of(scores_of(*scores))
    assert "- 3 more in pairs.csv" in markdown
    assert markdown.count("- failed: ants") == 20
