"""The outcome of a training: the best step, and whether it beats doing nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.training import (
    CONFIG,
    KilledError,
    assert_equal,
    die_at,
    run,
    tensors_of,
)
from voltween.errors import InputError
from voltween.training import Outcome, StageValidation, read_outcome
from voltween.training.validation import INVERTED


def stages(*dice, correlation=0.5):
    """Validations before and after each stage."""
    return tuple(
        StageValidation(f"stage {n}", value, correlation + n / 10, 0.0)
        for n, value in enumerate(dice)
    )


OUTCOME = Outcome(Path("best"), 30, 40, 50, stages(0.25, 0.5, 0.75))


class TestSentences:
    def test_name_step_figures_and_verdict(self):
        step, figures, verdict = OUTCOME.sentences
        assert (
            step == "The best model is best, of step 30 of 40. 50 steps were planned."
        )
        assert "Dice of `val` pairs" in figures
        assert "0.250 before registration, 0.750 after it." in figures
        assert verdict == "The model is better than doing nothing."

    @pytest.mark.parametrize(
        ("validations", "words"),
        [(1, "1 validation found"), (3, "3 validations in a row found")],
    )
    def test_say_that_patience_ran_out_and_how_to_go_on(self, validations, words):
        early = replace(OUTCOME, patience=validations, without_better=validations)
        assert early.stopped_early
        text = early.sentences[0]
        assert "of step 30 of 40. Training stopped early, before step 50: " in text
        assert f"{words} no better model (patience {validations})" in text
        assert "To go on after step 40, repeat the command with a higher" in text
        assert f"--patience, such as {2 * validations}." in text

    @pytest.mark.parametrize(
        "changes",
        [
            {"patience": None, "without_better": 9},
            {"patience": 5, "without_better": 4},
            {"patience": 1, "without_better": 1, "last_step": 50},
        ],
    )
    def test_say_nothing_of_patience_that_was_left(self, changes):
        outcome = replace(OUTCOME, **changes)
        assert not outcome.stopped_early
        assert "early" not in outcome.sentences[0]

    def test_say_so_if_nothing_is_better(self):
        outcome = replace(OUTCOME, stages=stages(0.75, 0.9, 0.7))
        assert outcome.is_better_than_nothing is False
        assert outcome.sentences[-1] == "The model is NOT better than doing nothing."

    def test_name_the_model_that_training_started_from(self):
        outcome = replace(OUTCOME, start=stages(0.25, 0.375))
        assert (
            "; 0.375 by the model that training started from." in outcome.sentences[1]
        )
        kept = replace(outcome, best_step=0)
        assert "no step was better than the model" in kept.sentences[-1]

    def test_without_labels_the_correlation_decides(self):
        outcome = replace(OUTCOME, stages=stages(None, None))
        assert outcome.is_better_than_nothing is True
        assert "correlation of `val` pairs" in outcome.sentences[1]
        assert "0.500 before registration, 0.600 after" in outcome.sentences[1]

    def test_inverted_scans_are_compared_with_inverted_scans(self):
        """Their correlation is below 0 before, where that of the others is above."""
        figures = {"before": (0.5, -0.5), "affine": (0.6, -0.2)}
        both = tuple(
            StageValidation(name + end, None, values[n], 0.0)
            for n, end in enumerate(("", INVERTED))
            for name, values in figures.items()
        )
        outcome = replace(OUTCOME, stages=both)
        assert outcome.is_better_than_nothing is True
        assert "0.000 before registration, 0.200 after" in outcome.sentences[1]

    def test_without_pairs_nothing_is_claimed(self):
        outcome = replace(OUTCOME, stages=())
        assert outcome.is_better_than_nothing is None
        assert "nothing was measured" in outcome.sentences[1]
        assert "not known" in outcome.sentences[2]


def test_is_read_from_the_folder_of_a_run(whole):
    outcome = read_outcome(whole)
    assert outcome.last_step == outcome.planned_steps == CONFIG.steps
    assert outcome.best_step in (2, 4, 6)
    assert [stage.stage for stage in outcome.stages] == ["before", "affine", "dense 1"]
    assert outcome.start == ()


def test_a_fine_tuning_never_ends_worse_than_it_began(manifest, whole, tmp_path):
    """Steps that ruin the weights leave the model that training started from."""
    first = whole / "best.safetensors"
    config = replace(CONFIG, steps=1, start_from=str(first), learning_rate=0.1)
    reports = []
    best = run(manifest, tmp_path, config, reports.append)
    outcome = read_outcome(tmp_path)
    assert outcome.best_step == 0
    assert outcome.last_step == 1
    assert outcome.start[-1].dice == pytest.approx(outcome.stages[-1].dice)
    before, after = tensors_of(first), tensors_of(best)
    assert all((before[name] == after[name]).all() for name in before)
    assert [report.step for report in reports] == [0, 1]
    assert reports[0].losses == {}


@pytest.mark.parametrize("step", [0, 1])
def test_a_fine_tuning_killed_before_its_first_validation_has_all_of_its_patience(
    step, manifest, whole, tmp_path
):
    """The model that it starts from is validated again, and is still the best."""
    start = str(whole / "best.safetensors")
    config = replace(CONFIG, start_from=start, validate_every=3, patience=2)
    config = replace(config, learning_rate=1e-12)
    run(manifest, tmp_path / "whole", config)
    killed = tmp_path / "killed"
    with pytest.raises(KilledError):
        run(manifest, killed, config, die_at(step))
    run(manifest, killed, config)
    last = read_outcome(tmp_path / "whole").last_step
    for file in (f"state-{last:08d}.safetensors", "best.safetensors"):
        assert_equal(killed / file, tmp_path / "whole" / file)
    assert read_outcome(killed).last_step == last
    tables = [f / "validation.csv" for f in (killed, tmp_path / "whole")]
    assert tables[0].read_text("utf-8") == tables[1].read_text("utf-8")


def test_a_run_out_of_patience_says_so_and_goes_on_with_more(manifest, tmp_path):
    """Steps of no size: no validation is better than the first."""
    config = replace(CONFIG, steps=8, validate_every=1, learning_rate=1e-12, patience=2)
    run(manifest, tmp_path, config)
    outcome = read_outcome(tmp_path)
    assert (outcome.last_step, outcome.without_better) == (3, 2)
    assert "2 validations in a row" in outcome.sentences[0]
    best = run(manifest, tmp_path, replace(config, patience=4))
    outcome = read_outcome(tmp_path)
    assert (outcome.last_step, outcome.without_better) == (5, 4)
    assert "(patience 4)" in outcome.sentences[0]
    whole = run(manifest, tmp_path / "whole", replace(config, patience=4))
    assert read_outcome(tmp_path / "whole").last_step == 5
    assert_equal(best, whole)
    last = "state-00000005.safetensors"
    assert_equal(tmp_path / last, tmp_path / "whole" / last)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"best.safetensors: expected a file"):
        read_outcome(tmp_path)
