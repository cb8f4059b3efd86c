"""Reports of the pairs of a comparison: which there are, and what they show."""

import csv
from dataclasses import replace

import pytest

from support.cohorts import write_cohort
from support.commands import run_here
from support.scans import oblique_grid, smooth_image
from voltween.cohorts import Scan
from voltween.evaluation.method_names import identity
from voltween.evaluation.methods import Answer, plain_method
from voltween.evaluation.pair_report import Measured, Pictures, _registration
from voltween.evaluation.records import Record
from voltween.evaluation.scores import PairScore
from voltween.refinement import ACCURATE, choose_refinement
from voltween.registration import Criterion
from voltween.spatial import Affine

pytestmark = pytest.mark.filterwarnings(
    "ignore::voltween.errors.SuspiciousInputWarning"
)
PAGES = {"case0--case1.html", "case1--case0.html"}


@pytest.fixture(scope="module", name="manifest")
def manifest_fixture(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), 0, 2)


def compare(manifest, out, *more):
    words = ("compare", manifest, "--methods", "centres", "--out", out)
    assert run_here(*words, *more) == 0
    return out


def pages(out):
    return {path.name for path in (out / "reports").rglob("*.html")}


@pytest.mark.parametrize(
    ("reports", "method", "verdict", "is_wanted"),
    [
        ("none", "ants", "failed", False),
        ("doubtful", "ants", "good", False),
        ("doubtful", "ants", "doubtful", True),
        ("doubtful", "centres", "failed", False),
        ("all", "ants", "good", True),
        ("all", "centres", "good", True),
    ],
)
def test_reports_are_of_the_pairs_that_are_asked_for(
    reports, method, verdict, is_wanted, tmp_path
):
    score = PairScore(method=method, fixed="a", moving="b", verdict=verdict)
    pictures = Pictures(tmp_path, reports)
    assert pictures.wants_report(score) == is_wanted
    assert pictures.lacks_report(score) == is_wanted


@pytest.mark.parametrize(
    "refinement",
    [
        None,
        ACCURATE,
        replace(ACCURATE, similarity="normalized mutual information"),
        choose_refinement(None, has_model=False, transform="rigid"),
    ],
)
def test_the_verdict_of_a_report_is_that_of_the_methods_kind(refinement):
    scan = Scan("a", smooth_image(oblique_grid((12, 12, 12))), None, None)
    criterion = Criterion(refinement=refinement)
    method = replace(plain_method("a", identity), criterion=criterion)
    record = object.__new__(Record)  # of the scores, which are not asked for
    pair = Measured(scan, scan, Answer(Affine.identity()), record)
    assert _registration(method, pair).refinement is refinement


def test_a_finished_comparison_gets_reports_that_the_index_links_to(manifest, tmp_path):
    out = compare(manifest, tmp_path / "out")
    assert not pages(out)
    compare(manifest, out, "--reports", "all")
    assert pages(out) == PAGES
    index = (out / "index.html").read_text("utf-8")
    assert all(f'href="reports/centres/{page}"' in index for page in PAGES)
    page = (out / "reports" / "centres" / "case0--case1.html").read_text("utf-8")
    with (out / "pairs.csv").open(newline="") as file:
        (row,) = (r for r in csv.DictReader(file) if r["fixed"] == "case0")
    assert f"registered <b>{float(row['dice']):.3f}</b>" in page
    assert f'<span class="grade {row["verdict"]}">' in page
    assert "image0.nii.gz" in page
    assert len(page) < 4_000_000
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.html")}
    compare(manifest, out, "--reports", "all")
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.html")}
    assert {p for p in before if before[p] != after[p]} <= {out / "index.html"}


def test_pictures_leave_faces_out_if_asked(manifest, tmp_path):
    """Scans without a head are not shown at all; earlier pictures go."""
    out = compare(manifest, tmp_path / "out", "--reports", "all")
    assert len(list((out / "thumbnails").rglob("*.webp"))) == 2
    compare(manifest, out, "--reports", "all", "--report-crop", "brain")
    labels_are_shown = (out / "reports" / "centres" / "case0--case1.html").read_text(
        "utf-8"
    )
    assert "What lies away from the brain is left out" in labels_are_shown
