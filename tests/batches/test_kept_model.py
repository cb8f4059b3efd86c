"""Models that a process keeps: one per file, precision and device."""

import os

import pytest
import torch

from support.commands import run_here, write_pair
from support.scans import tiny_model
from voltween.batches import Companions, PairJob, RegistrationOptions
from voltween.batches.kept_model import kept_model
from voltween.batches.layout import FolderLayout
from voltween.batches.work import Work
from voltween.errors import InputError
from voltween.models import save_model

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture(name="path")
def path_fixture(tmp_path):
    return save_model(tiny_model(), tmp_path / "tiny.safetensors")


def test_a_model_is_loaded_once(path):
    assert kept_model(path, precision="fp32") is kept_model(path, precision="fp32")


@pytest.mark.parametrize("is_named", [True, False])
def test_a_model_that_was_trained_again_is_loaded_again(is_named, path, monkeypatch):
    monkeypatch.setenv("VOLTWEEN_MODELS", str(path.parent))
    model = "tiny" if is_named else path
    first = kept_model(model, precision="fp32")
    save_model(tiny_model(strength=0.3), path)
    os.utime(path, (0, path.stat().st_mtime + 10))
    again = kept_model(model, precision="fp32")
    weights = (m.network.state_dict() for m in (first, again))
    assert any(
        not torch.equal(a, b)
        for a, b in zip(*(w.values() for w in weights), strict=True)
    )


def test_auto_takes_a_gpu_if_there_is_one(path):
    model = kept_model(path, precision="fp32", device="auto")
    assert model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@without_gpu
def test_a_device_that_is_not_there_is_refused(path, tmp_path, capsys):
    with pytest.raises(InputError, match="device 'cuda': expected a device"):
        kept_model(path, precision="fp32", device="cuda")
    folder = write_pair(tmp_path)
    scans = [folder / "fixed.nii.gz", folder / "moving.nrrd", "--out", folder / "o"]
    assert run_here("register", *scans, "--model", path, "--device", "cuda") == 2
    assert "device 'cuda'" in capsys.readouterr().err


def test_results_on_the_cpu_are_found_again_without_a_device(tmp_path):
    """Records of cohorts from before there was the option hold no device."""

    def options(device):
        job = PairJob(
            tmp_path / "a",
            tmp_path / "b",
            Companions(),
            RegistrationOptions(model="none", device=device),
        )
        work = Work("pair", "a", "b", job, FolderLayout("pair"))
        return work.facts()["options"]

    assert "device" not in options("cpu")
    assert options("cuda")["device"] == "cuda"
