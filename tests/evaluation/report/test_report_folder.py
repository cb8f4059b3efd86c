import csv
from dataclasses import fields
from itertools import pairwise, permutations
from math import isnan, nan

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image as Picture

from voltween.errors import InputError
from voltween.evaluation import PairScore, write_report
from voltween.evaluation.report.markup import (
    Cell,
    Line,
    Table,
    latex,
    latex_table,
    markdown_table,
)
from voltween.evaluation.report.overlap_plots import (
    draw_boxes,
    draw_structures,
    method_colors,
    overlap_figure,
    structure_figure,
)
from voltween.evaluation.report.pages import latex_page, markdown_page
from voltween.evaluation.report.summaries import (
    COSTS,
    QUALITIES,
    comparisons,
    reference_method,
    short_names,
    stage_rows,
    structure_rows,
    summary_rows,
)
from voltween.evaluation.report.tables import method_table
from voltween.evaluation.report.time_plot import draw_time_accuracy, spread, time_figure
from voltween.evaluation.scores import Scores, StageScore, StructureScore

MODEL = "model:hippocampus"
PAIRS = list(permutations(("s1", "s2", "s3"), 2))


def pair_score(method, pair, dice=nan, **others):
    fixed, moving = pair
    iou = dice / (2 - dice)
    return PairScore(
        method=method, fixed=fixed, moving=moving, dice=dice, iou=iou, **others
    )


def of_method(method, dice, pairs=PAIRS, **others):
    return [
        pair_score(method, pair, value, **others)
        for pair, value in zip(pairs, dice, strict=True)
    ]


def scores_of(*pairs, structures=(), stages=()):
    return Scores(tuple(pairs), tuple(structures), tuple(stages))


@pytest.fixture(name="scores")
def scores_fixture():
    """Six pairs of four methods: one pair failed, one method cannot run."""
    dice = np.array([0.80, 0.82, 0.84, 0.86, 0.88, 0.90])
    failed, *others = of_method("elastix", dice - 0.1, seconds=9.0)
    failed = PairScore(
        method="elastix",
        fixed=failed.fixed,
        moving=failed.moving,
        status="failed",
        note="too few samples: 100% | _outside_",
    )
    unavailable = [
        PairScore(
            method="voxelmorph",
            fixed=fixed,
            moving=moving,
            status="unavailable",
            note="package voxelmorph is missing",
        )
        for fixed, moving in PAIRS
    ]
    structures = [
        StructureScore(
            method=m, fixed=f, moving=v, label=label, dice=d, iou=d / (2 - d)
        )
        for m in ("identity", MODEL)
        for (f, v), d in zip(PAIRS, dice, strict=True)
        for label in (7, 3)
    ]
    missing = StructureScore(
        method=MODEL, fixed="s1", moving="s2", label=9, note="not in moving"
    )
    stages = [
        StageScore(
            method=MODEL,
            fixed=f,
            moving=v,
            stage=stage,
            dice=d - loss,
            iou=0.5,
            folding_percent=0.25,
        )
        for (f, v), d in zip(PAIRS, dice, strict=True)
        for stage, loss in (("before", 0.4), ("affine", 0.1))
    ]
    return scores_of(
        *of_method("identity", dice - 0.4, seconds=1e-6, folding_percent=0.0),
        failed,
        *others,
        *unavailable,
        *of_method(MODEL, dice, seconds=0.2, folding_percent=0.02),
        structures=[*structures, missing],
        stages=stages,
    )


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def only(rows, **wanted):
    return [row for row in rows if wanted.items() <= row.items()]


def pages_of(scores):
    rows = summary_rows(scores)
    compared = comparisons(scores, rows)
    return markdown_page(scores, rows, compared), latex_page(scores, rows, compared)


def test_every_number_of_a_pair_is_summarized():
    numbers = {field.name for field in fields(PairScore) if field.type is float}
    assert numbers == {*QUALITIES, *COSTS}


