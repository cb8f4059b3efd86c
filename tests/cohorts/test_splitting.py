"""Division into train, val and test: what is drawn, what is kept, what is refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from voltween.cohorts import Case, split_cases
from voltween.errors import InputError


def cohort(count, *, split="train", scans=1):
    """Cases of `count` subjects, each scanned a number of times."""
    return [
        Case(f"p{n}-{scan}", Path("a.nii"), None, None, split, subject=f"p{n}")
        for n in range(count)
        for scan in range(scans)
    ]


def split(cases, *, val=0.1, test=0.2, seed=1, test_from=None):
    return split_cases(
        cases, val_share=val, test_share=test, seed=seed, test_from=test_from
    )


def names_by_split(cases):
    return {
        kind: {case.name for case in cases if case.split == kind}
        for kind in ("train", "val", "test")
    }


def test_shares_are_of_the_subjects_and_nothing_but_the_split_changes():
    cases = cohort(50)
    cases[7] = replace(cases[7], subject="", cohort="lits", split="test")
    divided = split(cases)
    assert Counter(c.split for c in divided) == {"train": 35, "val": 5, "test": 10}
    pairs = zip(cases, divided, strict=True)
    assert all(replace(new, split=old.split) == old for old, new in pairs)


def test_scans_of_a_subject_are_never_divided():
    divided = split(cohort(20, scans=3))
    splits = {}
    for case in divided:
        splits.setdefault(case.subject, set()).add(case.split)
    assert all(len(kinds) == 1 for kinds in splits.values())
    assert Counter(c.split for c in divided) == {"train": 42, "val": 6, "test": 12}


def test_a_case_without_subject_is_one_of_its_own():
    cases = [replace(case, subject="") for case in cohort(10, scans=2)]
    divided = split(cases, val=0.1, test=0.1)
    assert Counter(c.split for c in divided) == {"train": 16, "val": 2, "test": 2}


def test_the_draw_depends_on_seed_and_names_alone():
    cases = cohort(40)
    parts = names_by_split(split(cases))
    assert names_by_split(split(cases[::-1])) == parts
    relabeled = [replace(case, split="val") for case in cases]
    assert names_by_split(split(relabeled)) == parts
    assert names_by_split(split(cases, seed=2)) != parts
    assert names_by_split(split(cases, val=0.3))["test"] == parts["test"]
    # The same in every version: a division may be published by its command alone.
    drawn = split(cohort(10), val=0.2, test=0.2)
    assert names_by_split(drawn)["val"] == {"p2-0", "p5-0"}
    assert names_by_split(drawn)["test"] == {"p3-0", "p7-0"}


def test_the_test_set_can_be_that_of_another_split():
    cases = [
        *cohort(20),
        *(replace(c, name=c.name.upper(), subject="", split="val") for c in cohort(5)),
    ]
    parts = names_by_split(split(cases, val=0.2, test=0.0, test_from="val"))
    assert parts["test"] == {f"P{n}-0" for n in range(5)}
    assert len(parts["val"]) == 4
    assert parts["val"] < {f"p{n}-0" for n in range(20)}
    again = split(
        split(cases, val=0.2, test=0.0, test_from="val"),
        val=0.2,
        test=0.0,
        test_from="test",
    )
    assert names_by_split(again) == parts


def test_a_test_set_of_subjects_that_were_trained_on_is_refused():
    cases = cohort(12, scans=2)
    cases = [
        replace(c, split="val" if c.name.endswith("1") else "train") for c in cases
    ]
    with pytest.raises(InputError, match=r"got p0, p1, p10, p11, p2 and 7 more in oth"):
        split(cases, test=0.0, test_from="val")
    one = [*cohort(6), *cohort(1, split="val", scans=2)[1:]]
    with pytest.raises(InputError, match="in val only, got p0 in other splits, too"):
        split(one, test=0.0, test_from="val")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 1.0}, "share of val: expected a number from 0 to below 1, got 1.0"),
        ({"test": -0.1}, "share of test: expected a number from 0"),
        ({"val": float("nan")}, "share of val"),
        ({"val": 0.5, "test": 0.5}, "a sum below 1"),
        ({"test": 0.2, "test_from": "val"}, "expected --test or --test-from, got both"),
        ({"test": 0.0, "test_from": "test"}, "'test': expected at least 2 cases"),
        ({"val": 0.1, "test": 0.01}, r"'test': .* got 0 \(of 20 .*: give a larger"),
        ({"val": 0.06}, r"'val': .* got 1 \(of 20 cases of 20 subjects\)"),
        ({"val": 0.48, "test": 0.5}, "'train': .* got 0 .*: give smaller shares"),
    ],
)
def test_divisions_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        split(cohort(20), **options)


def test_a_split_without_a_share_is_not_asked_for():
    assert Counter(c.split for c in split(cohort(10), val=0.0, test=0.2)) == {
        "train": 8,
        "test": 2,
    }


def test_test_cases_do_not_become_training_cases_unnoticed():
    cases = [*cohort(10), *cohort(14, split="test")[10:]]
    with pytest.raises(InputError, match="--test-from test to keep them"):
        split(cases, val=0.2, test=0.0)
    with pytest.raises(InputError, match="without test cases"):
        split(cases, val=0.2, test=0.0, test_from="val")
    parts = names_by_split(split(cases, val=0.2, test=0.0, test_from="test"))
    assert parts["test"] == {f"p{n}-0" for n in range(10, 14)}
