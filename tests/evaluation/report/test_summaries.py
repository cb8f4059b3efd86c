"""Summaries of scores: per method, structure and stage; references and tests."""

from dataclasses import fields
from math import isnan, nan

import pytest

from support.scores import MODEL, PAIRS, of_method, pair_score, scores_of
from voltween.evaluation import PairScore
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


def test_a_method_whose_pairs_all_failed_has_no_numbers():
    pairs = [
        PairScore(method="ants", fixed=f, moving=v, status="failed", note="no memory")
        for f, v in PAIRS
    ]
    (row,) = summary_rows(scores_of(*pairs))
    assert row.reason == "failed on all 6 pairs: no memory"
    assert (row.pairs_ok, row.pairs_failed) == (0, 6)


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
    assert affine["iou_union"] == 0.75
    assert affine["landmark_fixed_mm"] == 4.0
    assert isnan(affine["landmark_mm"])


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


def test_short_names_stay_apart():
    assert short_names(["ants", "model:/a/x.safetensors", "model:brain"]) == {
        "ants": "ants",
        "model:/a/x.safetensors": "model:x",
        "model:brain": "model:brain",
    }
    alike = ["model:/a/x.safetensors", "model:/b/x.safetensors"]
    assert short_names(alike) == {name: name for name in alike}
