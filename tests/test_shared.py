"""The shipped models on real scans held out from training."""

import numpy as np
import pytest
import SimpleITK as sitk

import voltween as vt
from voltween.data import cases_of_split, read_manifest
from voltween.evaluate import chosen_pairs, evaluate, summary


def val_cases(shared_data, cohort):
    return cases_of_split(read_manifest(shared_data / cohort / "cases.csv"), "val")


def test_hippocampus_model_on_val_pairs(shared_data):
    cases = val_cases(shared_data, "hippocampus")
    pairs = chosen_pairs([case.name for case in cases], 60)
    result = evaluate(vt.load_model("hippocampus"), cases, pairs=pairs)
    after = summary(result)[-1]
    assert after["dice"] > 0.79
    assert after["folding_percent"] < 0.5


@pytest.mark.parametrize("is_masked", [False, True], ids=["raw", "stripped"])
def test_brain_model_on_val_pairs(shared_data, is_masked):
    cases = val_cases(shared_data, "brain_ixi")
    pairs = chosen_pairs([case.name for case in cases], 5)
    result = evaluate(vt.load_model("brain"), cases, pairs=pairs, is_masked=is_masked)
    after = summary(result)[-1]
    assert after["dice"] > 0.54
    assert after["folding_percent"] < 0.5


def test_headneck_model_on_val_pairs(shared_data):
    cases = val_cases(shared_data, "headneck_ct")
    pairs = chosen_pairs([case.name for case in cases], 5)
    result = evaluate(vt.load_model("headneck"), cases, pairs=pairs)
    after = summary(result)[-1]
    assert after["dice"] > 0.5
    assert after["folding_percent"] < 0.5


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
