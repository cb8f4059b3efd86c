"""Fine-tuning: what is taken from a model, what is adapted to the scans, and why."""

from dataclasses import replace

import numpy as np
import pytest

from support.cohorts import write_label_maps
from support.voxelmorph import skip_without_voxelmorph, some_model
from voltween import io
from voltween.cohorts import load_case, mask_by_labels, read_manifest
from voltween.errors import InputError
from voltween.models import Model, ModelFingerprint, load_model, save_model
from voltween.networks import CascadeConfig, build
from voltween.preprocessing import Preprocessing
from voltween.training import (
    Augmentation,
    Synthesis,
    fine_tuned,
    measure_fingerprint,
    notes_that_hold,
    plan,
)

SHAPE = (16, 16, 24)
RULES = Preprocessing(SHAPE, (3.0, 3.0, 3.0), "grid centre", (1.0, 98.0))


@pytest.fixture(scope="module", name="cohort")
def cohort_fixture(manifest):
    """Manifest, cases and fingerprint of the blobs."""
    cases = read_manifest(manifest)
    return manifest, cases, measure_fingerprint(cases)


def saved(folder, *, rules=RULES, scans=(), stages="AD", scaled=1.0, **facts):
    """A model file whose fingerprint is that of the scans, scaled by a factor.

    The facts are what it states of its training, and `masked_by`: the labels that its
    training also showed the scans masked by.
    """
    masked_by = facts.pop("masked_by", ())
    images = [resized(io.read(case.image), scaled) for case in scans]
    masked = [
        resized(mask_by_labels(*load_case(case)), scaled) for case in scans if masked_by
    ]
    is_ct = rules.hounsfield_window is not None
    fingerprint = ModelFingerprint.of(images, masked=masked, is_ct=is_ct)
    model = Model(
        "any",
        build(CascadeConfig(stages, rules.shape, channels=2)),
        rules,
        {"training": facts} if facts else {},
        fingerprint=fingerprint if scans else None,
    )
    return str(save_model(model, folder / "own.safetensors"))


def resized(image, factor):
    """The image with voxels of another size."""
    affine = image.grid.affine * [*[factor] * 3, 1]
    return replace(image, grid=replace(image.grid, affine=affine))


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
        assert notes["preprocessing.placement"] == "that of own"

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
        reason = notes["preprocessing.spacing_mm"]
        assert "covers 1.6 x 1.6 x 2.4 mm" in reason
        assert "lays it around measures 36 x 36 x 36 mm" in reason

    def test_without_a_fingerprint_is_judged_by_what_it_is_placed_on(
        self, cohort, tmp_path
    ):
        """On the blobs alone, it need not cover the field of view of 36 mm."""
        tight = replace(RULES, spacing_mm=(1.7, 1.7, 1.1), placement="foreground")
        _, decided, notes = tuned(cohort, saved(tmp_path, rules=tight))
        assert decided.preprocessing == tight
        assert notes["preprocessing.placement"] == "that of own"
        centered = replace(tight, placement="grid centre")
        _, decided, notes = tuned(cohort, saved(tmp_path, rules=centered))
        assert decided.preprocessing.spacing_mm != tight.spacing_mm
        assert notes["preprocessing.placement"].startswith("adapted: ")

    def test_of_a_plan_suits_its_own_scans(self, cohort, tmp_path):
        """Sides of 16 voxels and more are larger than what they cover."""
        planned, _ = plan(cohort[0], cohort[2], has_gpu=True)
        rules = planned.preprocessing
        _, decided, _ = tuned(cohort, saved(tmp_path, rules=rules))
        assert decided.preprocessing == rules

    def test_of_label_maps_alone_is_judged_by_what_is_labeled(self, tmp_path):
        maps = write_label_maps(tmp_path)
        cases = read_manifest(maps, may_lack_scans=True)
        cohort = maps, cases, measure_fingerprint(cases)
        tight = replace(RULES, spacing_mm=(1.7, 1.7, 1.1), placement="foreground")
        _, decided, _ = tuned(cohort, saved(tmp_path, rules=tight))
        assert decided.preprocessing == tight

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


