"""The files of a report, and the fate of an earlier one in its folder."""

import csv
import shutil
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image as Picture

from support.packages import hide_packages
from support.scores import MODEL, PAIRS, of_method, pair_score, scores_of
from voltween.errors import InputError
from voltween.evaluation import PairScore, write_report
from voltween.evaluation.report import report_folder


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def only(rows, **wanted):
    return [row for row in rows if wanted.items() <= row.items()]


@pytest.fixture(name="report", scope="module")
def report_fixture(scores, tmp_path_factory):
    """The folder of a report that has all files."""
    folder = tmp_path_factory.mktemp("report") / "out"
    write_report(scores, folder)
    return folder


def test_files_of_a_report(report):
    assert {path.name for path in report.iterdir()} == {
        *("pairs.csv", "structures.csv", "stages.csv", "comparisons.csv"),
        *("summary.csv", "summary_structures.csv", "summary_stages.csv"),
        *("summary.md", "summary.tex", "index.html"),
        *("boxplots.png", "structures.png", "time_accuracy.png"),
    }
    for name in ("boxplots", "structures", "time_accuracy"):
        picture = Picture.open(report / f"{name}.png")
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 10


def test_tables_of_a_report(report):
    pairs = read_rows(report / "pairs.csv")
    assert list(pairs[0]) == [field.name for field in fields(PairScore)]
    assert list(pairs[0])[:3] == ["method", "fixed", "moving"]
    failed, *_ = only(pairs, method="elastix")
    assert (failed["status"], failed["dice"]) == ("failed", "")
    assert float(only(pairs, method=MODEL)[1]["dice"]) == 0.82
    assert len(read_rows(report / "structures.csv")) == 25
    assert len(read_rows(report / "stages.csv")) == 12
    summary = read_rows(report / "summary.csv")
    (model,) = only(summary, method=MODEL)
    assert float(model["dice_mean"]) == pytest.approx(0.85)
    assert float(model["seconds_median"]) == 0.2
    assert model["landmark_mm_mean"] == model["dice_ci_low"] == ""
    (voxelmorph,) = only(summary, method="voxelmorph")
    assert voxelmorph["dice_mean"] == voxelmorph["seconds_median"] == ""
    assert voxelmorph["note"].startswith("unavailable")
    (missing,) = only(read_rows(report / "summary_structures.csv"), label="9")
    assert (missing["pairs"], missing["dice"]) == ("0", "")
    (tested,) = only(
        read_rows(report / "comparisons.csv"), method="elastix", measure="dice"
    )
    assert (tested["reference"], tested["reference_is"]) == (MODEL, "first model")
    assert (tested["pairs"], tested["note"]) == ("5", "too few pairs")
    assert float(tested["p_holm"]) == 0.125


def test_the_index_has_every_pair_of_every_method(report):
    page = (report / "index.html").read_text(encoding="utf-8")
    assert page.count("<tr id=") == 24
    assert "Comparison of 4 methods, out" in page
    above, _ = page.split('<table id="pairs"')
    assert "too few samples: 100% | _outside_" in above
    assert above.count("package voxelmorph is missing") == 1


def test_one_pair_without_labels_gives_a_report_of_what_there_is(report, tmp_path):
    """In a folder that has a report already, of which nothing may stay."""
    shutil.copytree(report, tmp_path, dirs_exist_ok=True)
    write_report(
        scores_of(pair_score("ants", PAIRS[0], folding_percent=0.1, seconds=4.0)),
        tmp_path,
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        *("pairs.csv", "summary.csv", "summary.md", "summary.tex", "index.html")
    }
    assert (tmp_path / "summary.md").read_text("utf-8").splitlines()[:3] == [
        "| method | pairs | folding (%) | time (s) |",
        "| --- | ---: | ---: | ---: |",
        "| ants | 1 | 0.1 | 4 |",
    ]


def test_without_matplotlib_a_report_has_no_plots_old_ones_included(
    report, scores, tmp_path, monkeypatch
):
    shutil.copytree(report, tmp_path, dirs_exist_ok=True)
    hide_packages(monkeypatch, "matplotlib")
    with pytest.warns(UserWarning, match="without plots: .*matplotlib.*pip install"):
        write_report(scores, tmp_path)
    written, complete = (
        {path.name for path in folder.iterdir()} for folder in (tmp_path, report)
    )
    plots = {name for name in complete if name.endswith(".png")}
    assert written == complete - plots


def test_nothing_registered_at_all_is_reported(scores, tmp_path):
    without = [score for score in scores.pairs if score.method == "voxelmorph"]
    write_report(scores_of(*without), tmp_path)
    assert "| voxelmorph | *unavailable:" in (tmp_path / "summary.md").read_text(
        "utf-8"
    )
    assert not list(tmp_path.glob("*.png"))


def test_a_name_is_not_read_as_a_formula(tmp_path, monkeypatch):
    monkeypatch.setattr(report_folder, "_DOTS_PER_INCH", 50)  # quicker, no less text
    dice = [0.5] * 6
    method = r"model:/cost$\frac$/x"
    others = of_method(r"model:/other$\frac$/x", dice, seconds=1.0)
    write_report(scores_of(*of_method(method, dice, seconds=1.0), *others), tmp_path)
    assert (tmp_path / "time_accuracy.png").exists()


def test_no_pairs_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected scores of pairs"):
        write_report(scores_of(), tmp_path)
