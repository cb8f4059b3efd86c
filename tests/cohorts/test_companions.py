"""Landmarks and masks that a user adds to the cases of a download."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from support.downloads import adhd200, head, in_order
from voltween import io
from voltween.cohorts import (
    PreparationOptions,
    download_named,
    prepare,
    read_manifest,
)
from voltween.errors import InputError
from voltween.spatial import Grid, LabelMap, Points

HEADS = download_named("adhd200")
NAMES = tuple(f"101895{n}" for n in range(4))


@pytest.fixture(name="heads")
def heads_fixture(tmp_path):
    """A stand-in of ADHD-200: what it truly is."""
    return adhd200(tmp_path / "in")


def run(tmp_path, **options):
    options = PreparationOptions(**options)
    return prepare(HEADS, tmp_path / "in", out=tmp_path / "out", options=options)


def log_of(tmp_path, name):
    with (tmp_path / "out" / "log.csv").open(newline="") as file:
        return next(row for row in csv.DictReader(file) if row["case"] == name)


def write_points(path, mm, names=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(Points(np.array(mm, float), tuple(names)), path)


def write_mask(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(labels, path)


class TestPoints:
    """Files of one or several raters."""

    def at(self, heads, name, *offsets_mm):
        return heads[name][0].grid.center_mm + np.array(offsets_mm)

    def test_raters_are_averaged_by_name_and_their_spread_is_told(
        self, heads, tmp_path
    ):
        one, two = NAMES[:2]
        at = self.at(heads, one, [0, 0, 0], [4, 0, 0])
        other = at + np.array([[2, 0, 0], [0, 0, 6]])
        write_points(tmp_path / "points" / "ada" / f"{one}.csv", at, "ab")
        write_points(tmp_path / "points" / "bob" / f"{one}.csv", other[::-1], "ba")
        write_points(
            tmp_path / "points" / f"{two}.fcsv", self.at(heads, two, [1, 2, 3])
        )
        ready = run(tmp_path, points=tmp_path / "points")
        assert ready.faults == ()
        mean = io.read_points(tmp_path / "out" / "points" / f"{one}.csv")
        np.testing.assert_allclose(mean.mm, (at + other) / 2, atol=1e-6)
        assert mean.names == ("a", "b")
        spread = "a rater is 2.00 mm from the mean on average, 3.00 mm at most"
        assert log_of(tmp_path, one)["points"] == f"mean of 2 raters; {spread}"
        assert log_of(tmp_path, two)["points"] == "1 rater"
        assert ready.notes == (f"Landmarks of 1 case(s) by several raters: {spread}",)
        case, single, *bare = read_manifest(ready.manifest)
        assert case.points is not None
        assert single.points is not None
        assert [case.points for case in bare] == [None, None]

    def test_they_are_kept_by_the_next_run_and_made_anew_if_they_change(
        self, heads, tmp_path
    ):
        path = tmp_path / "points" / f"{NAMES[0]}.csv"
        write_points(path, self.at(heads, NAMES[0], [0, 0, 0]))
        run(tmp_path, points=tmp_path / "points")
        again = run(tmp_path)
        assert again.made == ()
        assert again.notes == ("Kept from the last run: --points",)
        write_points(path, self.at(heads, NAMES[0], [1, 0, 0]))
        assert run(tmp_path).made == NAMES[:1]
        (tmp_path / "points").rename(tmp_path / "moved")
        with pytest.raises(
            InputError, match=r"--points: expected a folder, got .*points"
        ):
            run(tmp_path)
        assert run(tmp_path, points=tmp_path / "moved").made == ()

    @pytest.mark.parametrize(
        ("count", "names", "message"),
        [
            (1, "a", "points: expected 2 landmarks of every rater, got 1 of bob"),
            (2, "ac", "points: expected the same names of every rater .* of bob"),
        ],
    )
    def test_raters_that_disagree_are_a_fault_of_the_case(
        self, count, names, message, heads, tmp_path
    ):
        at = self.at(heads, NAMES[0], [0, 0, 0], [4, 0, 0])
        write_points(tmp_path / "points" / "ada" / f"{NAMES[0]}.csv", at, "ab")
        write_points(tmp_path / "points" / "bob" / f"{NAMES[0]}.csv", at[:count], names)
        ready = run(tmp_path, points=tmp_path / "points")
        assert set(ready.splits) == set(NAMES[1:])
        (fault,) = ready.faults
        assert re.search(message, fault)

    def test_files_of_no_case_twice_or_outside_the_scan_are_faults(
        self, heads, tmp_path
    ):
        folder = tmp_path / "points"
        at = self.at(heads, NAMES[0], [0, 0, 0])
        write_points(folder / "nobody.csv", at)
        write_points(folder / f"{NAMES[0]}.csv", at)
        write_points(folder / f"{NAMES[0]}.fcsv", at)
        write_points(folder / f"{NAMES[1]}.csv", at + 500)
        faults = run(tmp_path, points=folder).faults
        assert faults[0] == "points nobody: expected the name of a case, got another"
        assert "expected one file per rater" in faults[1]
        assert "expected positions inside the scan" in faults[2]
        (tmp_path / "without.txt").write_text("\n".join(NAMES[:2]))
        rest = run(tmp_path, without=tmp_path / "without.txt")
        assert rest.faults == faults[:1]  # files of cases that are left out are none
        (tmp_path / "none").mkdir()
        with pytest.raises(InputError, match="expected files of landmarks"):
            run(tmp_path, points=tmp_path / "none")


class TestStrip:
    """Masks outside of which an MR becomes 0."""

    def masks(self, heads, folder):
        for number, name in enumerate(NAMES):
            labels = heads[name][1] or head(number)[1]
            write_mask(folder / f"{name}.nii.gz", in_order(labels, number + 7))

    def test_voxels_outside_are_0_before_the_intensity_rule(self, heads, tmp_path):
        self.masks(heads, tmp_path / "masks")
        run(tmp_path, strip=tmp_path / "masks")
        for number, name in enumerate(NAMES):
            image = io.read(tmp_path / "out" / "images" / f"{name}.nii.gz")
            true_image, labels = heads[name][0], head(number)[1]
            voxels = true_image.grid.world_to_voxel(image.grid.voxel_centers_mm())
            places = tuple(np.moveaxis(np.rint(voxels).astype(int), -1, 0))
            is_kept = labels.data[places] > 0
            assert (image.data[~is_kept] == 0).all()
            # Brightness 0 and 1 are those of the stripped head.
            inside = true_image.data[labels.data > 0]
            low = np.percentile(inside, 0.5)
            row = log_of(tmp_path, name)
            assert float(row["intensity_rule"].split()[0]) == pytest.approx(
                low, rel=0.1
            )
            assert "stripped by a mask, which keeps" in row["remarks"]

    def test_every_case_needs_a_mask_on_its_grid(self, heads, tmp_path):
        self.masks(heads, tmp_path / "masks")
        (tmp_path / "masks" / f"{NAMES[0]}.nii.gz").rename(
            tmp_path / "masks" / "nobody.nii.gz"
        )
        labels = head(1)[1]
        small = LabelMap(labels.data[1:], Grid((21, 20, 18), labels.grid.affine))
        write_mask(tmp_path / "masks" / f"{NAMES[1]}.nii.gz", small)
        empty = replace(head(2)[1], data=np.zeros(labels.grid.shape, np.uint8))
        write_mask(tmp_path / "masks" / f"{NAMES[2]}.nii.gz", empty)
        ready = run(tmp_path, strip=tmp_path / "masks")
        assert list(ready.splits) == [NAMES[3]]
        for fault, words in zip(
            ready.faults,
            (
                "mask nobody: expected the name of a case",
                "--strip: expected one mask named like the case, got 0",
                "mask: expected the image's shape",
                "mask: expected voxels above 0",
            ),
            strict=True,
        ):
            assert words in fault

    def test_ct_is_not_stripped(self, tmp_path):
        (tmp_path / "in").mkdir()
        with pytest.raises(InputError, match="--strip: expected a cohort of MR"):
            prepare(
                *(download_named("lits"), tmp_path / "in"),
                out=tmp_path / "out",
                options=PreparationOptions(strip=tmp_path),
            )