OF_ANY_CONTRAST = {
    "synthesis": {"share": 1.0, "scans": 0.7, "tissues": "5e1f", "teacher": "brain"},
    "augmentation": {"gamma": 0.45, "deforms_fixed": True, "of_later": 1},
    "objective": {"end_point_error": 1.0},
}


class TestAnyContrast:
    """Models that learned from synthesized pairs."""

    def test_keep_learning_from_such(self, cohort, tmp_path):
        rules = replace(RULES, spacing_mm=(2.5, 2.5, 1.6))  # suits the scans
        model = saved(tmp_path, rules=rules, **OF_ANY_CONTRAST)
        planned, decided, notes = tuned(cohort, model)
        training = decided.training
        assert planned.training.synthesis.share == 0
        assert training.synthesis == Synthesis(share=1.0, scans=0.7)
        assert training.augmentation == Augmentation(gamma=0.45, deforms_fixed=True)
        objective = training.objective
        assert objective.overlap == (2.0, 0.5)
        assert (objective.affine_similarity, objective.dense_similarity) == (0, ())
        assert objective.end_point_error == 0
        assert "keeps it by them" in notes["training.synthesis.share"]
        assert "the flows of brain" in notes["training.synthesis.teacher"]
        assert training.steps == 500
        assert training.start_from == str(tmp_path / "own.safetensors")

    def test_see_ct_without_a_window_in_which_mr_would_be_black(self, ct, tmp_path):
        cohort = (ct[0], read_manifest(ct[0]), ct[1])
        model = saved(tmp_path, **OF_ANY_CONTRAST)
        _, decided, notes = tuned(cohort, model)
        assert decided.training.synthesis.share == 1
        assert decided.preprocessing.hounsfield_window is None
        assert decided.preprocessing.intensity_percentiles == (1.0, 98.0)
        assert "preprocessing.hounsfield_window" not in notes
        assert "any contrast" in notes["preprocessing.intensity_percentiles"]

    def test_with_a_window_of_their_own_keep_it_and_nothing_else_is_said(
        self, ct, tmp_path
    ):
        cohort = (ct[0], read_manifest(ct[0]), ct[1])
        rules = replace(RULES, hounsfield_window=(-160.0, 240.0))
        _, decided, notes = tuned(
            cohort, saved(tmp_path, rules=rules, **OF_ANY_CONTRAST)
        )
        assert decided.preprocessing.hounsfield_window == (-160.0, 240.0)
        assert "preprocessing.intensity_percentiles" not in notes

    def test_that_learn_one_contrast_from_now_on_see_ct_in_a_window(self, ct, tmp_path):
        unlabeled = replace(ct[1], labeled=3)
        cohort = (ct[0], read_manifest(ct[0]), unlabeled)
        _, decided, _ = tuned(cohort, saved(tmp_path, **OF_ANY_CONTRAST))
        assert decided.preprocessing.hounsfield_window is not None

    def test_without_labels_the_plan_says_why_they_do_not(self, cohort, tmp_path):
        manifest, cases, fingerprint = cohort
        some = manifest, cases, replace(fingerprint, labeled=3)
        planned, decided, notes = tuned(some, saved(tmp_path, **OF_ANY_CONTRAST))
        assert decided.training.synthesis.share == 0
        similarity = planned.training.objective.dense_similarity
        assert decided.training.objective.dense_similarity == similarity
        reason = notes["training.synthesis.share"]
        assert "1 of 4 training cases have no labels" in reason
        assert "list only cases with labels, and plan again" in reason

    def test_synthesis_of_the_plan_itself_stays(self, cohort, tmp_path):
        bare = replace(cohort[2], without_scan=4)
        planned, decided, notes = tuned(
            (*cohort[:2], bare), saved(tmp_path, **OF_ANY_CONTRAST)
        )
        assert decided.training.synthesis == planned.training.synthesis
        assert "training.synthesis.share" not in notes

    def test_slices_have_as_many_voxels_where_voxels_are_smaller(
        self, cohort, tmp_path
    ):
        rules = replace(RULES, spacing_mm=(30.0, 30.0, 30.0))
        stated = {"synthesis": {"share": 1.0, "slice_mm": 60.0}}
        _, decided, _ = tuned(cohort, saved(tmp_path, rules=rules, **stated))
        ratio = np.mean(decided.preprocessing.spacing_mm) / 30.0
        assert ratio < 0.1
        slice_mm = decided.training.synthesis.slice_mm
        assert slice_mm == pytest.approx(60.0 * ratio, abs=1e-3)

    def test_other_models_learn_as_planned(self, cohort, tmp_path):
        stated = {"synthesis": {"share": 0.0}}
        planned, decided, notes = tuned(cohort, saved(tmp_path, **stated))
        assert decided.training.synthesis == planned.training.synthesis
        assert "training.synthesis.share" not in notes


