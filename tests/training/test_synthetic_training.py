"""Trainings on synthesized pairs: they learn, resume, validate, and refuse."""

import csv
import weakref
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from support.cohorts import write_cohort, write_label_maps
from support.scans import tiny_model
from support.training import (
    CASCADE,
    LAST,
    PREPROCESSING,
    KilledError,
    assert_equal,
    die_at,
)
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.models import load_model, save_model
from voltween.training import (
    SYNTHESIS_TRAINING,
    Augmentation,
    Hardware,
    Objective,
    Recipe,
    Synthesis,
    TrainConfig,
    logs,
    measure_fingerprint,
    plan,
    read_plan,
    recipe_facts,
    train,
    write_plan,
)
from voltween.training.loop import Training
from voltween.training.samples import Sample
from voltween.training.validation import INVERTED, StageValidation, inverted, merit

CONFIG = replace(
    SYNTHESIS_TRAINING,
    steps=6,
    validate_every=2,
    validation_pairs=2,
    learning_rate=1e-3,
)
TISSUES = "label,tissue_class,evaluation_label\n1,1,1\n2,2,2\n"


@pytest.fixture(scope="module", name="maps")
def maps_fixture(tmp_path_factory):
    """Manifest of four training and two validation label maps without scans."""
    return write_label_maps(tmp_path_factory.mktemp("maps"))


@pytest.fixture(autouse=True)
def without_curves(monkeypatch):
    monkeypatch.setattr(logs, "write_progress", lambda *_: None)


def run(manifest, out, config=CONFIG, **options):
    """Trains as `support.training.run` does, on label maps."""
    return train(
        read_manifest(manifest, may_lack_scans=True),
        Recipe(PREPROCESSING, CASCADE, config),
        out=out,
        hardware=Hardware("cpu"),
        cache=manifest.parent / "cache",
        **options,
    )


