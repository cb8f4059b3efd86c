"""Plans: the decisions for a cohort, and their reasons."""

from dataclasses import replace

import numpy as np
import pytest

from support.cohorts import ct_scan, write_cohort
from support.scans import STORAGE_ORDERS, stored
from voltween.cohorts import read_manifest
from voltween.spatial import spacing_and_shape
from voltween.training import (
    describe_fingerprint,
    fit_preprocessing,
    measure_fingerprint,
    plan,
)
from voltween.training.fingerprint import Spread
from voltween.training.planning import fitted_grid


class TestGrid:
    def test_covers_the_extent_in_multiples_of_16(self):
        shape, spacing = fitted_grid((100.0, 64.0, 20.0), (2.0, 1.0, 5.0), 128**3)
        assert shape == (64, 64, 16)
        assert spacing == (2.0, 1.0, 5.0)

    @pytest.mark.parametrize("most", [128**3, 409_600, 100_000])
    def test_gets_coarser_along_the_finest_axes_first(self, most):
        extent = (400.0, 400.0, 500.0)
        shape, spacing = fitted_grid(extent, (0.8, 0.8, 5.0), most)
        assert np.prod(shape) <= most
        assert spacing[0] == spacing[1] <= spacing[2]
        assert (np.multiply(shape, spacing) >= np.array(extent) - spacing).all()
        assert not np.remainder(shape, 16).any()

    def test_rounding_of_a_header_costs_no_16_voxels(self):
        assert fitted_grid((128 * 2.00004,) * 3, (2.0,) * 3, 128**3)[0] == (128,) * 3

    def test_of_a_manifest_covers_the_cohort_in_ras_order(self, tmp_path):
        fitted = fit_preprocessing(read_manifest(write_cohort(tmp_path)))
        assert fitted.spacing_mm == (2.0, 2.0, 2.0)
        assert fitted.shape == (32, 32, 32)  # 18 voxels, in multiples of 16

    @pytest.mark.parametrize("order", STORAGE_ORDERS[::9])
    def test_sizes_are_in_ras_order(self, order):
        image, _ = ct_scan(1)
        spacing, shape = spacing_and_shape(stored(image, order).grid)
        np.testing.assert_allclose(spacing, 2.0)
        assert tuple(shape) == (32, 30, 28)


class TestPlan:
    def test_of_ct(self, ct):
        decided, notes = plan(*ct, has_gpu=False)
        assert decided.preprocessing.placement == "foreground"
        assert decided.preprocessing.shape == (16, 16, 16)
        low, high = decided.preprocessing.hounsfield_window
        assert low % 10 == high % 10 == 0
        assert -500 <= low < 40 < 1000 < high
        assert decided.cascade.stages == "ADDD"
        assert decided.cascade.halvings == decided.cascade.affine_halvings == 3
        assert decided.training.objective.overlap == (2.0, 0.0, 0.0, 0.5)
        assert decided.training.augmentation.bias == 0
        assert decided.training.validation_pairs == 2
        assert "overfitted" in notes["training.steps"]

    def test_of_mr_takes_percentiles(self, tmp_path):
        manifest = write_cohort(tmp_path)
        decided, notes = plan(
            manifest, measure_fingerprint(read_manifest(manifest)), has_gpu=False
        )
        assert decided.preprocessing.hounsfield_window is None
        assert decided.preprocessing.intensity_percentiles == (0.5, 99.5)
        assert "look like CT" in notes["preprocessing.intensity_percentiles"]
        assert decided.training.augmentation.bias == 0.2

    def test_covers_the_whole_scan_if_the_foreground_fills_it(self, ct):
        manifest, found = ct
        found = replace(found, foreground_mm=found.field_of_view_mm)
        decided, _ = plan(manifest, found, has_gpu=False)
        assert decided.preprocessing.placement == "grid centre"
        assert decided.preprocessing.shape == (32, 32, 32)

    def test_is_coarser_without_a_gpu_and_says_so(self, ct):
        manifest, found = ct
        wide = spread_of(300.0)
        found = replace(found, field_of_view_mm=wide, foreground_mm=wide)
        with_gpu, gpu_notes = plan(manifest, found, has_gpu=True)
        without, notes = plan(manifest, found, has_gpu=False)
        assert np.prod(without.preprocessing.shape) <= 409_600
        assert np.prod(with_gpu.preprocessing.shape) > 409_600
        assert with_gpu.cascade.stages == "ADDD"
        assert without.cascade.stages == "ADD"
        assert without.training.objective.overlap == (2.0, 0.0, 0.5)
        assert "no GPU" in notes["preprocessing.spacing_mm"]
        assert "no GPU" not in gpu_notes["preprocessing.spacing_mm"]

    def test_needs_labels_of_every_case_for_an_overlap(self, ct):
        manifest, found = ct
        decided, notes = plan(manifest, replace(found, labeled=3), has_gpu=False)
        assert not decided.training.objective.has_overlap
        assert "3 of 4" in notes["training.objective.overlap"]

    def test_keeps_two_voxels_at_the_coarsest(self, ct):
        for side in (16, 32, 64, 128):
            found = replace(
                ct[1],
                field_of_view_mm=spread_of(2.0 * side),
                foreground_mm=spread_of(2.0 * side),
            )
            cascade = plan(ct[0], found, has_gpu=True)[0].cascade
            assert cascade.shape == (side,) * 3
            assert side >> cascade.halvings >= 2
            assert side >> cascade.affine_halvings >= 2

    def test_without_validation_cases_says_what_is_kept(self, ct):
        found = replace(ct[1], splits={"train": 4, "val": 1, "test": 0})
        notes = plan(ct[0], found, has_gpu=False)[1]
        assert "last model" in notes["training.validation_pairs"]