class TestMaskedPairs:
    """Models that also learned from scans masked by their labels."""

    def test_are_kept_where_the_labels_cover_what_the_model_saw(self, cohort, tmp_path):
        model = saved(
            tmp_path, scans=cohort[1][:4], masked_by="labels", masked_share=0.4
        )
        _, decided, notes = tuned(cohort, model)
        assert decided.training.masked_share == 0.4
        assert notes["training.masked_share"].startswith("that of own")

    def test_are_not_kept_where_the_labels_are_of_another_size(self, cohort, tmp_path):
        model = saved(
            tmp_path,
            scans=cohort[1][:4],
            masked_by="labels",
            masked_share=0.4,
            scaled=2.0,
        )
        _, decided, notes = tuned(cohort, model)
        assert decided.training.masked_share == 0
        reason = notes["training.masked_share"]
        assert reason.startswith(
            "0, though own learned with 0.4: where scans are masked"
        )

    @pytest.mark.parametrize(
        ("labeled", "with_scans", "words"),
        [
            (3, True, "1 of 4 training cases have no labels to mask by"),
            (4, False, "its file does not say what masked scans should show"),
        ],
    )
    def test_are_not_kept_without_labels_or_without_a_measure(
        self, cohort, tmp_path, labeled, with_scans, words
    ):
        scans = cohort[1][:4] if with_scans else ()
        model = saved(tmp_path, scans=scans, masked_by="labels", masked_share=0.4)
        fingerprint = replace(cohort[2], labeled=labeled)
        _, decided, notes = tuned((*cohort[:2], fingerprint), model)
        assert decided.training.masked_share == 0
        assert words in notes["training.masked_share"]


def test_reasons_for_what_is_not_used_any_more_are_dropped(cohort, tmp_path):
    planned, decided, _ = tuned(cohort, saved(tmp_path))
    notes = {
        "cascade.levels": "few",
        "training.steps": "many",
        "training.seed": "any",
        "training.augmentation": "varied",
    }
    assert notes_that_hold(notes, planned, decided) == {
        "training.seed": "any",
        "training.augmentation": "varied",
    }


def test_what_is_no_cascade_is_refused(cohort, tmp_path):
    skip_without_voxelmorph()
    path = str(save_model(some_model(), tmp_path / "other.safetensors"))
    with pytest.raises(InputError, match="expected a cascade, as plans are for"):
        tuned(cohort, path)


@pytest.mark.parametrize("name", ["brain", "brain-any"])
def test_shipped_models_suit_the_heads_that_they_learned_from(shared_data, name):
    manifest = shared_data / "brain_ixi" / "cases.csv"
    cases = [case for case in read_manifest(manifest) if case.split == "train"][:4]
    _, decided, notes = tuned((manifest, cases, measure_fingerprint(cases)), name)
    model = load_model(name)
    assert decided.preprocessing == model.preprocessing
    is_any = name == "brain-any"
    assert decided.training.synthesis.share == (1 if is_any else 0)
    assert decided.training.masked_share == (0 if is_any else 0.5)
    assert notes["preprocessing.spacing_mm"] == f"that of {name}"
