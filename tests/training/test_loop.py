import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from support.cohorts import write_cohort
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.models import load_model, read_tensors
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.training import (
    SUPERVISED,
    Augmentation,
    Hardware,
    Objective,
    Recipe,
    TrainConfig,
    train,
)
from voltween.training import loop as training
from voltween.training.recipe import learning_rate

CASCADE = CascadeConfig("AD", (16, 16, 16), 4)
PREPROCESSING = Preprocessing((16, 16, 16), (2.5, 2.5, 2.5))
CONFIG = TrainConfig(
    steps=12, validate_every=4, learning_rate=1e-3, validation_pairs=2, masked_share=0.5
)


SHARED = replace(CONFIG, steps=4, pairs_per_step=4, validate_every=1, kept_states=4)


def run(manifest, out, config=CONFIG, on_step=lambda report: None, devices=1):
    return train(
        read_manifest(manifest),
        Recipe(PREPROCESSING, CASCADE, config),
        out=out,
        hardware=Hardware("cpu", devices=devices),
        on_step=on_step,
    )


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


LAST = f"state-{CONFIG.steps:08d}.safetensors"


def tensors_of(path):
    return read_tensors(path)[0]


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def weights_after(folder, step):
    """Weights in single precision."""
    tensors = tensors_of(folder / f"state-{step:08d}.safetensors")
    return {n: value for n, value in tensors.items() if n.startswith("network.")}


def assert_close_for_training(folder, other_folder, step):
    """Equal up to rounding: a thousandth of what was learnt after the first step."""
    one, other = (weights_after(path, step) for path in (folder, other_folder))
    initial = weights_after(folder, 1)
    assert one.keys() == other.keys()
    for name in one:
        learnt = (one[name] - initial[name]).norm()
        assert learnt > 0
        assert (one[name] - other[name]).norm() < 1e-3 * learnt, name


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
    assert reports[-1].stages[-1].dice > reports[9].stages[-1].dice + 0.1


def test_one_seed_gives_one_result(manifest, tmp_path):
    for name in ("a", "b"):
        run(manifest, tmp_path / name)
    one, other = (tensors_of(tmp_path / name / LAST) for name in "ab")
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
    for file in (LAST, "best.safetensors"):
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
        import torch; torch.set_num_threads({torch.get_num_threads()})
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
    last = [tensors_of(tmp_path / name / LAST) for name in ("whole", "killed")]
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
    def nan_losses(network, pairs, objective):
        flow = network(pairs.fixed, pairs.moving).flow
        return {"similarity": flow.mean() * torch.nan}

    monkeypatch.setattr(training, "pair_losses", nan_losses)
    with pytest.raises(
        InputError, match=r"not finite at step 1 \(pairs case\d <- case\d"
    ):
        run(manifest, tmp_path)


def test_weights_that_are_not_finite_are_never_saved(manifest, tmp_path, monkeypatch):
    def losses_without_slope(network, pairs, objective):
        flow = network(pairs.fixed, pairs.moving).flow
        return {"similarity": (flow * 0).sum().sqrt()}  # 0, of slope 0 * infinity

    monkeypatch.setattr(training, "pair_losses", losses_without_slope)
    with pytest.raises(InputError, match="a weight is not finite at step 1"):
        run(manifest, tmp_path, replace(CONFIG, validate_every=1))
    assert list(tmp_path.glob("*.safetensors")) == []


def test_damaged_state_is_passed_over_for_the_one_before(manifest, tmp_path):
    run(manifest, tmp_path)
    # Copies: what was read is mapped, and the file is about to be cut.
    expected = {n: value.clone() for n, value in tensors_of(tmp_path / LAST).items()}
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:1000])
    with pytest.warns(UserWarning, match="state-00000012.* passed over"):
        run(manifest, tmp_path)
    assert_equal(tensors_of(tmp_path / LAST), expected)
    for state in tmp_path.glob("state-*"):
        state.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="passed over"),
        pytest.raises(InputError, match="all states to resume from are damaged"),
    ):
        run(manifest, tmp_path)


