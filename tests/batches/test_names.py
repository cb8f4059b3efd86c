"""Names of cases and pairs: safe, and of one thing each."""

import unicodedata
from pathlib import Path

import pytest

from voltween.batches.names import (
    alphanumeric_names,
    names_of_paths,
    safe_names,
    stem,
)
from voltween.storage import file_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/T1.nii.gz", "T1"),
        ("a/T1.NII", "T1"),
        ("a/sub.01.nrrd", "sub.01"),
        ("a/dicom.series", "dicom.series"),
        ("a/.nii.gz", ".nii.gz"),
    ],
)
def test_stem_is_the_name_without_the_suffix_of_a_scan(path, name):
    assert stem(Path(path)) == name


def test_scans_named_alike_are_told_apart_by_their_folders():
    paths = [Path(p) for p in ("x/s1/a/T1.nii", "x/s2/a/T1.nii", "x/s2/other.nii")]
    assert [*names_of_paths(paths).values()] == ["s1_a_T1", "s2_a_T1", "other"]


def test_names_that_no_folder_tells_apart_stay_alike():
    paths = [Path("T1.nii"), Path("T1.nrrd")]
    assert [*names_of_paths(paths).values()] == ["T1", "T1"]


def test_pairs_that_would_share_a_folder_get_names_of_their_own():
    keys = [("a_to_b", "c"), ("a", "b_to_c"), ("A", "B"), ("a", "b"), ("x", "y")]
    names = safe_names(keys)
    assert len({name.casefold() for name in names}) == len(keys)
    assert names[-1] == "x_to_y"
    assert names[0].startswith("a_to_b_to_c-")
    assert safe_names(keys[::-1]) == names[::-1]  # whatever their order is


def test_accents_in_two_forms_are_one_name_on_some_file_systems():
    keys = [(unicodedata.normalize(form, "Zoë"),) for form in ("NFC", "NFD")]
    one, other = safe_names(keys)
    assert unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other)


@pytest.mark.parametrize("name", ["a/b", "..", "con", "x" * 400, "a\nb", "", "ends."])
def test_every_name_can_be_a_folder(name):
    (safe,) = safe_names([(name,)])
    assert safe == file_name(name)
    assert "/" not in safe
    assert safe.strip(".")
    assert len(safe.encode()) <= 255


def test_labels_of_bids_are_letters_and_digits():
    labels = alphanumeric_names(["MNI152-2009", "sub-01_ses-1", "sub-01ses_1", "é"])
    assert labels["MNI152-2009"] == "MNI1522009"
    assert len({*labels.values()}) == 4
    assert all(label.isascii() and label.isalnum() for label in labels.values())
