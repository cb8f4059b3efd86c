"""The choice of a model, on made scans and on real ones."""

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest

from support.heads import core, head
from support.scans import label_blocks, oblique_grid, tiny_model
from voltween import io
from voltween.cohorts import cases_of_split, load_case, mask_by_labels, read_manifest
from voltween.errors import InputError
from voltween.models import (
    ModelFingerprint,
    check_fit,
    choose_model,
    load_model,
    save_model,
)
from voltween.models.choice import choose_among, shipped_fingerprints
from voltween.models.library import model_path
from voltween.spatial import Grid, Image

WEIGHTS = {
    "brain": ("016149aee7c14295f76904f7028e63abe6afd4244ad9569c369e0d094cd68c2e"),
    "brain-any": ("9bf3a3f8e5066c1c7371eea78db975ee3857db133df9e1ebc4e987a6d1fb030d"),
    "headneck": ("983c9b128b3108432758f086b7ede02c3bbc2ec65294f9c89b3470c6e6c30b5e"),
    "hippocampus": ("16d2b782e4d093b883e743c7ebb25750c3d9dcf43c0d2c5ceb80ec57225ebb3d"),
}
"""SHA-256 of the tensors of each shipped model, without the description."""


@pytest.fixture(scope="module")
def fingerprints():
    scans = [head(seed) for seed in range(4)]
    small = [head(seed, size=0.3) for seed in range(4)]
    return {
        "large": ModelFingerprint.of(
            scans, masked=[core(scan) for scan in scans], is_ct=False
        ),
        "small": ModelFingerprint.of(small, is_ct=False),
    }


@pytest.mark.parametrize(("size", "name"), [(1.0, "large"), (0.3, "small")])
def test_the_model_of_both_scans_is_chosen(size, name, fingerprints):
    scans = head(10, size=size), head(11, size=size)
    choice = choose_among(fingerprints, *scans)
    assert choice.name == name
    assert choice.reason


def test_scans_of_two_kinds_get_no_model(fingerprints):
    choice = choose_among(fingerprints, head(10), head(11, size=0.3))
    assert choice.name is None
    assert "large: moving scan:" in choice.reason
    assert "small: fixed scan:" in choice.reason


def test_label_maps_get_no_model(fingerprints):
    labels = label_blocks(oblique_grid())
    scan = Image(labels.data, labels.grid)
    choice = choose_among(fingerprints, scan, scan)
    assert choice.name is None
    assert "both scans: the scan looks like a label map" in choice.reason


def test_two_looks_that_a_model_saw_apart_get_no_model(fingerprints):
    choice = choose_among(fingerprints, head(10), core(head(11)))
    assert choice.name is None
    assert "never saw the two together" in choice.reason
    assert choose_among(fingerprints, core(head(10)), core(head(11))).name == "large"


def test_a_model_given_by_hand_warns_or_refuses(fingerprints):
    model = replace(tiny_model(), fingerprint=fingerprints["large"])
    assert check_fit(model, head(10), head(11)) == ()
    (warning,) = check_fit(model, head(10), head(11, size=1.5))
    assert "the model tiny may be wrong here: moving scan: " in warning
    with pytest.raises(InputError, match=r"model tiny with the fixed scan: .*mm"):
        check_fit(model, head(10, size=0.3), head(11))


def test_the_scan_that_cannot_be_measured_is_named(fingerprints):
    flat = Image(np.ones((9, 9, 9)), Grid((9, 9, 9), np.eye(4)))
    with pytest.raises(InputError, match="moving scan: expected intensities that"):
        choose_among(fingerprints, head(10), flat)


def test_a_model_without_fingerprint_says_nothing():
    assert check_fit(tiny_model(), head(10), head(11, size=0.3)) == ()


def test_the_fingerprint_is_kept_in_the_file(fingerprints, tmp_path):
    model = replace(tiny_model(), fingerprint=fingerprints["large"])
    loaded = load_model(save_model(model, tmp_path / "mine.safetensors"))
    assert loaded.fingerprint == model.fingerprint
    plain = load_model(save_model(tiny_model(), tmp_path / "plain.safetensors"))
    assert plain.fingerprint is None


def test_shipped_models_have_fingerprints():
    shipped = shipped_fingerprints()
    assert {name: each.is_ct for name, each in shipped.items()} == {
        "brain": False,
        "headneck": True,
        "hippocampus": False,
    }
    assert [each.name for each in shipped["brain"].appearances] == [
        "as stored",
        "masked",
    ]
    assert str(shipped["hippocampus"]) == "not CT, as stored 42 to 56 mm long"
    assert all(each.appearances[0].scans >= 20 for each in shipped.values())


def val_scans(shared_data, cohort, most=3):
    cases = cases_of_split(read_manifest(shared_data / cohort / "cases.csv"), "val")
    return [load_case(case) for case in cases[:most]]


@pytest.mark.parametrize(
    ("cohort", "expected"),
    [
        ("brain_ixi", "brain"),
        ("hippocampus", "hippocampus"),
        ("headneck_ct", "headneck"),
        ("mouse_brain", None),
    ],
)
def test_real_scans_get_their_model(cohort, expected, shared_data):
    for image, _ in val_scans(shared_data, cohort):
        assert choose_model(image, image).name == expected


def test_real_brains_without_skull_get_the_brain_model(shared_data):
    masked = [mask_by_labels(*scan) for scan in val_scans(shared_data, "brain_ixi")]
    assert choose_model(masked[0], masked[1]).name == "brain"
    raw = val_scans(shared_data, "brain_ixi")[0][0]
    assert choose_model(raw, masked[0]).name is None


def test_abdominal_ct_gets_no_model(shared_data):
    for path in sorted((shared_data / "abdomen_ct" / "images").iterdir()):
        scan = io.read(path)
        assert choose_model(scan, scan).name is None


def test_real_scans_that_a_model_cannot_register_are_refused(shared_data):
    crop = val_scans(shared_data, "hippocampus", 1)[0][0]
    ct = val_scans(shared_data, "headneck_ct", 1)[0][0]
    scaled = Image(ct.data / ct.data.max(), ct.grid)
    with pytest.raises(InputError, match="mm"):
        check_fit(load_model("brain"), crop, crop)
    with pytest.raises(InputError, match="Hounsfield units"):
        check_fit(load_model("headneck"), ct, scaled)
    head_scan = val_scans(shared_data, "brain_ixi", 1)[0][0]
    tiny = Grid(head_scan.grid.shape, head_scan.grid.affine @ np.diag([0.1] * 3 + [1]))
    with pytest.raises(InputError, match="mm"):
        check_fit(load_model("brain"), head_scan, Image(head_scan.data, tiny))
    turned = np.diag([-1.0, -1.0, 1.0, 1.0]) @ head_scan.grid.affine
    other = Image(head_scan.data, Grid(head_scan.grid.shape, turned))
    assert check_fit(load_model("brain"), head_scan, other) == ()


@pytest.mark.parametrize(("name", "digest"), WEIGHTS.items())
def test_the_weights_of_shipped_models_are_those_that_were_measured(name, digest):
    """The bytes after the header: a new description leaves them as they are."""
    content = model_path(name).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert hashlib.sha256(content[8 + length :]).hexdigest() == digest
