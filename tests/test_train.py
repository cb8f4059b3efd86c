import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from phantoms import write_cohort
from voltween import train as training
from voltween.augment import Augmentation
from voltween.checkpoint import load_model, read_tensors
from voltween.data import read_manifest
from voltween.errors import InputError
from voltween.networks import CascadeConfig
from voltween.objective import Objective
from voltween.preprocess import Preprocessing
from voltween.train import TrainConfig, learning_rate, train

CASCADE = CascadeConfig("AD", (16, 16, 16), 4)
PREPROCESSING = Preprocessing((16, 16, 16), (2.5, 2.5, 2.5))
CONFIG = TrainConfig(
    steps=12, validate_every=4, learning_rate=1e-3, validation_pairs=2, masked_share=0.5
)


def run(manifest, out, config=CONFIG, on_step=lambda report: None):
    return train(
        read_manifest(manifest),
        cascade=CASCADE,
        preprocessing=PREPROCESSING,
        config=config,
        out=out,
        on_step=on_step,
    )


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


def tensors_of(path):
    return read_tensors(path)[0]


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_loss_falls_and_overlap_rises_on_phantoms(manifest, tmp_path):
    reports = []
    config = TrainConfig(
        steps=60,
        learning_rate=2e-3,
        validate_every=10,
        augmentation=Augmentation(displacement=0.03),
    )
    run(manifest, tmp_path, config, reports.append)
    similarity = [report.losses["dense 1 similarity"] for report in reports]
    assert np.mean(similarity[-10:]) < 0.6 * np.mean(similarity[:10])
    # After 10 steps nothing has moved yet: the overlap of the cases as they are.
    assert reports[-1].validation_dice > reports[9].validation_dice + 0.1


def test_one_seed_gives_one_result(manifest, tmp_path):
    for name in ("a", "b"):
        run(manifest, tmp_path / name)
    one, other = (tensors_of(tmp_path / name / "last.safetensors") for name in "ab")
    assert_equal(one, other)


def test_resumed_run_equals_an_uninterrupted_one(manifest, tmp_path):
    run(manifest, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def die(report):
        if report.step == 7:  # not a step that was saved
            raise KilledError

    with pytest.raises(KilledError):
        run(manifest, tmp_path / "killed", on_step=die)
    run(manifest, tmp_path / "killed")
    for name in ("last", "best"):
        file = f"{name}.safetensors"
        assert_equal(
            tensors_of(tmp_path / "whole" / file),
            tensors_of(tmp_path / "killed" / file),
        )
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]


def test_run_killed_from_outside_is_resumed(manifest, tmp_path):
    script = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
        from pathlib import Path
        from test_train import run
        run(Path({str(manifest)!r}), Path({str(tmp_path / "killed")!r}),
            on_step=lambda report: print(report.step, flush=True))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) >= 6:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait(timeout=60) == -signal.SIGKILL
    run(manifest, tmp_path / "killed")
    run(manifest, tmp_path / "whole")
    last = [
        tensors_of(tmp_path / name / "last.safetensors") for name in ("whole", "killed")
    ]
    assert_equal(*last)


def test_finished_run_is_not_done_again(manifest, tmp_path):
    run(manifest, tmp_path)
    steps = []
    start = time.perf_counter()
    run(manifest, tmp_path, on_step=steps.append)
    assert steps == []
    assert time.perf_counter() - start < 5


def test_other_settings_are_not_mixed_into_a_run(manifest, tmp_path):
    run(manifest, tmp_path)
    with pytest.raises(InputError, match=r"other settings \(training\)"):
        run(manifest, tmp_path, TrainConfig(steps=12, learning_rate=5e-4))


def test_loss_that_is_not_finite_stops_with_step_and_pair(
    manifest, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "total_loss", lambda terms: torch.tensor(torch.nan))
    with pytest.raises(
        InputError, match=r"not finite at step 1 \(pairs case\d <- case\d"
    ):
        run(manifest, tmp_path)


def test_best_model_knows_where_it_comes_from(manifest, tmp_path):
    model = load_model(run(manifest, tmp_path))
    assert model.network.config == CASCADE
    assert model.preprocessing == PREPROCESSING
    assert model.provenance["train_cases"] == [f"case{n}" for n in range(4)]
    assert model.provenance["training"]["steps"] == 12
    assert 0 < model.provenance["validation_dice_on_network_grid"] < 1


def test_learning_rate_is_halved_after_four_of_five_epochs():
    config = TrainConfig(steps=100, learning_rate=1e-4)
    assert learning_rate(1, config) == learning_rate(80, config) == 1e-4
    assert learning_rate(81, config) == learning_rate(100, config) == 0.5e-4


def test_recomputed_features_train_to_the_same_weights(manifest, tmp_path):
    plain = run(manifest, tmp_path / "plain", replace(CONFIG, steps=4))
    config = replace(CONFIG, steps=4, recompute_features=True)
    recomputed = run(manifest, tmp_path / "recomputed", config)
    assert_equal(tensors_of(recomputed), tensors_of(plain))


def test_half_precision_trains_to_nearly_the_same_weights(manifest, tmp_path):
    plain = tensors_of(run(manifest, tmp_path / "plain", replace(CONFIG, steps=4)))
    config = replace(CONFIG, steps=4, precision="bf16")
    half = tensors_of(run(manifest, tmp_path / "half", config))
    assert all(value.dtype == torch.float32 for value in half.values())
    differences = [float((half[name] - plain[name]).abs().max()) for name in plain]
    assert 0 < max(differences) < 8 * CONFIG.learning_rate  # Adam: two rates a step


def test_training_both_ways_reports_the_round_trip(manifest, tmp_path):
    reports = []
    objective = Objective(invertibility=0.01)
    config = replace(CONFIG, steps=2, validate_every=2, objective=objective)
    run(manifest, tmp_path / "run", config, reports.append)
    assert all("invertibility" in report.losses for report in reports)


def test_weak_supervision_needs_labels_and_raises_the_overlap(manifest, tmp_path):
    reports = []
    config = replace(
        CONFIG, steps=60, learning_rate=2e-3, objective=Objective(overlap=(1.0, 0.5))
    )
    run(manifest, tmp_path / "run", config, reports.append)
    overlap = [report.losses["dense 1 overlap"] for report in reports]
    assert np.mean(overlap[-10:]) < np.mean(overlap[:10])
    cases = [replace(case, labels=None) for case in read_manifest(manifest)]
    with pytest.raises(InputError, match="labels of every training case"):
        train(
            cases,
            cascade=CASCADE,
            preprocessing=PREPROCESSING,
            config=config,
            out=tmp_path / "none",
        )