def test_summary_by_hand(scores):
    identity, elastix, voxelmorph, model = summary_rows(scores)
    assert (elastix.pairs_ok, elastix.pairs_failed, elastix.reason) == (5, 1, "")
    assert elastix.estimates["dice"].mean == pytest.approx(0.76)
    assert elastix.estimates["dice"].sd == pytest.approx(0.001**0.5)
    assert voxelmorph.pairs_ok == voxelmorph.pairs_failed == 0
    assert voxelmorph.reason == "unavailable: package voxelmorph is missing"
    assert isnan(voxelmorph.estimates["dice"].mean)
    assert model.estimates["dice"].median == pytest.approx(0.85)
    assert model.estimates["seconds"].median == 0.2
    assert identity.estimates["landmark_mm"].pairs == 0


def test_numbers_of_a_failed_pair_do_not_count():
    failed = pair_score("ants", PAIRS[0], 0.1, status="failed")
    scores = scores_of(failed, pair_score("ants", PAIRS[1], 0.9))
    (row,) = summary_rows(scores)
    assert row.estimates["dice"].mean == 0.9
    assert (row.pairs_ok, row.pairs_failed) == (1, 1)
    assert "- ants, s3 to s1" not in pages_of(scores)[0]
    assert "- ants, s2 to s1" in pages_of(scores)[0]


def test_a_method_whose_pairs_all_failed_has_no_numbers():
    pairs = [
        PairScore(method="ants", fixed=f, moving=v, status="failed", note="no memory")
        for f, v in PAIRS
    ]
    (row,) = summary_rows(scores_of(*pairs))
    assert row.reason == "failed on all 6 pairs: no memory"
    assert (row.pairs_ok, row.pairs_failed) == (0, 6)
    markdown, tex = pages_of(scores_of(*pairs))
    assert "| ants | *failed on all 6 pairs: no memory* |" in markdown
    assert "failed on all 6 pairs: no memory" in tex
    assert "left out above" not in markdown  # said in the table


def test_one_of_many_reasons_is_said():
    pairs = [
        PairScore(method="ants", fixed=f, moving=v, status="failed", note=f"bad {v}")
        for f, v in PAIRS
    ]
    (row,) = summary_rows(scores_of(*pairs))
    assert row.reason == (
        "failed on all 6 pairs: bad s2 (2 other reasons in pairs.csv)"
    )


def test_structures_and_stages_by_hand(scores):
    rows = structure_rows(scores)
    assert [(row["method"], row["label"]) for row in rows] == [
        ("identity", 7),
        ("identity", 3),
        (MODEL, 7),
        (MODEL, 3),
        (MODEL, 9),
    ]
    assert rows[3]["dice"] == pytest.approx(0.85)
    assert rows[4]["pairs"] == 0
    assert isnan(rows[4]["dice"])
    before, affine = stage_rows(scores)
    assert (before["stage"], before["pairs"]) == ("before", 6)
    assert affine["dice"] == pytest.approx(0.75)
    assert affine["dice_sd"] == pytest.approx(0.0014**0.5)
    assert affine["folding_percent"] == 0.25


def test_reference_is_the_first_model_that_was_measured_else_the_best():
    dice = [0.5] * 6
    best = of_method("ants", [0.9] * 6)
    failed = [
        PairScore(method="model:a", fixed=f, moving=v, status="failed")
        for f, v in PAIRS
    ]
    models = of_method("model:b", dice) + of_method("model:c", [0.8] * 6)
    with_models = summary_rows(scores_of(*best, *failed, *models))
    assert reference_method(with_models) == ("model:b", "first model")
    without = summary_rows(scores_of(*of_method("elastix", dice), *best))
    assert reference_method(without) == ("ants", "best mean IoU")
    nothing = summary_rows(scores_of(*of_method("ants", [nan] * 6)))
    assert reference_method(nothing) is None