def test_a_resumed_run_equals_an_uninterrupted_one(maps, tmp_path):
    run(maps, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(maps, tmp_path / "killed", on_step=die_at(3))
    run(maps, tmp_path / "killed")
    for file in (LAST, "best.safetensors"):
        assert_equal(tmp_path / "killed" / file, tmp_path / "whole" / file)
    logged = [
        (tmp_path / n / "log.csv").read_text("utf-8") for n in ("whole", "killed")
    ]
    assert logged[0] == logged[1]


def test_overlap_rises_in_contrasts_that_were_never_seen(maps, tmp_path):
    reports = []
    config = replace(
        CONFIG,
        steps=45,
        validate_every=45,
        learning_rate=3e-3,
        augmentation=Augmentation(displacement=0.03, deforms_fixed=True),
        synthesis=Synthesis(share=1.0, stripped=1.0, blur_voxels=0.5, slice_mm=0.0),
    )
    learner = replace(CASCADE, channels=4, flow_multiplier=10.0)
    train(
        read_manifest(maps, may_lack_scans=True),
        Recipe(PREPROCESSING, learner, config),
        out=tmp_path,
        cache=maps.parent / "cache",
        on_step=reports.append,
    )
    dice = {stage.stage: stage.dice for stage in reports[-1].stages}
    assert dice["dense 1"] > dice["before"] + 0.02
    assert dice["dense 1" + INVERTED] > dice["before"] + 0.02
    terms = reports[-1].losses
    assert not any("similarity" in name and value for name, value in terms.items())


def test_a_run_on_scans_and_maps_validates_scans_as_they_are_and_inverted(tmp_path):
    manifest = write_cohort(tmp_path)
    config = replace(CONFIG, steps=2, synthesis=Synthesis(share=0.5))
    best = run(manifest, tmp_path / "run", config)
    with (tmp_path / "run" / "validation.csv").open(newline="") as file:
        stages = [row["stage"] for row in csv.DictReader(file)]
    names = ["before", "affine", "dense 1"]
    assert stages == [*names, *(name + INVERTED for name in names)]
    assert load_model(best).fingerprint is None  # no contrast is foreign to it


class FreshSamples(Sequence):
    """Samples that are made on access; the most that were alive at once are counted."""

    def __init__(self, count):
        self.count, self.most, self._made = count, 0, []

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        if number >= self.count:
            raise IndexError
        image = torch.rand(1, *PREPROCESSING.shape)
        self._made.append(weakref.ref(image))
        alive = sum(made() is not None for made in self._made)
        self.most = max(self.most, alive)
        return Sample(f"case{number}", image, (image > 0.5).int())


def test_a_validation_holds_few_scans_in_memory(tmp_path):
    recipe, fabric = Recipe(PREPROCESSING, CASCADE, CONFIG), Hardware("cpu")
    training = Training((), recipe, out=tmp_path, fabric=fabric.fabric("fp32"))
    samples = FreshSamples(12)
    stages = training.validate(samples)
    assert len(stages) == 2 * len(("before", "affine", "dense 1"))
    assert samples.most <= 4


def test_inverted_scans_keep_their_background():
    image = torch.tensor([0.0, 0.02, 0.2, 1.0]).view(1, 1, 2, 2)
    turned = inverted(Sample("a", image, None)).image.flatten()
    torch.testing.assert_close(turned, torch.tensor([0.0, 0.02, 0.8, 0.0]))


def test_the_best_model_is_best_on_both_kinds_of_scans():
    plain, turned = "dense 1", "dense 1" + INVERTED
    stages = [
        StageValidation("affine", 0.1, 0.0, 0.0),
        StageValidation(plain, 0.6, 0.0, 0.0),
        StageValidation("affine" + INVERTED, 0.2, 0.0, 0.0),
        StageValidation(turned, 0.4, 0.0, 0.0),
    ]
    assert merit(stages) == pytest.approx(0.5)
    assert merit(stages[:2]) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"objective": Objective()}, "expected an overlap term"),
        (
            {"objective": Objective(overlap=(1.0,))},
            r"expected affine_similarity = 0 and dense_similarity = \[\]",
        ),
        (
            {"objective": replace(CONFIG.objective, end_point_error=1.0)},
            "a teacher and an end_point_error above 0 as the weight",
        ),
        (
            {"synthesis": replace(CONFIG.synthesis, teacher="brain")},
            "a teacher and an end_point_error above 0 as the weight",
        ),
        (
            {
                "objective": replace(CONFIG.objective, end_point_error=1.0),
                "synthesis": Synthesis(share=0.5, teacher="brain"),
            },
            "synthesis.share: expected 1 with a teacher",
        ),
        (
            {"synthesis": Synthesis(share=0.0, teacher="brain")},
            "synthesis.share: expected 1 with a teacher, .* got 0.0",
        ),
        (
            {
                "objective": replace(CONFIG.objective, end_point_error=1.0),
                "synthesis": Synthesis(share=1.0, teacher="brain"),
                "teacher": "brain+fast",
            },
            r"teacher brain\+fast: expected none but synthesis.teacher",
        ),
    ],
)
def test_objectives_that_synthesized_pairs_cannot_serve_are_refused(changes, error):
    with pytest.raises(InputError, match=error):
        replace(CONFIG, **changes)


@pytest.mark.parametrize(
    "teacher", ["ants", "ants-syn", "brain+fast", "own.safetensors+accurate"]
)
def test_teachers_that_would_register_in_every_step_are_refused(teacher):
    objective = replace(CONFIG.objective, end_point_error=1.0)
    synthesis = Synthesis(share=1.0, teacher=teacher)
    with pytest.raises(InputError, match=r"expected a model without \+fast or"):
        replace(CONFIG, objective=objective, synthesis=synthesis)


