"""Runs on blobs: what they learn, and that the same recipe gives the same weights."""

import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from support.scans import smooth_field
from support.training import (
    CASCADE,
    CONFIG,
    LAST,
    PREPROCESSING,
    SHARED,
    KilledError,
    assert_equal,
    die_at,
    run,
    tensors_of,
)
from voltween.baselines import TOOLS
from voltween.cohorts import read_manifest
from voltween.errors import InputError, TakeoverWarning
from voltween.models import load_model
from voltween.process import Used
from voltween.training import (
    RCN,
    SUPERVISED,
    Augmentation,
    Objective,
    Recipe,
    loop,
    train,
)
from voltween.training.objective import pair_losses

LEARNING = replace(
    CONFIG, steps=45, validate_every=45, learning_rate=3e-3, masked_share=0.0
)
STATE_4 = "state-00000004.safetensors"
LEARNER = replace(CASCADE, channels=4, flow_multiplier=10.0)


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


def start_script(arguments, *, code):
    """Another Python process that trains, as `run` does here."""
    tests = str(Path(__file__).parents[1])
    header = f"""
        import sys; sys.path.insert(0, {tests!r})
        import torch; torch.set_num_threads({torch.get_num_threads()})
        from dataclasses import replace
        from pathlib import Path
        from support.training import SHARED, run
    """
    script = textwrap.dedent(header) + textwrap.dedent(code)
    file = arguments[-1].with_suffix(".py")
    file.write_text(script)
    command = [sys.executable, *map(str, (file, *arguments))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_loss_falls_and_overlap_rises_on_phantoms(manifest, tmp_path):
    reports = []
    config = replace(
        LEARNING,
        validate_every=5,
        augmentation=Augmentation(displacement=0.03),
    )
    run(manifest, tmp_path, config, reports.append, network=LEARNER)
    similarity = [report.losses["dense 1 similarity"] for report in reports]
    assert np.mean(similarity[-10:]) < 0.6 * np.mean(similarity[:10])
    # After 5 steps nothing has moved yet: the overlap of the cases as they are.
    assert reports[-1].stages[-1].dice > reports[4].stages[-1].dice + 0.1


def test_adam_has_its_usual_numbers(manifest, tmp_path, monkeypatch):
    """Those of TensorFlow 1.4, which are those of PyTorch."""
    made = []

    class Watched(torch.optim.Adam):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    run(manifest, tmp_path, replace(CONFIG, steps=1))
    (optimizer,) = made
    assert optimizer.defaults["betas"] == (0.9, 0.999)
    assert optimizer.defaults["eps"] == 1e-8
    assert optimizer.defaults["weight_decay"] == 0
    assert not optimizer.defaults["amsgrad"]


def test_the_mean_of_the_weights_is_kept_and_comes_back(manifest, tmp_path):
    """Each step takes half of the mean, and the first all of it."""
    averaged = replace(CONFIG, steps=4, validate_every=1, kept_states=4)
    averaged = replace(averaged, averaged_steps=2, learning_rate=3e-3)
    run(manifest, tmp_path, averaged)
    mean = weights_after(tmp_path, 1)
    for step in (2, 3, 4):
        now = weights_after(tmp_path, step)
        mean = {name: (mean[name] + now[name]) / 2 for name in now}
    state = tensors_of(tmp_path / STATE_4)
    for name, expected in mean.items():
        kept = state[f"average.module.{name.removeprefix('network.')}"]
        assert torch.allclose(kept, expected, atol=1e-6)
        assert not torch.equal(kept, state[name])
    (tmp_path / STATE_4).unlink()
    run(manifest, tmp_path, averaged)  # goes on at step 3
    again = tensors_of(tmp_path / STATE_4)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_the_mean_is_the_model_that_is_validated(manifest, tmp_path):
    """With so long a mean, the first weights are what is kept at every step."""
    config = replace(CONFIG, steps=3, validate_every=1, kept_states=3)
    run(manifest, tmp_path, replace(config, averaged_steps=10**9, learning_rate=3e-3))
    first = weights_after(tmp_path, 1)
    best = load_model(tmp_path / "best.safetensors").network.state_dict()
    for name, value in best.items():
        expected = first[f"network.{name}"]
        assert torch.allclose(value, expected, rtol=2e-3, atol=1e-6)  # half precision


def test_no_second_training_in_one_folder(manifest, tmp_path):
    def start_another(report):
        before = (tmp_path / "log.csv").read_text("utf-8")
        with pytest.raises(InputError, match=r"without another training, got .* since"):
            run(manifest, tmp_path)
        assert (tmp_path / "log.csv").read_text("utf-8") == before

    run(manifest, tmp_path, replace(CONFIG, steps=1), start_another)


def test_one_seed_gives_one_result(manifest, whole, tmp_path):
    run(manifest, tmp_path)
    assert_equal(tmp_path / LAST, whole / LAST)


def test_resumed_run_equals_an_uninterrupted_one(manifest, whole, tmp_path):
    with pytest.raises(KilledError):
        run(manifest, tmp_path, on_step=die_at(3))  # not a step that was saved
    run(manifest, tmp_path)
    for file in (LAST, "best.safetensors"):
        assert_equal(tmp_path / file, whole / file)
    assert (tmp_path / "log.csv").read_text("utf-8") == (whole / "log.csv").read_text(
        "utf-8"
    )


def test_mutual_information_samples_anew_and_a_resumed_run_repeats(
    manifest, tmp_path, monkeypatch
):
    sampled = []

    def watched_losses(network, pairs, objective):
        sampled.append(pairs.seeds)
        return pair_losses(network, pairs, objective)

    monkeypatch.setattr(loop, "pair_losses", watched_losses)
    objective = Objective(last_similarity="mutual information")
    config = replace(CONFIG, steps=4, objective=objective)
    run(manifest, tmp_path / "whole", config)
    uninterrupted = sampled.copy()
    assert len(set(uninterrupted)) == 4
    sampled.clear()
    with pytest.raises(KilledError):
        run(manifest, tmp_path / "killed", config, on_step=die_at(3))
    run(manifest, tmp_path / "killed", config)
    assert sampled == uninterrupted[:3] + uninterrupted[2:]
    assert_equal(tmp_path / "killed" / STATE_4, tmp_path / "whole" / STATE_4)


def test_run_killed_from_outside_is_resumed(manifest, whole, tmp_path):
    process = start_script(
        [manifest, tmp_path / "killed"],
        code="""
        run(Path(sys.argv[1]), Path(sys.argv[2]),
            on_step=lambda report: print(report.step, flush=True))
        """,
    )
    for line in process.stdout:
        if int(line) >= 3:
            process.kill()
            break
    process.stdout.close()
    assert process.wait(timeout=60) < 0
    with pytest.warns(TakeoverWarning, match=f"process {process.pid} .* has ended"):
        run(manifest, tmp_path / "killed")
    assert_equal(tmp_path / "killed" / LAST, whole / LAST)


def test_finished_run_is_not_done_again(manifest, whole, monkeypatch):
    def not_again(*_):
        raise AssertionError("scans are read")

    monkeypatch.setattr(loop, "load_training_data", not_again)
    steps = []
    assert run(manifest, whole, on_step=steps.append) == whole / "best.safetensors"
    assert steps == []


def test_other_settings_are_not_mixed_into_a_run(manifest, whole):
    with pytest.raises(InputError, match=r"training.learning_rate 0.001, not 0.0005"):
        run(manifest, whole, replace(CONFIG, learning_rate=5e-4))


def test_loss_that_is_not_finite_stops_with_step_and_pair(
    manifest, tmp_path, monkeypatch
):
    def nan_losses(network, pairs, objective):
        flow = network(pairs.fixed, pairs.moving).flow
        return {"similarity": flow.mean() * torch.nan}

    monkeypatch.setattr(loop, "pair_losses", nan_losses)
    with pytest.raises(
        InputError, match=r"step 1 \(pairs case\d <- case\d.* a finite loss"
    ):
        run(manifest, tmp_path)


def test_weights_that_are_not_finite_are_never_saved(manifest, tmp_path, monkeypatch):
    def losses_without_slope(network, pairs, objective):
        flow = network(pairs.fixed, pairs.moving).flow
        return {"similarity": (flow * 0).sum().sqrt()}  # 0, of slope 0 * infinity

    monkeypatch.setattr(loop, "pair_losses", losses_without_slope)
    with pytest.raises(InputError, match=r"step 1 .* and finite weights"):
        run(manifest, tmp_path, replace(CONFIG, validate_every=1))
    assert list(tmp_path.glob("*.safetensors")) == []


def test_damaged_state_is_passed_over_for_the_one_before(manifest, whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / LAST).write_bytes((whole / LAST).read_bytes()[:1000])
    with pytest.warns(UserWarning, match="state-00000006.* skipped"):
        run(manifest, tmp_path)
    assert_equal(tmp_path / LAST, whole / LAST)


def test_best_model_knows_where_it_comes_from(whole):
    model = load_model(whole / "best.safetensors")
    assert model.network.config == CASCADE
    assert model.preprocessing == PREPROCESSING
    assert (model.provenance["train_scans"], model.provenance["val_scans"]) == (4, 2)
    assert model.provenance["training"]["steps"] == 6
    stages = model.provenance["validation_on_network_grid"]
    assert [stage["stage"] for stage in stages] == ["before", "affine", "dense 1"]
    assert 0 < stages[-1]["dice"] < 1


def test_recomputed_features_train_to_the_same_weights(manifest, whole, tmp_path):
    recomputed = run(manifest, tmp_path, replace(CONFIG, recompute_features=True))
    assert_equal(recomputed, whole / "best.safetensors")


def test_half_precision_trains_to_nearly_the_same_weights(manifest, tmp_path):
    folders = [tmp_path / name for name in ("plain", "half")]
    for folder, precision in zip(folders, ("fp32", "bf16"), strict=True):
        run(manifest, folder, replace(CONFIG, steps=4, precision=precision))
    plain, half = (weights_after(folder, 4) for folder in folders)
    assert all(value.dtype == torch.float32 for value in half.values())
    differences = [float((half[name] - plain[name]).abs().max()) for name in plain]
    assert 0 < max(differences) < 8 * CONFIG.learning_rate  # Adam: two rates a step


@pytest.fixture(scope="module", name="alone")
def alone_fixture(manifest, tmp_path_factory):
    """A run in which one device takes all four pairs of a step at once."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    run(manifest, folder, replace(SHARED, seed=1))
    return folder


def test_two_processes_train_to_the_weights_of_one(manifest, alone, tmp_path):
    """As many pairs per step; each of the two processes takes half of them."""
    two = tmp_path / "two"
    process = start_script(
        [manifest, two],
        code="""
        run(Path(sys.argv[1]), Path(sys.argv[2]), replace(SHARED, seed=1), devices=2)
        """,
    )
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert_close_for_training(alone, two, step=4)
    logs = [(run / "log.csv").read_text("utf-8").splitlines() for run in (alone, two)]
    for row, same in zip(*[log[1:] for log in logs], strict=True):
        values = [np.array(text.split(","), float) for text in (row, same)]
        np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-6)


def test_accumulated_gradients_train_to_the_same_weights(manifest, alone, tmp_path):
    run(manifest, tmp_path, replace(SHARED, seed=1, pairs_at_once=1))
    assert_close_for_training(alone, tmp_path, step=4)


def test_training_starts_from_a_model(manifest, whole, tmp_path):
    first = whole / "best.safetensors"
    config = replace(CONFIG, start_from=str(first), steps=1, learning_rate=1e-12)
    assert_equal(run(manifest, tmp_path / "again", config), first)
    recipe = Recipe(PREPROCESSING, replace(CASCADE, stages="ADD"), config)
    with pytest.raises(InputError, match=r"stages AD, not ADD.: give --fine-tune"):
        train(read_manifest(manifest), recipe, out=tmp_path / "other")


def test_training_starts_from_a_model_of_another_flow_multiplier(
    manifest, whole, tmp_path
):
    first = whole / "best.safetensors"
    network = replace(CASCADE, flow_multiplier=4 * CASCADE.flow_multiplier)
    config = replace(CONFIG, start_from=str(first), steps=1, learning_rate=1e-12)
    again = run(manifest, tmp_path, config, network=network)
    pair = torch.rand(
        2, 1, 1, *CASCADE.shape, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        flows = [load_model(file).network(*pair).flow for file in (first, again)]
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


def test_supervised_training_learns_what_ants_finds(manifest, tmp_path, monkeypatch):
    """ANTs is replaced by a tool that always finds one smooth field."""

    def find_field(fixed, moving, *, threads):
        return smooth_field(fixed.grid, 1, largest_voxels=2.0), Used()

    tool = SimpleNamespace(
        package="antspyx", check_installed=lambda: None, run=find_field
    )
    monkeypatch.setitem(TOOLS, "ants", tool)
    reports = []
    config = replace(LEARNING, objective=SUPERVISED, target_pairs=1)
    changes = {"cache": tmp_path / "cache", "network": LEARNER}
    run(manifest, tmp_path, config, reports.append, **changes)
    assert len(list((tmp_path / "cache" / "targets").glob("*.json"))) == 1
    errors = [report.losses["end-point error"] for report in reports]
    assert np.mean(errors[-10:]) < 0.85 * np.mean(errors[:10])


def test_a_network_learns_its_own_flows_refined_beside_images_and_labels(
    manifest, whole, tmp_path
):
    pupil = whole / "best.safetensors"
    config = replace(
        CONFIG,
        steps=2,
        target_pairs=2,
        start_from=str(pupil),
        teacher=f"{pupil}+fast",
        objective=Objective(end_point_error=0.1, overlap=(1.0,)),
    )
    reports = []
    run(manifest, tmp_path, config, reports.append, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "targets").glob("*.json"))) == 2
    terms = {"end-point error", "dense 1 similarity", "dense 1 overlap"}
    # Step 0 is the model that the training starts from.
    assert [report.step for report in reports] == [0, 1, 2]
    assert all(terms <= set(report.losses) for report in reports[1:])
    assert all(report.losses["end-point error"] > 0 for report in reports[1:])


def test_a_teacher_of_another_grid_is_refused_before_scans_are_read(manifest, tmp_path):
    objective = Objective(end_point_error=0.1)
    config = replace(CONFIG, teacher="hippocampus+fast", objective=objective)
    with pytest.raises(
        InputError, match=r"teacher hippocampus\+fast: expected a model"
    ):
        run(manifest, tmp_path, config, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_passes_of_a_repeated_subnetwork_are_stages_of_the_training(manifest, tmp_path):
    reports = []
    network = replace(CASCADE, repeats=2, padding="same-tf")
    config = replace(
        CONFIG, steps=2, objective=replace(RCN, dense_similarity=(1.0, 1.0))
    )
    run(manifest, tmp_path, config, reports.append, network=network)
    terms = reports[-1].losses
    passes = ["dense 1 pass 1", "dense 1 pass 2"]
    assert all(terms[f"{name} similarity"] > 0 for name in passes)
    assert all(terms[f"{name} total variation"] > 0 for name in passes)
    stages = [stage.stage for stage in reports[-1].stages]
    assert stages == ["before", "affine", *passes]
    model = load_model(tmp_path / "best.safetensors")
    assert model.network.config == network


def test_training_both_ways_reports_the_round_trip(manifest, tmp_path):
    reports = []
    objective = Objective(invertibility=0.01)
    config = replace(CONFIG, steps=2, objective=objective)
    run(manifest, tmp_path, config, reports.append)
    first, second = (report.losses["invertibility"] for report in reports)
    assert first == 0 < second  # the network starts with flows of 0


def test_weak_supervision_needs_labels_and_raises_the_overlap(manifest, tmp_path):
    reports = []
    config = replace(LEARNING, objective=Objective(overlap=(1.0, 0.5)))
    run(manifest, tmp_path / "run", config, reports.append, network=LEARNER)
    overlap = [report.losses["dense 1 overlap"] for report in reports]
    assert np.mean(overlap[-10:]) < np.mean(overlap[:10])
    cases = [replace(case, labels=None) for case in read_manifest(manifest)]
    with pytest.raises(InputError, match="labels of every training case"):
        train(cases, Recipe(PREPROCESSING, CASCADE, config), out=tmp_path / "none")