def test_comparisons_by_hand(scores):
    compared = comparisons(scores, summary_rows(scores))
    assert [(c.method, c.measure) for c in compared] == [
        ("identity", "iou"),
        ("elastix", "iou"),
        ("identity", "dice"),
        ("elastix", "dice"),
    ]
    assert {c.reference for c in compared} == {MODEL}
    identity, elastix = compared[2:]
    assert identity.test.median_difference == pytest.approx(-0.4)
    # 2 / 2^6 twice and 2 / 2^5 twice; four tests: 4 * 0.03125, then at least that.
    assert [c.test.p for c in compared] == [0.03125, 0.0625, 0.03125, 0.0625]
    assert [c.p_holm for c in compared] == [0.125] * 4
    assert (identity.note, elastix.note) == ("", "too few pairs")


def test_comparison_without_a_pair_in_common():
    scores = scores_of(
        *of_method(MODEL, [0.8] * 3, PAIRS[:3]),
        *of_method("ants", [0.7] * 3, PAIRS[3:]),
    )
    first, _ = comparisons(scores, summary_rows(scores))
    assert (first.test.pairs, first.note) == (0, "no common pair")
    assert isnan(first.p_holm)
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
    # Dice, IoU, HD95, folding, time; equal ones share the honour.
    assert best_of(summary_rows(scores)) == [
        [True, True, False, False, False],
        [False, False, True, True, False],
        [False, False, True, True, True],
    ]


def test_a_single_method_is_not_the_best():
    assert best_of(summary_rows(scores_of(*of_method("ants", [0.8] * 6)))) == [
        [False, False]
    ]


