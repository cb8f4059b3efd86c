"""The folder of a run: nothing half-written stays, whatever interrupts it."""

import csv
import json
import os
import shutil
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from support.training import CASCADE, CONFIG, LAST, PREPROCESSING, assert_equal, run
from voltween.errors import InputError, OutputError
from voltween.models import Model, load_model
from voltween.networks import build, config_facts
from voltween.storage import files
from voltween.training import StageValidation
from voltween.training.run_folder import Progress, RunFolder, environment

FACTS = {"training": {"steps": 6}}
STAGES = [
    StageValidation("before", 0.1, 0.2, 0.0),
    StageValidation("dense 1", 0.3, 0.4, 0.0),
]


@pytest.fixture(name="network")
def network_fixture():
    torch.manual_seed(0)
    return build(CASCADE)


@pytest.fixture(name="optimizer")
def optimizer_fixture(network):
    """An optimizer that has taken a step."""
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    adam.step()
    return adam


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


def break_replacing(monkeypatch):
    """Files are written, and then the disk is full."""

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)


class TestStates:
    def test_network_optimizer_and_progress_come_back(
        self, network, optimizer, tmp_path
    ):
        folder = RunFolder(tmp_path, FACTS, kept_states=2)
        progress = Progress(step=4, best=0.5, without_better=1)
        folder.save_state(network, optimizer, progress)
        torch.manual_seed(1)
        other = build(CASCADE)
        adam = torch.optim.Adam(other.parameters(), lr=1e-3)
        assert folder.resume(other, adam) == progress
        pairs = zip(network.parameters(), other.parameters(), strict=True)
        assert all(torch.equal(one, same) for one, same in pairs)
        states = (optimizer.state_dict()["state"], adam.state_dict()["state"])
        for index, state in states[0].items():
            for name, value in state.items():
                assert torch.equal(states[1][index][name], value)

    def test_an_empty_folder_is_the_start_of_a_run(self, network, optimizer, tmp_path):
        folder = RunFolder(tmp_path / "new", FACTS, kept_states=2)
        assert folder.resume(network, optimizer) == Progress(0, None, 0)

    def test_the_latest_are_kept(self, network, optimizer, tmp_path):
        folder = RunFolder(tmp_path, FACTS, kept_states=2)
        for step in (2, 4, 10, 12):
            folder.save_state(network, optimizer, Progress(step))
        assert names(folder) == [
            "state-00000010.safetensors",
            "state-00000012.safetensors",
        ]

    def test_a_state_that_cannot_be_written_leaves_nothing_and_the_old_ones(
        self, network, optimizer, tmp_path, monkeypatch
    ):
        folder = RunFolder(tmp_path, FACTS, kept_states=1)
        folder.save_state(network, optimizer, Progress(2))
        content = folder.states[0].read_bytes()
        break_replacing(monkeypatch)
        with pytest.raises(OutputError, match="No space left"):
            folder.save_state(network, optimizer, Progress(4))
        assert names(folder) == ["state-00000002.safetensors"]
        assert folder.states[0].read_bytes() == content

    def test_a_kill_while_writing_leaves_no_state_of_that_name(
        self, network, optimizer, tmp_path, monkeypatch
    ):
        folder = RunFolder(tmp_path, FACTS, kept_states=2)

        def kill(source, target):
            raise KeyboardInterrupt

        monkeypatch.setattr(files.os, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            folder.save_state(network, optimizer, Progress(2))
        assert names(folder) == []

    def test_what_a_hard_kill_left_half_written_is_no_state(
        self, network, optimizer, tmp_path
    ):
        folder = RunFolder(tmp_path, FACTS, kept_states=2)
        folder.save_state(network, optimizer, Progress(2))
        (tmp_path / ".abc.state-00000004.safetensors").write_bytes(b"half")
        assert [path.name for path in folder.states] == ["state-00000002.safetensors"]
        assert folder.resume(network, optimizer).step == 2

    def test_a_damaged_state_is_skipped_and_only_damaged_ones_are_refused(
        self, network, optimizer, tmp_path
    ):
        folder = RunFolder(tmp_path, FACTS, kept_states=3)
        for step in (2, 4):
            folder.save_state(network, optimizer, Progress(step))
        folder.states[1].write_bytes(folder.states[1].read_bytes()[:1000])
        with pytest.warns(UserWarning, match="state-00000004.* skipped"):
            assert folder.resume(network, optimizer).step == 2
        for state in folder.states:
            state.write_bytes(b"")
        with (
            pytest.warns(UserWarning, match="skipped"),
            pytest.raises(InputError, match="got damaged states only"),
        ):
            folder.resume(network, optimizer)

    def test_a_run_from_before_a_setting_existed_has_its_default(
        self, network, optimizer, tmp_path
    ):
        facts = {
            "training": asdict(CONFIG),
            "preprocessing": asdict(PREPROCESSING),
            **config_facts(CASCADE),
        }
        facts = json.loads(json.dumps(facts))
        old = json.loads(json.dumps(facts))
        del old["training"]["full_rate_epochs"], old["cascade"]["affine_levels"]
        del old["preprocessing"]["axes"]
        RunFolder(tmp_path, old, 2).save_state(network, optimizer, Progress(step=4))
        assert RunFolder(tmp_path, facts, 2).resume(network, optimizer).step == 4
        changed = facts | {"training": facts["training"] | {"full_rate_epochs": 3}}
        with pytest.raises(InputError, match="full_rate_epochs 4, not 3"):
            RunFolder(tmp_path, changed, 2).resume(network, optimizer)

    def test_a_run_of_another_recipe_is_refused(self, network, optimizer, tmp_path):
        RunFolder(tmp_path, FACTS, 2).save_state(network, optimizer, Progress(2))
        other = RunFolder(tmp_path, {"training": {"steps": 7}}, 2)
        with pytest.raises(InputError, match="steps 6, not 7"):
            other.resume(network, optimizer)

    def test_a_run_that_states_no_training_is_refused(
        self, network, optimizer, tmp_path
    ):
        RunFolder(tmp_path, {"steps": 6}, 2).save_state(network, optimizer, Progress(2))
        with pytest.raises(InputError, match="a run of the same recipe"):
            RunFolder(tmp_path, FACTS, 2).resume(network, optimizer)


class TestBestModel:
    def test_a_better_one_that_cannot_be_written_leaves_the_old_one(
        self, network, tmp_path, monkeypatch
    ):
        folder = RunFolder(tmp_path, FACTS, kept_states=1)
        folder.save_best(Model("best", network, PREPROCESSING, {"steps": 2}))
        break_replacing(monkeypatch)
        with pytest.raises(OutputError, match="No space left"):
            folder.save_best(Model("best", network, PREPROCESSING, {"steps": 4}))
        assert names(folder) == ["best.safetensors"]
        assert load_model(folder.best).provenance == FACTS | {"steps": 2}


class TestTables:
    def log(self, folder, steps):
        for step in steps:
            folder.log_losses(step, {"a": 1.0 / step, "b": 2.0})
        folder.log_validation(steps[-1], STAGES)

    def test_rows_of_steps_to_be_taken_again_are_cut(self, tmp_path):
        folder = RunFolder(tmp_path, FACTS, kept_states=1)
        self.log(folder, [1, 2])
        before = (tmp_path / "log.csv").read_text("utf-8")
        self.log(folder, [3, 4])
        with (tmp_path / "log.csv").open("a") as file:
            file.write("2")  # a row cut short by a kill
        folder.begin(Progress(step=2), environment())
        assert (tmp_path / "log.csv").read_text("utf-8") == before
        with (tmp_path / "validation.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["step"], row["stage"]) for row in rows] == [
            ("2", "before"),
            ("2", "dense 1"),
        ]

    def test_a_new_run_begins_with_new_tables(self, tmp_path):
        folder = RunFolder(tmp_path, FACTS, kept_states=1)
        self.log(folder, [1, 2])
        folder.begin(Progress(), environment())
        assert names(folder) == ["recipe.json"]

    def test_a_table_that_cannot_be_cut_stays_whole(self, tmp_path, monkeypatch):
        folder = RunFolder(tmp_path, FACTS, kept_states=1)
        self.log(folder, [1, 2, 3])
        before = (tmp_path / "log.csv").read_text("utf-8")
        break_replacing(monkeypatch)
        with pytest.raises(OutputError, match="No space left"):
            folder.begin(Progress(step=2), environment())
        assert names(folder) == ["log.csv", "validation.csv"]
        assert (tmp_path / "log.csv").read_text("utf-8") == before


class TestRun:
    def test_leaves_logs_and_pictures(self, whole):
        rows = (whole / "validation.csv").read_text("utf-8").splitlines()
        assert [row.split(",")[:2] for row in rows[1:4]] == [
            ["2", stage] for stage in ("before", "affine", "dense 1")
        ]
        facts = json.loads((whole / "recipe.json").read_text("utf-8"))
        assert facts["recipe"]["training"]["seed"] == 0
        assert facts["environment"]["versions"]["torch"] == version("torch")
        (events,) = (whole / "tensorboard").iterdir()
        for name in (b"loss/affine_similarity", b"validation_dice/affine", b"tweening"):
            assert name in events.read_bytes()
        for name in ("progress.png", "tweening.png"):
            with Picture.open(whole / name) as picture:
                assert len(np.unique(np.asarray(picture.convert("L")))) > 20

    def test_leaves_nothing_half_written(self, whole):
        assert sorted(path.name for path in whole.iterdir()) == [
            "best.safetensors",
            "log.csv",
            "progress.png",
            "recipe.json",
            "state-00000004.safetensors",
            LAST,
            "tensorboard",
            "tweening.png",
            "validation.csv",
        ]

    def test_a_folder_written_before_is_resumed(self, manifest, whole, tmp_path):
        """States lie beside each other by step; the recipe decides whether they fit."""
        shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
        os.remove(tmp_path / LAST)
        run(manifest, tmp_path)
        assert_equal(tmp_path / LAST, whole / LAST)
