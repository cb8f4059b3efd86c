"""Learned features as files, and the choice of those for two scans."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from support.heads import head, with_inverted_tissue
from support.scans import tiny_features
from voltween.cohorts import cases_of_split, load_case, read_manifest
from voltween.errors import FitWarning, InputError
from voltween.models import (
    ModelFingerprint,
    choose_features,
    features,
    features_digest,
    load_features,
    save_features,
    shipped_features,
)
from voltween.models.library import model_path
from voltween.spatial import Image, align_centers


@pytest.fixture(name="shipped")
def shipped_fixture(monkeypatch, tmp_path):
    """Features of large heads as the only ones that are shipped."""
    scans = [head(seed) for seed in range(4)]
    fingerprint = ModelFingerprint.of(scans, is_ct=False)
    (tmp_path / "features").mkdir()
    path = tmp_path / "features" / "head.safetensors"
    monkeypatch.setattr(features, "shipped_folder", lambda: tmp_path)
    return save_features(tiny_features(fingerprint), path)


def test_a_file_holds_all_of_the_features(shipped):
    model, read = tiny_features(), load_features(shipped)
    assert read.name == "head"
    assert read.network.config == model.network.config
    assert read.fingerprint is not None
    assert read.template.grid.is_close(model.template.grid)
    np.testing.assert_allclose(read.template.data, model.template.data, rtol=1e-3)
    first, second = describe(model), describe(read)
    assert first.grid.is_close(second.grid)
    np.testing.assert_allclose(first.shares, second.shares, atol=0.01)


def describe(model, scan=None):
    """The features of a scan that lies on the template's center."""
    scan = scan or head()
    return model.of(scan, align_centers(model.grid, scan.grid))


def test_shares_lie_on_the_networks_grid_and_add_up_to_one():
    volume = describe(tiny_features())
    assert volume.shares.shape[1:] == volume.grid.shape
    np.testing.assert_allclose(volume.shares.sum(0), 1, rtol=1e-5)


def test_features_of_both_scans_are_chosen_silently(shipped):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = choose_features(head(10), head(11))
    assert model.name == "head"
    assert len(features_digest("head")) == 64
    assert [name for name, _ in shipped_features()] == ["head"]


@pytest.mark.usefixtures("shipped")
def test_a_scan_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"learned features: .* moving scan: what"):
        choose_features(head(10), head(11, size=0.3))


@pytest.mark.usefixtures("shipped")
def test_a_doubtful_scan_is_warned_of():
    odd = head(10, size=1.5)
    with pytest.warns(FitWarning, match="features of head may be wrong here: fixed"):
        choose_features(odd, head(11))


@pytest.fixture(name="two")
def two_fixture(shipped):
    """Features for any contrast beside those of the very contrast."""
    model = replace(load_features(shipped), is_for_any_contrast=True)
    save_features(model, shipped.parent / "any.safetensors")


@pytest.mark.usefixtures("two")
def test_features_of_the_very_contrast_come_first_and_those_of_the_model_before():
    scans = head(10), head(11)
    assert choose_features(*scans).name == "head"
    assert choose_features(*scans, "any").name == "any"
    assert choose_features(*scans, "another").name == "head"


@pytest.mark.usefixtures("two")
def test_scans_of_another_contrast_get_the_features_for_any():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = choose_features(head(10), with_inverted_tissue(head(11)))
    assert chosen.name == "any"


@pytest.mark.usefixtures("two")
def test_features_of_the_models_name_are_not_taken_where_they_are_impossible():
    with pytest.raises(InputError, match="learned features"):
        choose_features(head(10), head(11, size=0.3), "any")


@pytest.mark.usefixtures("two")
def test_a_reason_that_holds_for_several_features_is_told_once():
    with pytest.raises(InputError) as caught:
        choose_features(head(10), head(11, size=0.3))
    text = str(caught.value)
    assert text.count("what the scan shows measures") == 1
    assert "any and head: moving scan: what" in text


def test_without_any_features_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "shipped_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="no features are installed"):
        choose_features(head(10), head(11))


def test_a_network_of_registration_is_no_file_of_features():
    with pytest.raises(InputError, match="expected configuration and weights that fit"):
        load_features(model_path("hippocampus"))


def test_damaged_weights_are_refused(shipped, tmp_path):
    model = load_features(shipped)
    with torch.no_grad():
        model.network.prior[:] = np.nan
    path = save_features(model, tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="expected finite weights"):
        load_features(path)


def test_a_constant_scan_is_refused():
    scan = head()
    with pytest.raises(InputError):
        describe(tiny_features(), Image(np.ones(scan.grid.shape), scan.grid))


def test_real_heads_get_the_features_of_their_contrast(shared_data):
    cases = cases_of_split(read_manifest(shared_data / "brain_ixi/cases.csv"), "val")
    first, second = (load_case(case)[0] for case in cases[:2])
    assert choose_features(first, second).name == "brain"
    assert choose_features(first, second, "brain-any").name == "brain-any"
    low, high = np.percentile(second.data, [0.5, 99.5])
    shown = ((second.data - low) / (high - low)).clip(0, 1)
    inverted = Image(np.where(shown > 0.05, 1.05 - shown, 0), second.grid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_features(first, inverted).name == "brain-any"


def features_path(name):
    return model_path("brain").parent / "features" / f"{name}.safetensors"


def test_the_shipped_features_are_read():
    shipped = {
        name: load_features(features_path(name)) for name, _ in shipped_features()
    }
    assert {n: m.is_for_any_contrast for n, m in shipped.items()} == {
        "brain": False,
        "brain-any": True,
    }
