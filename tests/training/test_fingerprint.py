"""Fingerprints: what is measured of the training scans of a cohort."""

import numpy as np
import pytest

from support.cohorts import ct_scan, write_ct_cohort
from voltween import io
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.preprocessing import looks_like_ct
from voltween.spatial import Grid, Image, LabelMap
from voltween.training import describe_fingerprint, measure_fingerprint

GRID = Grid.centered(
    (16, 16, 16),
    center_mm=np.zeros(3),
    spacing_mm=(2.0, 2.0, 2.0),
    directions=np.eye(3),
)


def measure(manifest):
    return measure_fingerprint(read_manifest(manifest))


class TestFingerprint:
    def test_of_a_ct_cohort(self, ct):
        found = ct[1]
        assert found.splits == {"train": 4, "val": 2, "test": 0}
        assert found.is_ct
        assert found.is_labeled
        np.testing.assert_allclose(found.spacing_mm.largest, 2.0, atol=1e-4)
        assert found.shape.median == (32, 30, 28)  # in RAS order, however stored
        np.testing.assert_allclose(
            found.field_of_view_mm.usual, (64, 60, 56), atol=0.01
        )
        np.testing.assert_allclose(found.foreground_mm.median, (26, 21, 24), atol=4)
        assert np.abs(found.foreground_offset_mm.largest).max() < 14
        assert found.lowest[0] >= -1024
        assert -500 < found.intensities[0] < found.intensities[1] < 100
        assert found.intensities[2] > 1000

    def test_volumes_of_labels(self, ct):
        body, bone = ct[1].structures
        assert (body.label, body.cases, bone.label, bone.cases) == (1, 4, 2, 4)
        bone_ml = 4 / 3 * np.pi * 5 * 4 * 6 / 1000
        assert bone.volume_ml == pytest.approx(bone_ml, rel=0.1)

    def test_a_label_may_be_in_some_cases_alone(self, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        labels = io.read_labels(tmp_path / "labels1.nrrd")
        one = LabelMap(np.minimum(labels.data, 1), labels.grid)
        io.write(one, tmp_path / "labels1.nrrd")
        found = measure(manifest)
        assert [item.cases for item in found.structures] == [4, 3]
        assert "in 3 of 4)" in describe_fingerprint(found)["labels"]

    def test_sees_training_cases_alone(self, ct, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        for n in (4, 5):
            (tmp_path / f"image{n}.nrrd").write_text(f"damaged {n}")
        assert measure(manifest) == ct[1]

    def test_does_not_mind_the_offset_of_ct(self, ct, tmp_path):
        mixed = measure(write_ct_cohort(tmp_path, (0, 1000, 1000, 0, 0, 0)))
        assert mixed.is_ct
        np.testing.assert_allclose(mixed.intensities, ct[1].intensities, atol=30)
        np.testing.assert_allclose(
            mixed.foreground_mm.largest, ct[1].foreground_mm.largest, atol=0.1
        )

    def test_one_scan_of_another_kind_makes_a_cohort_not_ct(self, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        image = io.read(tmp_path / "image2.nrrd")
        io.write(Image((image.data + 1024) * 0.3, image.grid), tmp_path / "image2.nrrd")
        assert not measure(manifest).is_ct

    def test_label_maps_without_a_scan_have_no_say_in_intensities(self, ct, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        lines = manifest.read_text().replace("case1,image1.nrrd,", "case1,,")
        manifest.write_text(lines)
        found = measure_fingerprint(read_manifest(manifest, may_lack_scans=True))
        assert (found.cases, found.without_scan) == (4, 1)
        assert found.is_ct
        assert found.lowest[1] < -900
        assert found.intensities == pytest.approx(ct[1].intensities, abs=20)

    def test_constant_scans_are_named(self, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        grid = io.read(tmp_path / "image1.nrrd").grid
        constant = Image(np.zeros(grid.shape), grid)
        io.write(constant, tmp_path / "image1.nrrd")
        with pytest.raises(
            InputError, match=r"case1 \(.*image1.nrrd\): .* got a constant image"
        ):
            measure(manifest)


@pytest.mark.parametrize(
    ("change", "is_ct"),
    [
        (lambda units: units, True),
        (lambda units: units + 1000, True),
        (lambda units: units + 1024, True),
        (lambda units: np.where(units < -990, -3024, units), True),
        (lambda units: (units + 1024) / 4, False),  # the scale of 8 bits
        (lambda units: np.abs(units) * 2, False),
        (lambda units: units.clip(-200, 300), False),  # windowed before
        (lambda units: units + 5000, False),
    ],
)
def test_ct_is_told_by_its_units(change, is_ct):
    image, _ = ct_scan(0)
    assert looks_like_ct(Image(change(image.data), image.grid)) == is_ct
