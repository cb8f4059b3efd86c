"""Scans in two files: the voxels beside a header belong to it."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from voltween.cohorts.same_content import same_content
from voltween.storage import content_digest, files_of
from voltween.storage.detached import halves_of


def write_scan(folder, name, value=1):
    """Writes a scan whose voxels are in a file of their own; its path."""
    folder.mkdir(exist_ok=True)
    array = np.full((3, 4, 5), value, np.int16)
    if name.endswith((".hdr", ".img")):
        nibabel.save(nibabel.Nifti1Pair(array, np.eye(4)), folder / name)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / name))
    return folder / name


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("scan.hdr", "scan.img"),
        ("scan.img", "scan.hdr"),
        ("scan.nhdr", "scan.raw"),
        ("scan.mhd", "scan.raw"),
    ],
)
def test_both_halves_count(name, other, tmp_path):
    scan = write_scan(tmp_path / "a", name)
    assert files_of(scan) == [scan, scan.with_name(other)]
    changed = write_scan(tmp_path / "b", name, value=2)
    assert (scan.read_bytes() == changed.read_bytes()) == (name != "scan.img")
    assert content_digest(scan) != content_digest(changed)
    assert same_content([scan, changed]) == []
    copy = write_scan(tmp_path / "c", name)
    assert content_digest(scan) == content_digest(copy)
    assert same_content([scan, copy, changed]) == [[scan, copy]]


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha", "scan.nii"])
def test_other_files_stand_alone(name, tmp_path):
    scan = write_scan(tmp_path, name)
    assert files_of(scan) == [scan]


def test_a_header_names_no_file_elsewhere_and_none_that_is_missing(tmp_path):
    header = tmp_path / "scan.nhdr"
    (tmp_path.parent / "other.raw").touch()
    for name in ("lost.raw", "../other.raw", str(tmp_path.parent / "other.raw")):
        header.write_text(f"NRRD0004\ndata file: {name}\n")
        assert halves_of(header) == [header]
    assert halves_of(tmp_path / "none.hdr") == [tmp_path / "none.hdr"]
