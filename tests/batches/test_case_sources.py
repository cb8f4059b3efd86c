"""The cases of manifests, folders of scans, and BIDS data sets."""

import numpy as np
import pytest

from support.cohorts import write_cohort, write_label_maps
from support.dicom import write_series
from voltween import io
from voltween.batches.bids_input import entities_of
from voltween.batches.case_sources import read_cases, read_label_maps
from voltween.errors import InputError


def write_files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def test_a_manifest_gives_its_cases_also_those_without_files(tmp_path):
    manifest = write_cohort(tmp_path, train=2, val=1)
    (tmp_path / "image1.nii.gz").unlink()
    cases = read_cases(manifest)
    assert [case.name for case in cases] == ["case0", "case1", "case2"]
    assert cases[2].labels == tmp_path / "labels2.nii.gz"


def test_a_folder_gives_every_scan_and_every_folder_of_dicom(tmp_path):
    write_files(tmp_path, "b.nii.gz", "a.nrrd", "notes.txt", ".hidden.nii", "out/x.nii")
    (tmp_path / "series").mkdir()
    write_series(tmp_path / "series", np.arange(60).reshape(5, 4, 3))
    cases = read_cases(tmp_path)
    assert [case.name for case in cases] == ["a", "b", "series"]
    assert io.read(cases[2].image).grid.shape == (5, 4, 3)


def test_scans_of_one_name_keep_their_suffixes(tmp_path):
    write_files(tmp_path, "a.nii", "a.nrrd", "b.nii")
    names = [case.name for case in read_cases(tmp_path)]
    assert names == ["a.nii", "a.nrrd", "b"]


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected scans .* or a BIDS data set"):
        read_cases(tmp_path)


def test_label_maps_of_a_folder_are_training_cases_without_a_scan(tmp_path):
    write_files(tmp_path, "b.nii.gz", "a.nrrd", "notes.txt", ".hidden.nii", "in/x.nii")
    cases = read_label_maps(tmp_path)
    assert [case.name for case in cases] == ["a", "b"]
    assert {case.split for case in cases} == {"train"}
    assert not any(case.has_scan for case in cases)
    (alone,) = read_label_maps(tmp_path / "b.nii.gz")
    assert alone.labels == tmp_path / "b.nii.gz"


def test_label_maps_of_a_manifest_are_its_cases(tmp_path):
    names = [case.name for case in read_label_maps(write_label_maps(tmp_path))]
    assert names == [f"case{n}" for n in range(6)]
    assert all(case.has_scan for case in read_label_maps(tmp_path / "cases.csv"))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_bids_data_set_without_sessions(tmp_path, suffix):
    write_files(
        tmp_path,
        f"sub-02/anat/sub-02_T1w{suffix}",
        f"sub-01/anat/sub-01_T1w{suffix}",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "derivatives/sub-03/anat/sub-03_T1w.nii.gz",
    )
    cases = read_cases(tmp_path)
    assert [case.name for case in cases] == ["sub-01", "sub-02"]
    assert [case.subject for case in cases] == ["sub-01", "sub-02"]


def test_sessions_of_bids_are_in_the_order_of_their_numbers(tmp_path):
    names = [f"sub-1/ses-{n}/anat/sub-1_ses-{n}_T1w.nii.gz" for n in (10, 9)]
    run = "sub-1/ses-9/anat/sub-1_ses-9_acq-mprage_run-2_T1w.nii.gz"
    cases = read_cases(write_files(tmp_path, *names, run))
    assert [case.name for case in cases] == [
        *("sub-1_ses-9", "sub-1_ses-9_acq-mprage_run-2", "sub-1_ses-10"),
    ]
    assert {case.subject for case in cases} == {"sub-1"}
    assert entities_of(cases[1].name) == {
        **{"sub": "1", "ses": "9", "acq": "mprage", "run": "2"}
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["sub-1/anat/T1 of sub-1_T1w.nii"], "names as BIDS has them"),
        (["sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_T1w.nii.gz"], "one file per"),
    ],
)
def test_what_bids_does_not_have_is_refused(names, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_cases(write_files(tmp_path, *names))