@pytest.mark.parametrize(
    "settings",
    [
        {"share": 1.5},
        {"scans": -0.1},
        {"stripped": 2.0},
        {"blur_voxels": -1.0},
        {"slice_mm": float("nan")},
        {"subdivision": 0},
        {"subdivision": 9},
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        Synthesis(**settings)


def test_pairs_of_scans_need_scans(maps, tmp_path):
    with pytest.raises(InputError, match="expected 1, as there are no pairs of scans"):
        run(maps, tmp_path, replace(CONFIG, synthesis=Synthesis(share=0.5)))
    scans = replace(CONFIG, synthesis=Synthesis(), objective=TrainConfig().objective)
    with pytest.raises(InputError, match=r"above 0, as some cases .* no scan of case0"):
        run(maps, tmp_path, scans)


def test_a_table_that_lacks_a_label_is_refused_before_the_first_step(maps, tmp_path):
    tissues = tmp_path / "tissues.csv"
    tissues.write_text(TISSUES.replace("2,2,2\n", ""))
    config = replace(CONFIG, synthesis=Synthesis(share=1.0, tissues=tissues))
    with pytest.raises(InputError, match="none for 2"):
        run(maps, tmp_path / "run", config)


def test_the_table_counts_and_not_its_place(maps, tmp_path):
    facts = []
    for name, text in (("a", TISSUES), ("b", TISSUES), ("c", TISSUES + "3,3,3\n")):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        config = replace(CONFIG, synthesis=Synthesis(share=1.0, tissues=path))
        facts.append(recipe_facts((), Recipe(PREPROCESSING, CASCADE, config)))
    assert facts[0] == facts[1] != facts[2]


def test_a_teacher_of_another_grid_is_refused_before_scans_are_read(maps, tmp_path):
    objective = replace(CONFIG.objective, end_point_error=1.0)
    synthesis = Synthesis(share=1.0, teacher="hippocampus")
    config = replace(CONFIG, synthesis=synthesis, objective=objective)
    cases = read_manifest(maps, may_lack_scans=True)
    gone = [replace(case, labels=tmp_path / "gone.nii.gz") for case in cases]
    with pytest.raises(InputError, match="teacher hippocampus: expected a model for"):
        train(gone, Recipe(PREPROCESSING, CASCADE, config), out=tmp_path / "run")


def test_the_weights_of_a_teacher_count_and_not_their_place(tmp_path):
    """A run is not resumed with other flows to learn, and a model names no folder."""
    objective = replace(CONFIG.objective, end_point_error=1.0)
    facts = []
    for folder, strength in (("a", 0.1), ("b", 0.1), ("c", 0.2)):
        (tmp_path / folder).mkdir()
        model = tiny_model("D", PREPROCESSING.shape, strength=strength)
        path = save_model(model, tmp_path / folder / "pupil.safetensors")
        synthesis = Synthesis(share=1.0, teacher=str(path))
        config = replace(CONFIG, synthesis=synthesis, objective=objective)
        facts.append(recipe_facts((), Recipe(PREPROCESSING, CASCADE, config)))
    assert facts[0] == facts[1] != facts[2]
    assert str(tmp_path) not in str(facts)


def test_a_shipped_teacher_is_stated_by_its_name():
    objective = replace(CONFIG.objective, end_point_error=1.0)
    synthesis = Synthesis(share=1.0, teacher="brain")
    config = replace(CONFIG, synthesis=synthesis, objective=objective)
    facts = recipe_facts((), Recipe(PREPROCESSING, CASCADE, config))
    assert facts["training"]["synthesis"]["teacher"] == "brain"


def test_a_cohort_of_label_maps_is_planned_and_its_plan_is_read_back(maps, tmp_path):
    found = measure_fingerprint(read_manifest(maps, may_lack_scans=True))
    assert found.without_scan == found.cases == 4
    decided, notes = plan(maps, found, has_gpu=False)
    assert decided.training.synthesis.share == 1
    assert decided.preprocessing.placement == "grid centre"
    assert "4 of 4 training cases" in notes["training.synthesis.share"]
    tissues = maps.parent / "tissues.csv"
    synthesis = replace(decided.training.synthesis, tissues=tissues)
    training = replace(decided.training, synthesis=synthesis)
    path = write_plan(replace(decided, training=training), tmp_path / "plan.toml")
    assert read_plan(path).training.synthesis.tissues == tissues.resolve()
