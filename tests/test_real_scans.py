"""The shipped models on real scans held out from training."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

import voltween as vt
from voltween.cohorts import (
    cases_of_split,
    draw_pairs,
    ordered_pairs,
    read_manifest,
)
from voltween.evaluation import EvaluationProtocol, evaluate, method_named
from voltween.registration import TweeningStage, usual_of
from voltween.spatial import Affine


def val_cases(shared_data, cohort):
    return cases_of_split(read_manifest(shared_data / cohort / "cases.csv"), "val")


@pytest.mark.parametrize(
    ("cohort", "model", "least_dice"),
    [
        ("hippocampus", "hippocampus", 0.79),
        ("brain_ixi", "brain", 0.54),
        ("brain_ixi, stripped", "brain", 0.54),
        ("headneck_ct", "headneck", 0.5),
    ],
)
def test_shipped_models_on_val_pairs(cohort, model, least_dice, shared_data, tmp_path):
    cases = val_cases(shared_data, cohort.split(",")[0])
    most_pairs = 12 if cohort == "hippocampus" else 2
    found = evaluate(
        [method_named(f"model:{model}")],
        cases,
        pairs=draw_pairs(ordered_pairs([case.name for case in cases]), most_pairs),
        out=tmp_path,
        protocol=EvaluationProtocol(masked=cohort.endswith("stripped")),
    )
    assert {score.status for score in found.pairs} == {"ok"}
    assert np.mean([score.dice for score in found.pairs]) > least_dice
    assert np.mean([score.folding_percent for score in found.pairs]) < 0.5
    stages = [stage for stage in found.stages if stage.stage == "before"]
    assert np.mean([stage.dice for stage in stages]) < least_dice - 0.1


def test_same_alignment_when_a_scan_is_stored_in_another_way(shared_data, tmp_path):
    """One scan again in another orientation, spacing and origin: the same places."""
    fixed_case, moving_case = val_cases(shared_data, "hippocampus")[:2]
    fixed, moving = vt.read(fixed_case.image), vt.read(moving_case.image)
    shift_mm = np.array([30.0, -50.0, 70.0])
    scan = sitk.DICOMOrient(sitk.ReadImage(str(moving_case.image)), "PIR")
    finer = sitk.Resample(
        scan,
        [round(n * 1.25) for n in scan.GetSize()],
        sitk.Transform(),
        sitk.sitkLinear,
        scan.GetOrigin(),
        [mm / 1.25 for mm in scan.GetSpacing()],
        scan.GetDirection(),
        outputPixelType=sitk.sitkFloat32,
        useNearestNeighborExtrapolator=True,
    )
    finer.SetOrigin((np.array(finer.GetOrigin()) + shift_mm * [-1, -1, 1]).tolist())
    sitk.WriteImage(finer, str(tmp_path / "other.nrrd"))
    model = vt.load_model("hippocampus")
    plain = vt.register(fixed, moving, model=model)
    again = vt.register(fixed, vt.read(tmp_path / "other.nrrd"), model=model)
    hippocampus = vt.read_labels(fixed_case.labels)
    points = hippocampus.grid.voxel_to_world(np.argwhere(hippocampus.data > 0) * 1.0)
    difference = again.fixed_to_moving.map_positions(points) - shift_mm
    difference -= plain.fixed_to_moving.map_positions(points)
    assert np.linalg.norm(difference, axis=1).mean() < 0.5
    assert again.correlation["after"] == pytest.approx(
        plain.correlation["after"], abs=0.02
    )


@pytest.mark.parametrize("refinement", [None, "fast"])
def test_a_scan_that_was_moved_by_1_mm_is_not_bent(shared_data, refinement):
    """Crops end 1 mm apart from each other: their ends are not aligned."""
    case = val_cases(shared_data, "hippocampus")[0]
    fixed, moved_by_mm = vt.read(case.image), np.eye(4)
    moved_by_mm[0, 3] = 1
    truth = Affine(moved_by_mm)
    moving = truth.inverse().resample(fixed, onto=fixed.grid)
    result = vt.register(fixed, moving, model="hippocampus", refinement=refinement)
    points = fixed.grid.voxel_to_world(np.argwhere(fixed.data > 0)[::99] * 1.0)
    missed = result.fixed_to_moving.map_positions(points) - points - [1, 0, 0]
    assert np.linalg.norm(missed, axis=1).max() < 0.2


@pytest.mark.parametrize(
    ("cohort", "model"), [("brain_ixi", "brain"), ("hippocampus", "hippocampus")]
)
def test_a_rigid_answer_for_two_people_is_called_failed_only_if_it_is_lost(
    cohort, model, shared_data
):
    fixed, moving = (vt.read(case.image) for case in val_cases(shared_data, cohort)[:2])
    answer = vt.register(fixed, moving, model=model, refinement="rigid")
    usual = usual_of(model)
    assert answer.verdict.evidence.similarity < usual.refined.lost
    assert answer.verdict.grade != "failed"
    matrix, center_mm = np.diag([-1.0, -1.0, 1.0, 1.0]), fixed.grid.center_mm
    matrix[:3, 3] = center_mm - matrix[:3, :3] @ center_mm  # half a turn
    lost = TweeningStage("lost", answer.fixed_to_moving @ Affine(matrix))
    assert replace(answer, stages=(lost,)).verdict.grade == "failed"