def test_rows_of_tables_have_all_columns():
    table = Table(
        ("method", "a", "b"),
        (
            Line((Cell("m|n"), Cell("1"), Cell("2", is_best=True))),
            Line((Cell("x_y"), Cell(""), Cell("")), reason="why\nnot"),
        ),
    )
    assert markdown_table(table).splitlines() == [
        "| method | a | b |",
        "| --- | ---: | ---: |",
        r"| m\|n | 1 | **2** |",
        "| x_y | *why not* |  |",
    ]
    assert latex_table(table).splitlines()[2:-2] == [
        r"method & a & b \\",
        r"\midrule",
        r"m\textbar{}n & 1 & \textbf{2} \\",
        r"x\_y & \multicolumn{2}{l}{\emph{why not}} \\",
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


def test_short_names_stay_apart():
    assert short_names(["ants", "model:/a/x.safetensors", "model:brain"]) == {
        "ants": "ants",
        "model:/a/x.safetensors": "model:x",
        "model:brain": "model:brain",
    }
    alike = ["model:/a/x.safetensors", "model:/b/x.safetensors"]
    assert short_names(alike) == {name: name for name in alike}


def test_files_of_a_report(scores, tmp_path):
    write_report(scores, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("pairs.csv", "structures.csv", "stages.csv", "comparisons.csv"),
        *("summary.csv", "summary_structures.csv", "summary_stages.csv"),
        *("summary.md", "summary.tex"),
        *("boxplots.png", "structures.png", "time_accuracy.png"),
    }
    for name in ("boxplots", "structures", "time_accuracy"):
        picture = Picture.open(tmp_path / "out" / f"{name}.png")
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 10


def test_tables_of_a_report(scores, tmp_path):
    write_report(scores, tmp_path)
    pairs = read_rows(tmp_path / "pairs.csv")
    assert list(pairs[0]) == [field.name for field in fields(PairScore)]
    assert list(pairs[0])[:3] == ["method", "fixed", "moving"]
    failed, *_ = only(pairs, method="elastix")
    assert (failed["status"], failed["dice"]) == ("failed", "")
    assert float(only(pairs, method=MODEL)[1]["dice"]) == 0.82
    assert len(read_rows(tmp_path / "structures.csv")) == 25
    assert len(read_rows(tmp_path / "stages.csv")) == 12
    summary = read_rows(tmp_path / "summary.csv")
    (model,) = only(summary, method=MODEL)
    assert float(model["dice_mean"]) == pytest.approx(0.85)
    assert float(model["seconds_median"]) == 0.2
    assert model["landmark_mm_mean"] == model["dice_ci_low"] == ""
    (voxelmorph,) = only(summary, method="voxelmorph")
    assert voxelmorph["dice_mean"] == voxelmorph["seconds_median"] == ""
    assert voxelmorph["note"].startswith("unavailable")
    (missing,) = only(read_rows(tmp_path / "summary_structures.csv"), label="9")
    assert (missing["pairs"], missing["dice"]) == ("0", "")
    (tested,) = only(
        read_rows(tmp_path / "comparisons.csv"), method="elastix", measure="dice"
    )
    assert (tested["reference"], tested["reference_is"]) == (MODEL, "first model")
    assert (tested["pairs"], tested["note"]) == ("5", "too few pairs")
    assert float(tested["p_holm"]) == 0.125


def test_one_pair_without_labels_gives_a_report_of_what_there_is(scores, tmp_path):
    """In a folder that has a report already, of which nothing may stay."""
    write_report(scores, tmp_path)
    write_report(
        scores_of(pair_score("ants", PAIRS[0], folding_percent=0.1, seconds=4.0)),
        tmp_path,
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        *("pairs.csv", "summary.csv", "summary.md", "summary.tex")
    }
    assert (tmp_path / "summary.md").read_text().splitlines()[:3] == [
        "| method | pairs | folding (%) | time (s) |",
        "| --- | ---: | ---: | ---: |",
        "| ants | 1 | 0.1 | 4 |",
    ]


def test_nothing_registered_at_all_is_reported(scores, tmp_path):
    without = [score for score in scores.pairs if score.method == "voxelmorph"]
    write_report(scores_of(*without), tmp_path)
    assert "| voxelmorph | *unavailable:" in (tmp_path / "summary.md").read_text()
    assert not list(tmp_path.glob("*.png"))


def test_a_name_is_not_read_as_a_formula(tmp_path):
    dice = [0.5] * 6
    method = r"model:/cost$\frac$/x"
    others = of_method(r"model:/other$\frac$/x", dice, seconds=1.0)
    write_report(scores_of(*of_method(method, dice, seconds=1.0), *others), tmp_path)
    assert (tmp_path / "time_accuracy.png").exists()


def test_no_pairs_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected scores of pairs"):
        write_report(scores_of(), tmp_path)


def axes_of(draw, *content):
    axes = Figure().subplots()
    draw(axes, *content)
    return axes


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_boxes_have_all_their_points_and_the_median():
    values = {"ants": [0.2, 0.9, 0.4], "model:/a/x.safetensors": [0.7]}
    axes = axes_of(draw_boxes, values, method_colors(list(values)))
    assert labels_of(axes.xaxis) == ["ants\n(n = 3)", "model:x\n(n = 1)"]
    first, second = (points.get_offsets() for points in axes.collections)
    assert first[:, 1].tolist() == [0.2, 0.9, 0.4]
    assert (abs(first[:, 0] - 1) < 0.3).all()
    assert second[0].tolist() == pytest.approx([2 - 0.2, 0.7])
    medians = {tuple(line.get_ydata()) for line in axes.lines}
    assert (0.4, 0.4) in medians


def test_counts_are_not_said_where_all_have_as_many():
    axes = axes_of(draw_boxes, {"a": [1.0], "b": [0.5]}, method_colors(["a", "b"]))
    assert labels_of(axes.xaxis) == ["a", "b"]


def test_overlap_is_shown_of_methods_that_have_some(scores):
    dice, iou = overlap_figure(scores).axes
    for axes in (dice, iou):
        assert labels_of(axes.xaxis) == [
            "identity\n(n = 6)",
            "elastix\n(n = 5)",
            f"{MODEL}\n(n = 6)",
        ]
    values = dice.collections[1].get_offsets()[:, 1]
    assert values.tolist() == pytest.approx([0.72, 0.74, 0.76, 0.78, 0.80])
    assert iou.get_ylabel().startswith("IoU")


def test_structures_stand_beside_their_label():
    values = {"ants": {3: [0.1, 0.3], 9: [0.5]}, "elastix": {9: [0.8]}}
    axes = axes_of(draw_structures, values, method_colors(list(values)))
    assert labels_of(axes.xaxis) == ["3", "9"]
    boxes = [patch.get_path().get_extents() for patch in axes.patches]
    centers = [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]
    assert np.allclose(centers, [(-0.2, 0.2), (0.8, 0.5), (1.2, 0.8)])
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["ants", "elastix"]
    handles = [handle.get_facecolor()[:3] for handle in legend.get_patches()]
    assert handles == [patch.get_facecolor()[:3] for patch in axes.patches[1:]]


def structures_with(labels):
    return [
        StructureScore(method="ants", fixed="a", moving="b", label=label, dice=0.5)
        for label in range(labels)
    ]


def test_many_labels_are_not_drawn():
    pair = pair_score("ants", ("a", "b"), 0.5)
    assert structure_figure(scores_of(pair, structures=structures_with(20)))
    assert structure_figure(scores_of(pair, structures=structures_with(21))) is None
    missing = StructureScore(method="ants", fixed="a", moving="b", label=1)
    assert structure_figure(scores_of(pair, structures=[missing])) is None


def test_time_and_accuracy_of_methods_that_have_both(scores):
    axes = axes_of(draw_time_accuracy, summary_rows(scores))
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == pytest.approx((0.1 / 1.2, 10.0 * 1.2))
    names = {text.get_text(): text for text in axes.texts}
    assert list(names) == ["elastix", MODEL, "identity"]
    rows = {row.method: row.estimates for row in summary_rows(scores)}
    for method in ("elastix", MODEL):
        estimates = rows[method]
        point = estimates["seconds"].median, estimates["iou"].mean
        assert names[method].xy == pytest.approx(point)
    (dashed,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert set(dashed.get_ydata()) == {rows["identity"]["iou"].mean}


def test_error_bars_are_the_interval():
    pairs = list(permutations("abcde", 2))
    dice = np.linspace(0.6, 0.9, len(pairs))
    rows = summary_rows(scores_of(*of_method("ants", dice, pairs, seconds=5.0)))
    (bar,) = axes_of(draw_time_accuracy, rows).collections
    interval = rows[0].estimates["iou"]
    expected = [[5.0, interval.ci_low], [5.0, interval.ci_high]]
    assert np.allclose(bar.get_segments()[0], expected)


def test_without_time_or_overlap_there_is_no_picture_of_them():
    timed = scores_of(*of_method("ants", [nan] * 6, seconds=1.0))
    overlapping = scores_of(*of_method("ants", [0.5] * 6))
    doing_nothing = scores_of(*of_method("identity", [0.5] * 6, seconds=1e-6))
    for scores in (timed, overlapping, doing_nothing):
        assert time_figure(summary_rows(scores)) is None
    assert overlap_figure(timed) is None


def test_names_of_methods_alike_do_not_overlap():
    scores = scores_of(
        *(s for n in range(8) for s in of_method(f"m{n}", [0.8] * 6, seconds=1.0 + n))
    )
    figure = time_figure(summary_rows(scores))
    figure.draw_without_rendering()
    boxes = sorted(
        (Text.get_window_extent(text) for text in figure.axes[0].texts),
        key=lambda box: box.y0,
    )
    width, height = figure.canvas.get_width_height()
    assert boxes[0].y0 >= 0
    assert boxes[-1].y1 <= height
    assert width / 2 < max(box.x1 for box in boxes) <= width
    for lower, upper in pairwise(boxes):
        assert lower.y1 <= upper.y0


def test_spread_by_hand():
    assert spread([0.5, 0.1], 0.1) == [0.5, 0.1]
    assert spread([0.5, 0.5, 0.45], 0.1) == pytest.approx([0.55, 0.65, 0.45])
    assert spread([1.0, 0.98], 0.1) == pytest.approx([1.0, 0.9])
