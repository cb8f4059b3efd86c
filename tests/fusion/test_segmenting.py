"""Segmentation of files: atlases that are used, left out, and refused."""

from dataclasses import replace

import numpy as np
import pytest

from support.phantoms import phantom, write_phantoms
from support.registering import KnownRegistrations
from voltween import io
from voltween.cohorts import Case
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.fusion import SegmentationOptions, segment_scan
from voltween.metrics import dice_per_label
from voltween.spatial import Affine, LabelMap

OPTIONS = SegmentationOptions(fusion="majority")
SHIFTS = {"scan": (0, 0, 0), "a": (4, 0, 0), "b": (0, -6, 0), "c": (0, 2, 8)}


def shift(fixed, moving):
    """The true transform between two phantoms, which lie in different places."""
    matrix = np.eye(4)
    places = (SHIFTS[path.name.removesuffix(".nii.gz")] for path in (moving, fixed))
    matrix[:3, 3] = np.subtract(*places)
    return Affine(matrix)


@pytest.fixture(name="at")
def at_fixture(tmp_path):
    """A folder with a scan and three atlases."""
    return write_phantoms(tmp_path, SHIFTS)


def atlases(at, names="abc"):
    return [
        Case(n, at / f"{n}.nii.gz", at / f"{n}_labels.nii.gz", None, split="train")
        for n in names
    ]


def segment(at, cases, options=OPTIONS, **faults):
    known = KnownRegistrations(shift, **faults)
    return segment_scan(at / "scan.nii.gz", cases, at / "out", options, known)


@pytest.mark.parametrize("fusion", ["majority", "weighted", "staple"])
def test_labels_come_from_the_atlases(at, fusion):
    result = segment(at, atlases(at), SegmentationOptions(fusion=fusion))
    truth = phantom()[1]
    assert min(dice_per_label(truth.data, result.labels.data).values()) > 0.99
    assert result.labels.grid.is_close(truth.grid)
    assert result.verdicts == dict.fromkeys("abc", "good")
    assert result.left_out == {}


def test_atlases_without_labels_and_bad_ones_are_left_out_and_said(at):
    cases = atlases(at)
    cases[0] = replace(cases[0], labels=None)
    (at / "b_labels.nii.gz").write_bytes(b"no labels")
    result = segment(at, cases)
    assert "no labels" in result.left_out["a"]
    assert "b_labels" in result.left_out["b"]
    assert [*result.verdicts] == ["c"]


def test_failed_registrations_are_left_out_and_doubtful_ones_are_not(at):
    verdicts = {"a": "failed", "b": "doubtful"}
    result = segment(at, atlases(at), verdicts=verdicts)
    assert [*result.left_out] == ["a"]
    assert result.verdicts == {"b": "doubtful", "c": "good"}


def test_an_atlas_that_is_the_scan_itself_takes_no_part(at):
    result = segment(at, atlases(at, ("scan", "a")))
    assert [*result.verdicts] == ["a"]
    assert result.left_out == {}
    with pytest.raises(InputError, match="other than the scan"):
        segment(at, atlases(at, ("scan",)))


def test_where_no_atlas_can_be_used_it_is_said_why(at):
    with pytest.raises(InputError, match=r"none .a: verdict failed"):
        segment(at, atlases(at, "a"), verdicts={"a": "failed"})


def test_labels_of_some_atlases_are_named(at):
    data = phantom()[1].data.copy()
    data[data == 2] = 1
    io.write(LabelMap(data, phantom(SHIFTS["b"])[1].grid), at / "b_labels.nii.gz")
    with pytest.warns(SuspiciousInputWarning, match="only some atlases .* labels 2:"):
        segment(at, atlases(at))


def with_other_labels(at, name, add):
    """Adds a number to all labels of an atlas."""
    data = phantom()[1].data + np.uint8(add) * (phantom()[1].data > 0)
    io.write(
        LabelMap(data, phantom(SHIFTS[name])[1].grid), at / f"{name}_labels.nii.gz"
    )


def test_atlases_of_other_structures_are_refused_before_any_is_registered(at):
    with_other_labels(at, "b", 40)
    known = KnownRegistrations(shift)
    with pytest.raises(InputError, match="labels of b"):
        segment_scan(at / "scan.nii.gz", atlases(at), at / "out", OPTIONS, known)
    assert known.rounds == []


def test_damaged_atlases_are_not_registered(at):
    (at / "b_labels.nii.gz").write_bytes(b"no labels")
    (at / "c.nii.gz").write_bytes(b"no scan")
    registered = []

    def registering(works, folder):
        registered.extend(work.moving for work in works)
        return KnownRegistrations(shift)(works, folder)

    segment_scan(at / "scan.nii.gz", atlases(at), at / "out", OPTIONS, registering)
    assert registered == ["a"]


@pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning")
def test_atlases_that_only_a_failed_one_joins_are_refused(at):
    with_other_labels(at, "a", 2)  # labels 3 and 4
    with_other_labels(at, "b", 1)  # 2 and 3, some of each of the others
    with pytest.raises(InputError, match=r"labels of a: expected .*: 1, 2,"):
        segment(at, atlases(at), verdicts={"b": "failed"})
