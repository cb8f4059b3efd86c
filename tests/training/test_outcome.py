"""The outcome of a training: the best step, and whether it beats doing nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.training import CONFIG, run, tensors_of
from voltween.errors import InputError
from voltween.training import Outcome, StageValidation, read_outcome


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


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"best.safetensors: expected a file"):
        read_outcome(tmp_path)
