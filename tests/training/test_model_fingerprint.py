"""The fingerprint that training writes into a model file."""

from dataclasses import replace

import pytest

from support.training import CONFIG, run
from voltween.cohorts import cases_of_split, load_case, read_manifest
from voltween.models import check_fit, load_model
from voltween.training.model_fingerprint import measure_training_scans


@pytest.fixture(scope="module")
def model(manifest, tmp_path_factory):
    """A model of two steps."""
    config = replace(CONFIG, steps=2, validate_every=2)
    return load_model(run(manifest, tmp_path_factory.mktemp("run"), config))


def test_a_trained_model_knows_its_training_scans(model, manifest):
    train = cases_of_split(read_manifest(manifest), "train")
    plain, masked = model.fingerprint.appearances
    assert (plain.name, masked.name) == ("as stored", "masked")
    assert plain.scans == masked.scans == len(train)
    scans = [load_case(case)[0] for case in train]
    assert check_fit(model, scans[0], scans[1]) == ()


def test_the_figures_are_still_in_the_provenance(model):
    assert model.provenance["steps"] == 2
    assert model.provenance["training"]["steps"] == 2


def test_only_what_the_training_saw_is_measured(manifest):
    cases = read_manifest(manifest)
    unmasked = measure_training_scans(cases, is_ct=False, is_masked=False)
    assert [each.name for each in unmasked.appearances] == ["as stored"]
    assert measure_training_scans(cases, is_ct=True, is_masked=False) is None