def test_best_model_knows_where_it_comes_from(manifest, tmp_path):
    model = load_model(run(manifest, tmp_path))
    assert model.network.config == CASCADE
    assert model.preprocessing == PREPROCESSING
    assert model.provenance["train_cases"] == [f"case{n}" for n in range(4)]
    assert model.provenance["training"]["steps"] == 12
    stages = model.provenance["validation_on_network_grid"]
    assert [stage["stage"] for stage in stages] == ["before", "affine", "dense 1"]
    assert 0 < stages[-1]["dice"] < 1


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


def test_two_processes_train_to_the_weights_of_one(manifest, tmp_path):
    """As many pairs a step; two processes take half of them each."""
    config = replace(SHARED, seed=1)
    run(manifest, tmp_path / "alone", config)
    script = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        import torch; torch.set_num_threads({torch.get_num_threads()})
        from test_train import *
        run({str(manifest)!r}, Path(sys.argv[1]),
            replace(SHARED, seed=1), devices=2)
        """
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "two")]
    subprocess.run(command, check=True, timeout=300)
    assert_close_for_training(tmp_path / "alone", tmp_path / "two", step=4)
    logs = [
        (tmp_path / n / "log.csv").read_text().splitlines() for n in ("alone", "two")
    ]
    for row, same in zip(*[log[1:] for log in logs], strict=True):
        values = [np.array(text.split(","), float) for text in (row, same)]
        np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-6)


def test_accumulated_gradients_train_to_the_same_weights(manifest, tmp_path):
    run(manifest, tmp_path / "whole", SHARED)
    run(manifest, tmp_path / "parts", replace(SHARED, pairs_at_once=1))
    assert_close_for_training(tmp_path / "whole", tmp_path / "parts", step=4)


def test_training_starts_from_a_model(manifest, tmp_path):
    first = run(manifest, tmp_path / "first")
    config = replace(CONFIG, start_from=str(first), steps=1, learning_rate=1e-12)
    again = run(manifest, tmp_path / "again", config)
    assert_equal(tensors_of(again), tensors_of(first))
    recipe = Recipe(PREPROCESSING, replace(CASCADE, stages="ADD"), config)
    with pytest.raises(InputError, match="expected a model of"):
        train(read_manifest(manifest), recipe, out=tmp_path / "other")


def test_training_starts_from_a_model_of_another_flow_multiplier(manifest, tmp_path):
    first = run(manifest, tmp_path / "first")
    network = replace(CASCADE, flow_multiplier=4 * CASCADE.flow_multiplier)
    config = replace(CONFIG, start_from=str(first), steps=1, learning_rate=1e-12)
    recipe = Recipe(PREPROCESSING, network, config)
    again = train(read_manifest(manifest), recipe, out=tmp_path / "again")
    pair = torch.rand(
        2, 1, 1, *CASCADE.shape, generator=torch.Generator().manual_seed(0)
    )
    flows = []
    for file in (first, again):
        with torch.no_grad():
            flows.append(load_model(file).network(*pair).flow)
    assert flows[0].abs().max() > 0
    torch.testing.assert_close(*flows, rtol=5e-3, atol=5e-4)


def test_patience_ends_a_run_that_gets_no_better(manifest, tmp_path):
    config = replace(
        CONFIG, steps=40, validate_every=2, learning_rate=1e-12, patience=2
    )
    reports = []
    run(manifest, tmp_path, config, reports.append)
    assert [report.step for report in reports if report.stages] == [2, 4, 6]
    run(manifest, tmp_path, config, reports.append)  # does not go on
    assert len(reports) == 6


def test_the_latest_states_are_kept(manifest, tmp_path):
    run(manifest, tmp_path, replace(CONFIG, kept_states=2))
    names = sorted(path.name for path in tmp_path.glob("state-*"))
    assert names == ["state-00000008.safetensors", "state-00000012.safetensors"]


def test_a_run_leaves_logs_and_pictures(manifest, tmp_path):
    run(manifest, tmp_path, replace(CONFIG, steps=4))
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [
        ["4", stage] for stage in ("before", "affine", "dense 1")
    ]
    facts = json.loads((tmp_path / "recipe.json").read_text())
    assert facts["recipe"]["training"]["seed"] == 0
    assert facts["environment"]["versions"]["torch"] == version("torch")
    (events,) = (tmp_path / "tensorboard").iterdir()
    for name in (b"loss/affine_similarity", b"validation_dice/affine", b"tweening"):
        assert name in events.read_bytes()
    for name in ("progress.png", "tweening.png"):
        with Picture.open(tmp_path / name) as picture:
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_supervised_training_learns_what_ants_finds(manifest, tmp_path):
    pytest.importorskip("ants", reason="antspyx is not installed")
    reports = []
    config = replace(
        CONFIG,
        steps=60,
        validate_every=60,
        learning_rate=2e-3,
        objective=SUPERVISED,
        target_pairs=2,
    )
    run(manifest, tmp_path, config, reports.append)
    assert len(list((tmp_path / "cache" / "targets").iterdir())) == 2
    errors = [report.losses["end-point error"] for report in reports]
    assert np.mean(errors[-10:]) < 0.85 * np.mean(errors[:10])


def test_a_network_learns_its_own_flows_polished_beside_images_and_labels(
    manifest, tmp_path
):
    pupil = run(manifest, tmp_path / "pupil", replace(CONFIG, steps=4))
    config = replace(
        CONFIG,
        steps=4,
        target_pairs=2,
        start_from=str(pupil),
        teacher=f"{pupil}+fast",
        objective=Objective(end_point_error=0.1, overlap=(1.0,)),
    )
    reports = []
    run(manifest, tmp_path / "taught", config, reports.append)
    assert len(list((tmp_path / "taught" / "cache" / "targets").iterdir())) == 2
    terms = {"end-point error", "dense 1 similarity", "dense 1 overlap"}
    assert all(terms <= set(report.losses) for report in reports)
    assert all(report.losses["end-point error"] > 0 for report in reports)


def test_a_teacher_of_another_grid_is_refused_before_scans_are_read(manifest, tmp_path):
    objective = Objective(end_point_error=0.1)
    config = replace(CONFIG, teacher="hippocampus+fast", objective=objective)
    with pytest.raises(
        InputError, match=r"teacher hippocampus\+fast: expected a model"
    ):
        run(manifest, tmp_path, config)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("teacher", ["hippocampus", "ANTs", "brain+slow", ""])
def test_other_teachers_are_refused(teacher):
    with pytest.raises(
        InputError, match='teacher must be "ants", or a model that ends'
    ):
        replace(CONFIG, teacher=teacher)


def test_a_teacher_whose_flows_have_no_weight_is_refused():
    config = replace(CONFIG, teacher="hippocampus+fast")
    with pytest.raises(InputError, match="its flows need a weight"):
        Recipe(PREPROCESSING, CASCADE, config)


def test_training_both_ways_reports_the_round_trip(manifest, tmp_path):
    reports = []
    objective = Objective(invertibility=0.01)
    config = replace(CONFIG, steps=2, validate_every=2, objective=objective)
    run(manifest, tmp_path / "run", config, reports.append)
    assert all("invertibility" in report.losses for report in reports)


def test_weak_supervision_needs_labels_and_raises_the_overlap(manifest, tmp_path):
    reports = []
    config = replace(
        CONFIG,
        steps=60,
        validate_every=60,
        learning_rate=2e-3,
        objective=Objective(overlap=(1.0, 0.5)),
    )
    run(manifest, tmp_path / "run", config, reports.append)
    overlap = [report.losses["dense 1 overlap"] for report in reports]
    assert np.mean(overlap[-10:]) < np.mean(overlap[:10])
    cases = [replace(case, labels=None) for case in read_manifest(manifest)]
    with pytest.raises(InputError, match="labels of every training case"):
        train(cases, Recipe(PREPROCESSING, CASCADE, config), out=tmp_path / "none")
