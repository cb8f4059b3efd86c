"""A cohort, and a training on it that tests share: what they change, they copy."""

import pytest

from support.cohorts import write_cohort, write_ct_cohort
from support.training import run
from voltween.cohorts import read_manifest
from voltween.training import measure_fingerprint


@pytest.fixture(scope="module", name="manifest")
def manifest_fixture(tmp_path_factory):
    """Manifest of four training and two validation scans."""
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module", name="whole")
def whole_fixture(manifest, tmp_path_factory):
    """Folder of a run that nothing interrupted, with all its pictures."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(manifest, folder, draws_curves=True)
    return folder


@pytest.fixture(scope="module", name="ct")
def ct_fixture(tmp_path_factory):
    """Manifest and fingerprint of a CT cohort."""
    manifest = write_ct_cohort(tmp_path_factory.mktemp("ct"))
    return manifest, measure_fingerprint(read_manifest(manifest))
