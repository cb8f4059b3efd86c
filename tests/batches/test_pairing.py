"""The pairs of a cohort: to an atlas, all, in time, listed."""

from pathlib import Path

import pytest

from voltween.batches.cohort import CohortChoice
from voltween.batches.companions import Companions
from voltween.batches.pairing import (
    is_list_of_pairs,
    listed_pairs,
    pairs_in_time,
    pairs_of_all,
    pairs_to,
)
from voltween.cohorts import Case
from voltween.errors import InputError


def case(name, subject="", labels=None, points=None):
    return Case(name, Path(f"/data/{name}.nii"), labels, points, "", subject=subject)


CASES = [case("a", "s1", labels=Path("la")), case("b", "s1"), case("c", "s2")]


def names(pairs):
    return [(pair.fixed, pair.moving) for pair in pairs]


def test_every_case_is_registered_to_the_atlas_with_its_files(tmp_path):
    atlas, labels, points = (tmp_path / n for n in ("atlas.nii.gz", "labels", "points"))
    for path in (atlas, labels, points):
        path.touch()
    files = Companions(fixed_labels=labels, fixed_points=points)
    pairs = pairs_to(CASES, atlas, files)
    assert names(pairs) == [("atlas", "a"), ("atlas", "b"), ("atlas", "c")]
    assert pairs[0].companions == Companions(
        fixed_labels=labels, fixed_points=points, moving_labels=Path("la")
    )
    assert pairs[1].companions == files


def test_a_fixed_scan_or_file_of_it_that_does_not_exist_is_one_error(tmp_path):
    with pytest.raises(InputError, match="--fixed: expected a scan, or the name of a"):
        pairs_to(CASES, tmp_path / "atlas.nii.gz", Companions())
    files = Companions(fixed_mask=tmp_path / "mask.nii.gz")
    with pytest.raises(InputError, match="--fixed-mask: expected a file, got none at"):
        pairs_to(CASES, Path("a"), files)


def test_the_atlas_may_be_a_case_which_is_not_registered_to_itself():
    by_name = pairs_to(CASES, Path("a"), Companions())
    by_path = pairs_to(CASES, Path("/data/a.nii"), Companions())
    assert names(by_name) == names(by_path) == [("a", "b"), ("a", "c")]
    assert by_name[0].companions.fixed_labels == Path("la")
    assert by_path == by_name


def test_all_ordered_pairs():
    pairs = names(pairs_of_all(CASES))
    assert len(pairs) == 6
    assert ("a", "b") in pairs
    assert ("b", "a") in pairs


def test_later_scans_are_registered_to_the_first_of_the_subject():
    cases = [*CASES, case("d", "s1"), case("e", "s2")]
    assert names(pairs_in_time(cases)) == [("a", "b"), ("a", "d"), ("c", "e")]


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([case("a", "s1"), case("b", "s2")], "a subject with at least two scans"),
        ([case("a", "s1"), case("b")], "a subject of every case.*none of b"),
    ],
)
def test_without_two_scans_of_a_subject_there_is_no_time(cases, message):
    with pytest.raises(InputError, match=message):
        pairs_in_time(cases)


def test_one_case_makes_no_pair():
    with pytest.raises(InputError, match="at least two cases"):
        pairs_of_all(CASES[:1])


def listed(folder, *lines):
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder / "pairs.csv"


def test_a_list_of_pairs_holds_paths_and_what_comes_with_them(tmp_path):
    path = listed(
        tmp_path,
        "fixed,moving,moving_labels,fixed_mask,initial,age",
        "x/T1.nii,y/T1.nii,y/seg.nii,,a.tfm; b.tfm,40",
        "x/T1.nii,z.nii,,,,",
    )
    assert is_list_of_pairs(path)
    first, second = listed_pairs(path)
    assert (first.fixed, first.moving, second.moving) == ("x_T1", "y_T1", "z")
    assert first.fixed_image == tmp_path / "x" / "T1.nii"
    assert first.companions == Companions(
        initial=(tmp_path / "a.tfm", tmp_path / "b.tfm"),
        moving_labels=tmp_path / "y" / "seg.nii",
    )
    assert second.companions == Companions()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["fixed,moving", "a.nii,"], "row 2: expected a moving scan"),
        (["fixed,moving,fixed_label", "a,b,c"], "columns among .*got fixed_label"),
        (["fixed,moving", "a,b", "a,b"], "every pair once, got b to a twice"),
        (["fixed,moving,fixed_labels", "a,b,c;d"], "expected one file, got 2"),
        (["fixed,moving"], "expected pairs in "),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(lines, message, tmp_path):
    with pytest.raises(InputError, match=message):
        listed_pairs(listed(tmp_path, *lines))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (CohortChoice(), "--fixed, --all-pairs, --longitudinal: expected one of them"),
        (CohortChoice(Path("a"), longitudinal=True), "got --fixed and --longitudinal"),
        (
            CohortChoice(all_pairs=True, companions=Companions(fixed_mask=Path("m"))),
            "--fixed-mask: expected --fixed, whose file it is",
        ),
    ],
)
def test_there_is_one_way_to_form_pairs(choice, message, tmp_path):
    (tmp_path / "a.nii").touch()
    with pytest.raises(InputError, match=message):
        choice.pairs(tmp_path)


def test_a_list_of_pairs_needs_no_other_way(tmp_path):
    path = listed(tmp_path, "fixed,moving", "a,b")
    assert names(CohortChoice().pairs(path)) == [("a", "b")]
    with pytest.raises(InputError, match="none of these options with a list"):
        CohortChoice(all_pairs=True).pairs(path)
