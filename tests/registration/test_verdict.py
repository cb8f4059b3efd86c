"""Verdicts: what is called failed, doubtful and good, and why."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from support.scans import smooth_field
from support.textured import GRID, head, shift
from voltween.losses import mean_squared_error as mse
from voltween.refinement import ACCURATE, choose_refinement
from voltween.registration import register
from voltween.registration.judge import Judge
from voltween.registration.result import TweeningStage
from voltween.registration.usual import usual_of
from voltween.registration.verdict import Evidence, gather_evidence, pass_verdict
from voltween.spatial import Affine

GOOD = Evidence(
    similarity_before=0.3,
    similarity=0.75,
    sign=0.99,
    seen_percent=99.0,
    overlap=0.95,
    sd_log_jacobian=0.2,
    folding_percent=0.0,
    scale=1.02,
    stretch=1.1,
)
USUAL = usual_of("brain")
UNBENT = choose_refinement(None, has_model=True, transform="rigid")
ACROSS = replace(ACCURATE, similarity="normalized mutual information")


def test_an_ordinary_registration_is_good():
    verdict = pass_verdict(GOOD, USUAL, ACCURATE)
    assert verdict.grade == "good"
    assert verdict.reasons == ()
    assert verdict.evidence is GOOD


@pytest.mark.parametrize(
    ("change", "grade", "word"),
    [
        ({"similarity": 0.15, "similarity_before": 0.1}, "failed", "lost"),
        ({"similarity_before": 0.8}, "failed", "less alike than before"),
        ({"seen_percent": 20.0}, "failed", "shows only 20 %"),
        ({"overlap": 0.02}, "failed", "hardly lie"),
        ({"overlap": 0.3}, "doubtful", "hardly lie"),
        ({"folding_percent": 5.0}, "failed", "folds"),
        ({"scale": 2.5}, "failed", "scale"),
        ({"scale": 0.4}, "failed", "scale"),
        ({"stretch": 3.0}, "failed", "directions"),
        ({"similarity": USUAL.refined.least - 0.01}, "doubtful", "usually"),
        ({"sign": -0.5}, "doubtful", "bright and dark"),
        ({"seen_percent": 60.0}, "doubtful", "shows only 60 %"),
        ({"folding_percent": 1.0}, "doubtful", "folds"),
        ({"sd_log_jacobian": USUAL.roughness + 0.1}, "doubtful", "rough"),
        ({"scale": 0.7}, "doubtful", "scale"),
        ({"stretch": 1.8}, "doubtful", "directions"),
    ],
)
def test_each_reason_is_named(change, grade, word):
    verdict = pass_verdict(replace(GOOD, **change), USUAL, ACCURATE)
    assert verdict.grade == grade
    assert any(word in reason for reason in verdict.reasons)


def test_a_network_alone_is_measured_against_networks_alone():
    between = (USUAL.network.least + USUAL.refined.least) / 2
    assert USUAL.network.least < between < USUAL.refined.least
    assert between > USUAL.refined.lost
    evidence = replace(GOOD, similarity=between)
    assert pass_verdict(evidence, USUAL, None).grade == "good"
    assert pass_verdict(evidence, USUAL, ACCURATE).grade == "doubtful"


def test_a_transform_that_may_not_bend_is_measured_against_others_that_may_not():
    between = (USUAL.unbent.least + USUAL.network.lost) / 2
    assert USUAL.unbent.least < between < USUAL.network.lost
    evidence = replace(GOOD, similarity=between)
    assert pass_verdict(evidence, USUAL, UNBENT).grade == "good"
    assert pass_verdict(evidence, USUAL, None).grade == "failed"
    lost = replace(GOOD, similarity_before=0.1, similarity=USUAL.unbent.lost - 0.01)
    assert pass_verdict(lost, USUAL, UNBENT).grade == "failed"


def test_across_contrasts_answers_are_doubted_before_they_are_called_failed():
    between = replace(GOOD, similarity_before=0.1, similarity=0.25, sign=-0.9)
    assert pass_verdict(between, USUAL, ACCURATE).grade == "failed"
    verdict = pass_verdict(between, USUAL, ACROSS)
    assert verdict.grade == "doubtful"
    (reason,) = verdict.reasons  # that bright and dark are exchanged is none
    assert "as scans of two contrasts often are" in reason
    lost = replace(between, similarity=0.15)
    assert pass_verdict(lost, USUAL, ACROSS).grade == "failed"


@pytest.mark.parametrize(
    ("changes", "is_across"),
    [
        ({}, False),
        ({"similarity": "MIND-SSC"}, True),
        ({"similarity": "features"}, False),
        ({"similarity": "features", "beside_features": "mutual information"}, True),
        ({"similarity": mse}, False),
    ],
)
def test_what_is_compared_says_whether_contrasts_may_differ(changes, is_across):
    assert USUAL.is_across_contrasts(replace(ACCURATE, **changes)) == is_across
    assert not USUAL.is_across_contrasts(None)


def test_rigid_answers_across_contrasts_are_not_doubted_for_exchanged_brightness():
    evidence = replace(GOOD, similarity_before=0.1, sign=-0.9)
    verdicts = [
        pass_verdict(evidence, USUAL, replace(UNBENT, similarity=similarity)).grade
        for similarity in ("local correlation", "mutual information")
    ]
    assert verdicts == ["doubtful", "good"]


@pytest.mark.parametrize("refinement", [None, UNBENT, ACCURATE, ACROSS])
def test_answers_of_a_model_of_any_contrast_are_always_across_contrasts(refinement):
    usual = usual_of("brain-any")
    assert usual.similarities(refinement).lost <= 0.18
    exchanged = replace(GOOD, sign=-0.9)
    assert pass_verdict(exchanged, usual, refinement).grade == "good"


def turned(degrees):
    """A turn about the center of the made-up heads, RAS+ mm."""
    matrix, center_mm = np.eye(4), GRID.center_mm
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8]))
    matrix[:3, :3] = turn.as_matrix()
    matrix[:3, 3] = center_mm - matrix[:3, :3] @ center_mm
    return Affine(matrix)


def test_a_rigid_answer_for_two_made_up_people_is_called_failed_only_if_it_is_wrong():
    fixed = head()
    bent = smooth_field(GRID, largest_voxels=8.0, sigma=4.0)
    moving = (bent @ turned(10.0)).resample(fixed, onto=GRID)
    answer = register(fixed, moving, model=None, refinement="rigid")
    similarity = answer.verdict.evidence.similarity
    usual = usual_of("none")
    assert usual.unbent.least < similarity < usual.refined.lost
    assert answer.verdict.grade == "good"
    wrong = TweeningStage("wrong", answer.fixed_to_moving @ turned(90.0))
    spoilt = replace(answer, stages=(wrong,)).verdict
    assert spoilt.grade == "failed"


def test_evidence_of_a_known_affine_map():
    scan = head()
    matrix = np.diag([1.3, 1.0, 1.0, 1])
    evidence = gather_evidence(Judge.of(scan, scan), Affine.identity(), Affine(matrix))
    assert evidence.similarity_before == pytest.approx(1, abs=1e-4)
    assert evidence.similarity < 0.8
    assert evidence.scale == pytest.approx(1.3 ** (1 / 3), rel=1e-3)
    assert evidence.stretch == pytest.approx(1.3, rel=1e-3)
    assert evidence.sd_log_jacobian == pytest.approx(0, abs=1e-6)
    assert evidence.folding_percent == 0


def test_evidence_of_a_folding_map():
    scan = head()
    mirrored = Affine(np.diag([-1.0, 1, 1, 1])) @ shift([1.0, 0, 0])
    evidence = gather_evidence(Judge.of(scan, scan), Affine.identity(), mirrored)
    assert evidence.folding_percent == 100


def test_half_a_scan_is_judged_by_what_it_shows():
    half = replace(GOOD, similarity=0.4, seen_percent=50.0)
    assert half.similarity_seen == pytest.approx(0.7)
    verdict = pass_verdict(half, USUAL, ACCURATE)
    assert verdict.grade == "doubtful"
    assert [reason[:17] for reason in verdict.reasons] == ["the moving scan s"]
