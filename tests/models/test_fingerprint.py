"""Fingerprints: what training scans are like, and which scans are of their kind."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from support.heads import core, head, with_inverted_tissue
from support.scans import STORAGE_ORDERS, stored
from voltween.errors import InputError
from voltween.models import ModelFingerprint, dataclass_from_facts
from voltween.models.scan_facts import measure_scan
from voltween.models.template import rotations
from voltween.spatial import Grid, Image


@pytest.fixture(scope="module")
def heads():
    return ModelFingerprint.of([head(seed) for seed in range(6)], is_ct=False)


def verdict(fingerprint, scan):
    return fingerprint.fit(measure_scan(scan)).verdict


def reason(fingerprint, scan):
    return fingerprint.fit(measure_scan(scan)).reason


def test_facts_do_not_depend_on_the_storage_order():
    scan = head()
    expected = measure_scan(scan)
    for order in STORAGE_ORDERS[::5]:
        facts = measure_scan(stored(scan, order))
        assert facts.extent_mm == pytest.approx(expected.extent_mm)
        assert facts.spacing_mm == pytest.approx(expected.spacing_mm)
        assert facts.body.sides_mm == pytest.approx(expected.body.sides_mm, rel=1e-6)
        assert np.array_equal(facts.body.foreground, expected.body.foreground)
        np.testing.assert_allclose(
            facts.body.brightness, expected.body.brightness, atol=1e-5
        )


def test_sides_are_those_of_a_box():
    data = np.zeros((40, 40, 40))
    data[5:35, 10:30, 15:25] = 100
    data += np.random.default_rng(0).random(data.shape)
    facts = measure_scan(Image(data, Grid(data.shape, np.diag([2.0, 2, 2, 1]))))
    assert facts.body.sides_mm == pytest.approx((20, 40, 60), rel=0.02)
    assert facts.extent_mm == (80, 80, 80)
    assert facts.body.border_share == 0


def test_a_scan_of_the_same_kind_fits_at_any_intensity_scale(heads):
    scan = head(seed=99)
    for factor in (1.0, 1e-3, 1e6):
        assert verdict(heads, Image(scan.data * factor, scan.grid)) == "fits"


@pytest.mark.parametrize("seed", range(5))
def test_a_turned_scan_fits(seed, heads):
    turn = Rotation.random(random_state=seed)
    assert verdict(heads, head(seed=99, turn=turn)) == "fits"


def test_an_inverted_contrast_is_named(heads):
    scan = head(seed=99)
    is_inside = gaussian_filter(scan.data, 1) > 10
    inverted = Image(np.where(is_inside, 120 - scan.data, scan.data), scan.grid)
    assert "contrast is inverted" in reason(heads, inverted)


def test_for_any_contrast_an_inverted_scan_fits_and_another_size_does_not(heads):
    inverted = measure_scan(with_inverted_tissue(head(10)))
    assert heads.fit(inverted).verdict == "doubtful"
    assert heads.fit(inverted, any_contrast=True).verdict == "fits"
    small = measure_scan(head(10, size=0.3))
    assert heads.fit(small, any_contrast=True).verdict == "impossible"


def test_another_shape_is_doubtful(heads):
    data = np.zeros((50, 48, 40))
    data[12:38, 10:38, 30:] = data[20:30, 20:28, :] = 100
    scan = Image(data + np.random.default_rng(0).random(data.shape), head().grid)
    assert verdict(heads, scan) == "doubtful"


@pytest.mark.parametrize(("size", "expected"), [(0.4, "impossible"), (1.5, "doubtful")])
def test_another_size_is_named_in_mm(size, expected, heads):
    scan = head(seed=99, size=size)
    assert verdict(heads, scan) == expected
    assert "mm" in reason(heads, scan)


def test_a_crop_is_another_field_of_view(heads):
    scan = head(seed=99)
    crop = Image(scan.data[:, 12:36, 10:30], Grid((50, 24, 20), scan.grid.affine))
    assert verdict(heads, crop) != "fits"


def test_hounsfield_units_and_other_intensities_are_told_apart(heads):
    units = [Image(head(n).data * 12 - 1000, head(n).grid) for n in range(3)]
    bone = [with_bone(scan) for scan in units]
    ct = ModelFingerprint.of(bone, is_ct=True)
    assert verdict(ct, with_bone(units[0])) == "fits"
    shifted = Image(bone[0].data + 1000, bone[0].grid)
    assert verdict(ct, shifted) == "fits"
    assert verdict(heads, bone[0]) == "impossible"
    assert "CT" in reason(heads, bone[0])
    scaled = Image((bone[0].data + 1000) / 3000, bone[0].grid)
    assert verdict(ct, scaled) == "impossible"
    assert "Hounsfield units" in reason(ct, scaled)


def with_bone(scan):
    """Tissue at 0 to 80 Hounsfield units in air, with a block of bone."""
    data = np.where(scan.data > -750, (scan.data + 500) * 0.2, -1000.0)
    data[24:26, 20:28, 18:22] = 1200
    return Image(data, scan.grid)


def test_a_masked_look_is_a_look_of_its_own():
    scans = [head(seed) for seed in range(4)]
    masked = [core(scan) for scan in scans]
    both = ModelFingerprint.of(scans, masked=masked, is_ct=False)
    assert [each.name for each in both.appearances] == ["as stored", "masked"]
    assert both.fit(measure_scan(head(seed=99))).appearance == "as stored"
    assert both.fit(measure_scan(core(head(seed=99)))).appearance == "masked"
    alone = ModelFingerprint.of(scans, is_ct=False)
    assert verdict(alone, core(head(seed=99))) != "fits"


def test_a_fingerprint_comes_back_from_json(heads):
    facts = json.loads(json.dumps(asdict(heads)))
    assert dataclass_from_facts(ModelFingerprint, facts) == heads
    assert len(json.dumps(facts)) < 8000


def test_constant_images_are_no_scans():
    grid = head().grid
    with pytest.raises(InputError, match="constant"):
        measure_scan(Image(np.ones(grid.shape), grid))


def test_label_maps_fit_no_model(heads):
    grid = head().grid
    blocks = np.zeros(grid.shape)
    blocks[10:30, 10:30, 10:30], blocks[30:40, 10:30, 10:30] = 1, 2
    facts = measure_scan(Image(blocks, grid))
    assert facts.is_label_map
    fit = heads.fit(facts)
    assert (fit.verdict, fit.reason) == ("doubtful", "the scan looks like a label map")


def test_one_scan_has_no_fingerprint():
    assert ModelFingerprint.of([head()], is_ct=False) is None


def test_rotations_reach_every_pose():
    """The nearest rotation is at most 35 degrees from any, and is a rotation."""
    poses = rotations()
    assert np.allclose(poses @ poses.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(np.linalg.det(poses), 1)
    others = Rotation.random(500, random_state=0).as_matrix()
    traces = np.einsum("nij,mij->nm", poses, others).max(axis=0)
    assert np.degrees(np.arccos(((traces - 1) / 2).clip(-1, 1))).max() < 35
