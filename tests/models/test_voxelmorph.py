"""Models whose network is VoxelMorph-2, on disk and in use."""

from dataclasses import replace

import pytest
import torch

from support.voxelmorph import CUBE, pair, some_model
from voltween.errors import InputError
from voltween.models import load_model, save_model
from voltween.models.model import describe
from voltween.process import running

pytest.importorskip("voxelmorph", reason="needs the extra `baselines`")


def test_it_comes_back_whole(tmp_path):
    model = some_model()
    path = save_model(model, tmp_path / "mine.safetensors", is_half=False)
    back = load_model(path)
    assert back.network.config == model.network.config
    with torch.no_grad():
        expected, found = (m.network(*pair(CUBE)).flow for m in (model, back))
    assert torch.equal(expected, found)


def test_files_say_which_network_is_in_them():
    kinds = describe(some_model()).keys()
    assert kinds == {"voxelmorph-2", "preprocessing", "provenance", "fingerprint"}


def test_half_precision_hardly_moves_the_flow():
    model = some_model()
    images = pair(CUBE)
    full, half = (
        replace(model, precision=p).registrar(*images).flow for p in ("fp32", "bf16")
    )
    with torch.no_grad():
        assert torch.equal(full, model.network(*images).flow)
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().max() < 0.1


def test_without_the_package_loading_says_what_to_install(monkeypatch, tmp_path):
    path = save_model(some_model(), tmp_path / "mine.safetensors")
    monkeypatch.setattr(running, "version", lambda package: None)
    with pytest.raises(InputError, match=r"pip install 'voltween\[baselines\]'"):
        load_model(path)


def test_it_has_no_subnetworks_to_repeat():
    with pytest.raises(InputError, match=r"expected a cascade, .* got VoxelMorph-2"):
        some_model().repeated(2)
