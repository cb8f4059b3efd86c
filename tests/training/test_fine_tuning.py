"""Fine-tuning: what is taken from a model, what is adapted to the scans, and why."""

from dataclasses import replace

import numpy as np
import pytest

from support.voxelmorph import skip_without_voxelmorph, some_model
from voltween import io
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.models import Model, ModelFingerprint, save_model
from voltween.networks import CascadeConfig, build
from voltween.preprocessing import Preprocessing
from voltween.training import fine_tuned, measure_fingerprint, notes_that_hold, plan

SHAPE = (16, 16, 24)
RULES = Preprocessing(SHAPE, (3.0, 3.0, 3.0), "grid centre", (1.0, 98.0))


@pytest.fixture(scope="module", name="cohort")
def cohort_fixture(manifest):
    """Manifest, cases and fingerprint of the blobs."""
    cases = read_manifest(manifest)
    return manifest, cases, measure_fingerprint(cases)


def saved(folder, *, rules=RULES, scans=(), stages="AD", scaled=1.0):
    """A model file whose fingerprint is that of the scans, scaled by a factor."""
    network = build(CascadeConfig(stages, rules.shape, channels=2))
    images = [io.read(case.image) for case in scans]
    larger = [
        replace(
            image,
            grid=replace(image.grid, affine=image.grid.affine * [*[scaled] * 3, 1]),
        )
        for image in images
    ]
    is_ct = rules.hounsfield_window is not None
    fingerprint = ModelFingerprint.of(larger, is_ct=is_ct) if scans else None
    model = Model("any", network, rules, {}, fingerprint=fingerprint)
    return str(save_model(model, folder / "own.safetensors"))


def tuned(cohort, model):
    """The fine-tuning of a model on the cohort, beside the plan without a model."""
    manifest, cases, fingerprint = cohort
    planned, _ = plan(manifest, fingerprint, has_gpu=False)
    return planned, *fine_tuned(planned, model, cases, fingerprint)


class TestGrid:
    def test_of_scans_of_the_same_size_is_that_of_the_model(self, cohort, tmp_path):
        model = saved(tmp_path, scans=cohort[1][:4])
        _, decided, notes = tuned(cohort, model)
        assert decided.preprocessing == RULES
        assert decided.cascade == CascadeConfig("AD", SHAPE, channels=2)
        assert notes["preprocessing.spacing_mm"] == "that of own"
        assert "preprocessing.placement" not in notes

    def test_of_smaller_scans_has_smaller_voxels(self, cohort, tmp_path):
        model = saved(tmp_path, scans=cohort[1][:4], scaled=10.0)
        planned, decided, notes = tuned(cohort, model)
        rules = decided.preprocessing
        assert rules.shape == SHAPE
        assert rules.intensity_percentiles == (1.0, 98.0)
        assert rules.placement == planned.preprocessing.placement
        covered = np.multiply(rules.shape, rules.spacing_mm)
        assert (covered > np.divide(cohort[2].foreground_mm.usual, 2)).all()
        assert max(rules.spacing_mm) <= 1.26 * min(rules.spacing_mm)
        for words in ("adapted", "own has 3 x 3 x 3 mm", "learned from"):
            assert words in notes["preprocessing.spacing_mm"]

    def test_of_a_model_without_a_fingerprint_is_judged_by_what_it_covers(
        self, cohort, tmp_path
    ):
        fine = replace(RULES, spacing_mm=(0.1, 0.1, 0.1))
        _, decided, notes = tuned(cohort, saved(tmp_path, rules=fine))
        assert min(decided.preprocessing.spacing_mm) > 1
        assert "covers 1.6 x 1.6 x 2.4 mm" in notes["preprocessing.spacing_mm"]

    def test_covers_the_field_of_view(self, cohort, tmp_path):
        wide = replace(cohort[2], foreground_mm=cohort[2].field_of_view_mm)
        model = saved(tmp_path, scans=cohort[1][:4], scaled=10.0)
        _, decided, _ = tuned((*cohort[:2], wide), model)
        rules = decided.preprocessing
        covered_mm = np.multiply(rules.shape, rules.spacing_mm)
        assert (covered_mm >= wide.field_of_view_mm.usual).all()


class TestIntensities:
    def test_a_window_is_not_kept_for_scans_that_are_no_ct(self, cohort, tmp_path):
        rules = replace(RULES, hounsfield_window=(-100.0, 200.0))
        _, decided, notes = tuned(cohort, saved(tmp_path, rules=rules))
        assert decided.preprocessing.hounsfield_window is None
        assert "no CT" in notes["preprocessing.hounsfield_window"]

    def test_ct_gets_a_window(self, ct, tmp_path):
        cohort = (ct[0], read_manifest(ct[0]), ct[1])
        planned, decided, notes = tuned(cohort, saved(tmp_path))
        window = planned.preprocessing.hounsfield_window
        assert decided.preprocessing.hounsfield_window == window is not None
        assert "learned not" in notes["preprocessing.hounsfield_window"]

    def test_the_window_of_a_model_of_ct_is_kept(self, ct, tmp_path):
        cohort = (ct[0], read_manifest(ct[0]), ct[1])
        rules = replace(RULES, hounsfield_window=(-77.0, 200.0))
        _, decided, _ = tuned(cohort, saved(tmp_path, rules=rules))
        assert decided.preprocessing.hounsfield_window == (-77.0, 200.0)


class TestTraining:
    def test_is_slower_shorter_and_stops_early(self, cohort, tmp_path):
        model = saved(tmp_path)
        planned, decided, notes = tuned(cohort, model)
        one, other = planned.training, decided.training
        assert other.start_from == str(tmp_path / "own.safetensors")
        assert other.learning_rate < one.learning_rate
        assert other.steps < one.steps
        assert other.patience is not None
        assert other.steps >= 2 * other.patience * other.validate_every
        assert other.augmentation == one.augmentation
        for name in ("steps", "learning_rate", "patience", "start_from"):
            assert notes[f"training.{name}"]

    @pytest.mark.parametrize(
        ("stages", "weights"),
        [("ADDD", (2.0, 0.0, 0.0, 0.5)), ("D", (2.0,)), ("A", (0.5,))],
    )
    def test_weights_of_the_overlap_fit_the_stages(
        self, cohort, tmp_path, stages, weights
    ):
        model = saved(tmp_path, stages=stages)
        _, decided, _ = tuned(cohort, model)
        assert decided.training.objective.overlap == weights


def test_reasons_for_what_is_not_used_any_more_are_dropped():
    notes = {"cascade.levels": "few", "training.steps": "many", "training.seed": "any"}
    changes = {"training.steps": "fewer", "cascade.stages": "of the model"}
    assert notes_that_hold(notes, changes) == {
        "training.steps": "fewer",
        "training.seed": "any",
        "cascade.stages": "of the model",
    }


def test_what_is_no_cascade_is_refused(cohort, tmp_path):
    skip_without_voxelmorph()
    path = str(save_model(some_model(), tmp_path / "other.safetensors"))
    with pytest.raises(InputError, match="expected a cascade, as plans are for"):
        tuned(cohort, path)
