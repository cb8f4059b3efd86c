"""A case read as a scan: labels on the image's grid, mask, landmarks."""

from dataclasses import replace

import numpy as np
import pytest

from support.cohorts import write_cohort
from voltween import io
from voltween.cohorts import check_scans, load_case, read_manifest, read_scan
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.spatial import Grid, LabelMap, Points


@pytest.fixture(name="case")
def case_fixture(tmp_path):
    """A case with image and labels."""
    return read_manifest(write_cohort(tmp_path, 2, 0))[0]


def test_labels_on_another_grid_are_brought_to_the_image(case):
    labels = io.read_labels(case.labels)
    affine = labels.grid.affine.copy()
    affine[:3, 3] = labels.grid.voxel_to_world(np.array([1.0, 2.0, 0.0]))
    cropped = labels.data[1:, 2:]
    grid = type(labels.grid)(cropped.shape, affine)
    io.write(type(labels)(cropped, grid), case.labels)
    image, again = load_case(case)
    assert again.grid.is_close(image.grid)
    np.testing.assert_array_equal(again.data, labels.data)


def test_labels_elsewhere_than_their_image_are_refused_and_named(case):
    labels = io.read_labels(case.labels)
    affine = labels.grid.affine.copy()
    affine[:3, 3] += 300
    io.write(LabelMap(labels.data, Grid(labels.grid.shape, affine)), case.labels)
    with pytest.raises(InputError, match=f"{case.labels}: expected voxels > 0 on"):
        load_case(case)


def test_a_scan_has_the_image_labels_and_landmarks_of_its_case(case, tmp_path):
    center_mm = io.read(case.image).grid.center_mm
    points_mm = center_mm + np.array([[1.0, 2.0, 3.0], [-4.0, 5.5, 6.0]])
    io.write(Points(points_mm), tmp_path / "points.csv")
    scan = read_scan(replace(case, points=tmp_path / "points.csv"))
    image, labels = load_case(case)
    assert scan.name == "case0"
    np.testing.assert_array_equal(scan.image.data, image.data)
    np.testing.assert_array_equal(scan.labels.data, labels.data)
    np.testing.assert_array_equal(scan.points.mm, points_mm)
    assert read_scan(case).points is None


def test_landmarks_that_lie_elsewhere_get_a_warning(case, tmp_path):
    io.write(Points(np.full((2, 3), 900.0)), tmp_path / "points.csv")
    with pytest.warns(SuspiciousInputWarning, match=r"points\.csv: only 0 % of its po"):
        read_scan(replace(case, points=tmp_path / "points.csv"))


def test_labels_of_all_cases_are_checked(case):
    labels = io.read_labels(case.labels)
    affine = labels.grid.affine.copy()
    affine[:3, 3] += 300
    io.write(LabelMap(labels.data, Grid(labels.grid.shape, affine)), case.labels)
    seen = []
    check_scans([replace(case, labels=None)], seen.append)
    with pytest.raises(InputError, match="expected voxels > 0 on the scan"):
        check_scans([case], seen.append)
    assert seen == [case.name, case.name]


def test_a_masked_scan_is_0_outside_its_labels_and_unchanged_within(case):
    plain, masked = read_scan(case), read_scan(case, is_masked=True)
    inside = plain.labels.data > 0
    np.testing.assert_array_equal(masked.image.data[inside], plain.image.data[inside])
    assert not masked.image.data[~inside].any()
    assert plain.image.data[~inside].all()


def test_masking_without_labels_is_refused(case):
    with pytest.raises(InputError, match="case0: expected labels to mask"):
        read_scan(replace(case, labels=None), is_masked=True)