def found_with(ct, share=1.0, bare=0, labeled=4, val=2):
    """A fingerprint whose foreground, with its margin, takes a share of the scan."""
    return replace(
        ct[1],
        field_of_view_mm=spread_of(100.0),
        foreground_mm=spread_of(100.0 * share ** (1 / 3) / 1.1),
        without_scan=bare,
        labeled=labeled,
        splits={"train": 4, "val": val, "test": 0},
        is_ct=bare == 0,
    )


class TestReasons:
    """Every reason agrees with the choice that it stands beside."""

    @pytest.mark.parametrize("share", [0.5, 0.694, 0.6949, 0.696, 0.7, 0.704, 1.0])
    @pytest.mark.parametrize("bare", [0, 2, 4])
    def test_of_the_placement(self, ct, share, bare):
        decided, notes = plan(ct[0], found_with(ct, share, bare), has_gpu=False)
        reason = notes["preprocessing.placement"]
        if bare:
            assert decided.preprocessing.placement == "grid centre"
            assert reason.startswith(f"{bare} of 4 training cases have a label map")
            assert "%" not in reason
            return
        is_small = decided.preprocessing.placement == "foreground"
        assert is_small == ("less than 70%" in reason) != ("70% or more" in reason)
        stated = int(reason.partition("takes ")[2].partition("%")[0])
        assert is_small == (stated < 70)
        covered = notes["preprocessing.shape"]
        assert is_small == ("foregrounds with a margin" in covered)

    @pytest.mark.parametrize("val", [0, 1, 2, 4, 5, 6, 12])
    @pytest.mark.parametrize("bare", [0, 4])
    def test_of_the_validation_pairs(self, ct, val, bare):
        found = found_with(ct, bare=bare, val=val)
        decided, notes = plan(ct[0], found, has_gpu=False)
        reason = notes["training.validation_pairs"]
        pairs = decided.training.validation_pairs
        if val < 2:
            assert "not used" in reason
        elif f"of which {pairs} are drawn" in reason:
            assert pairs < val * (val - 1)
        else:
            assert reason.endswith(f"make {pairs} ordered pairs")

    @pytest.mark.parametrize("bare", [0, 2, 4])
    @pytest.mark.parametrize("labeled", [3, 4])
    def test_of_the_overlap_and_the_intensities(self, ct, bare, labeled):
        found = found_with(ct, bare=bare, labeled=labeled)
        decided, notes = plan(ct[0], found, has_gpu=False)
        is_used = "not used" not in notes["training.objective.overlap"]
        assert is_used == decided.training.objective.has_overlap
        assert ("training.synthesis.share" in notes) == (
            decided.training.synthesis.share > 0
        )
        window = decided.preprocessing.hounsfield_window
        assert ("preprocessing.hounsfield_window" in notes) == (window is not None)
        if window is None:
            reason = notes["preprocessing.intensity_percentiles"]
            assert ("label maps have no intensities" in reason) == (bare == 4)


@pytest.mark.parametrize("bare", [0, 2, 4])
def test_label_maps_have_no_intensities_to_describe(ct, bare):
    lines = describe_fingerprint(found_with(ct, bare=bare))
    of_scans = {"kind", "lowest values", "foreground intensities"}
    assert of_scans & {*lines} == (set() if bare == 4 else of_scans)


@pytest.mark.parametrize("spacing_mm", [0.1, 0.2, 1.0, 2.0, 4.0])
def test_slices_of_synthesized_scans_fit_the_voxels(ct, spacing_mm):
    """Maps of mice learn no slices as thick as half a mouse brain."""
    found = replace(found_with(ct, bare=4), spacing_mm=spread_of(spacing_mm))
    found = replace(found, field_of_view_mm=spread_of(100.0 * spacing_mm))
    decided, notes = plan(ct[0], found, has_gpu=False)
    sides_mm = np.array(decided.preprocessing.spacing_mm)
    slice_mm = decided.training.synthesis.slice_mm
    assert slice_mm == pytest.approx(min(8.0, 3.2 * sides_mm.max()), rel=0.05)
    assert "8 mm at most" in notes["training.synthesis.slice_mm"]


def spread_of(value):
    three = (value,) * 3
    return Spread(three, three, three, three)


def few_of(shared_data, cohort, count=5):
    manifest = shared_data / cohort / "cases.csv"
    cases = [case for case in read_manifest(manifest) if case.split == "train"]
    return manifest, measure_fingerprint(cases[:count])


def test_plan_of_real_head_and_neck_ct(shared_data):
    decided, _ = plan(*few_of(shared_data, "headneck_ct"), has_gpu=False)
    assert decided.preprocessing.placement == "foreground"
    low, high = decided.preprocessing.hounsfield_window
    assert -500 <= low <= -100
    assert 300 <= high <= 1500
    assert 200_000 < np.prod(decided.preprocessing.shape) <= 409_600
    assert decided.training.objective.has_overlap


def test_plan_of_real_hippocampi(shared_data):
    decided, _ = plan(*few_of(shared_data, "hippocampus"), has_gpu=False)
    assert decided.preprocessing.placement == "grid centre"
    assert decided.preprocessing.shape == (48, 64, 48)
    assert decided.preprocessing.spacing_mm == (1, 1, 1)
    assert decided.preprocessing.hounsfield_window is None
