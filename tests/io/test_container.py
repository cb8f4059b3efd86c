"""Files are known by their first bytes; those of other kinds are refused in words."""

import bz2
import gzip
import os
import zipfile

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from voltween.errors import InputError
from voltween.io.container import (
    AFNI_MATRIX,
    ANALYZE,
    DICOM,
    FSL_MATRIX,
    HDF5,
    ITK_TEXT,
    LTA,
    MARKUPS,
    MATLAB4,
    METAIMAGE,
    MGH,
    NIFTI,
    NIFTI2,
    NIFTI2_PAIR,
    NIFTI_PAIR,
    NRRD,
    UNKNOWN,
    check_file,
)

VOXELS = np.zeros((3, 4, 5), np.int16)
IMAGES = {
    "a.nii": (nibabel.Nifti1Image, NIFTI),
    "a.nii.gz": (nibabel.Nifti1Image, NIFTI),
    "b.nii": (nibabel.Nifti2Image, NIFTI2),
    "a.hdr": (nibabel.Nifti1Pair, NIFTI_PAIR),
    "b.hdr": (nibabel.Nifti2Pair, NIFTI2_PAIR),
    "c.hdr": (nibabel.AnalyzeImage, ANALYZE),
    "a.mgz": (nibabel.MGHImage, MGH),
    "a.mgh": (nibabel.MGHImage, MGH),
}


@pytest.mark.parametrize("name", IMAGES)
def test_files_of_nibabel_are_recognized(name, tmp_path):
    make, kind = IMAGES[name]
    nibabel.save(make(VOXELS, np.eye(4)), tmp_path / name)
    content = check_file(tmp_path / name)
    assert content.kind is kind
    assert content.is_gzip == name.endswith("z")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.nrrd", NRRD), ("a.mha", METAIMAGE), ("a.mhd", METAIMAGE), ("a.dcm", DICOM)],
)
def test_images_of_itk_are_recognized(name, kind, tmp_path):
    image = sitk.Image([4, 4], sitk.sitkInt16)
    sitk.WriteImage(image, str(tmp_path / name))
    assert check_file(tmp_path / name).kind is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.h5", HDF5), ("a.tfm", ITK_TEXT), ("a.txt", ITK_TEXT), ("a.mat", MATLAB4)],
)
def test_transforms_of_itk_are_recognized(name, kind, tmp_path):
    sitk.WriteTransform(sitk.AffineTransform(3), str(tmp_path / name))
    assert check_file(tmp_path / name).kind is kind


def test_big_endian_headers_are_recognized(tmp_path):
    header = nibabel.AnalyzeHeader(endianness=">")
    (tmp_path / "a.hdr").write_bytes(header.binaryblock)
    assert check_file(tmp_path / "a.hdr").kind is ANALYZE


def test_the_content_decides_and_not_the_name(tmp_path):
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "a.nii.gz")
    os.rename(tmp_path / "a.nii.gz", tmp_path / "a.mha")
    content = check_file(tmp_path / "a.mha")
    assert (content.kind, content.is_gzip) == (NIFTI, True)


OTHERS = {
    "a parameter file of elastix": ('// by hand\n(Transform "Euler")\n', "transformix"),
    "a web page": ("<!DOCTYPE html>\n<html>", "download it again"),
    "a Git LFS pointer": ("version https://git-lfs.github.com/spec/v1\n", "lfs pull"),
    "a git-annex pointer": ("/annex/objects/MD5E-s10--ab.nii.gz\n", "datalad get"),
    "a VTK file": ('<?xml version="1.0"?>\n<VTKFile type="ImageData">', "NIfTI"),
    "a bzip2 file": (bz2.compress(b"a"), "bunzip2"),
    "a MINC 1 or netCDF file": (b"CDF\x01" + bytes(90), "mnc2nii"),
    "a file that is damaged, cut short or of another kind": ("of no kind", ""),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_kinds_are_named_with_the_way_on(name, tmp_path):
    text, advice = OTHERS[name]
    path = tmp_path / "file.nii.gz"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    content = check_file(path)
    with pytest.raises(InputError) as caught:
        content.expect((NIFTI,), "an image")
    assert caught.value.about == str(path)
    assert caught.value.got == name.strip()
    assert advice in caught.value.advice


def test_archives_pictures_and_json_are_told_apart(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "b")
    with h5py.File(tmp_path / "a.h5", "w"):
        pass
    (tmp_path / "a.json").write_text('{"markups": []}')
    assert check_file(tmp_path / "a.zip").kind.name == "a zip archive"
    assert check_file(tmp_path / "a.h5").kind is HDF5
    assert check_file(tmp_path / "a.json").kind is MARKUPS


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(InputError, match="a regular file, got a pipe"):
        check_file(tmp_path / "a.nii")
    with pytest.raises(InputError, match="a regular file, got a pipe"):
        check_file("/dev/zero")


def test_empty_and_damaged_files_are_refused_by_name(tmp_path):
    (tmp_path / "a.nii").touch()
    with pytest.raises(InputError, match=r"a\.nii: expected a file with content"):
        check_file(tmp_path / "a.nii")
    packed = bytearray(gzip.compress(bytes(range(256)) * 9))
    packed[10:30] = b"\xff" * 20
    (tmp_path / "b.nii.gz").write_bytes(packed)
    with pytest.raises(InputError, match=r"b\.nii\.gz: expected a whole gzip file"):
        check_file(tmp_path / "b.nii.gz")


def test_a_gzip_file_of_few_bytes_is_of_no_kind(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"few"))
    assert check_file(tmp_path / "a.nii.gz").kind is UNKNOWN


LTA_TEXT = "type      = 1\nnxforms   = 1\nmean      = 0 0 0\nsigma     = 1\n1 4 4\n"
ROW = "1.0 0 0 -2.5e1  \n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (LTA_TEXT, LTA),
        ("# transform file a.lta\n" + LTA_TEXT, LTA),
        (4 * ROW, FSL_MATRIX),
        (3 * ROW, AFNI_MATRIX),
        ("# 3dAllineate matrices (x):\n" + 12 * "1 ", AFNI_MATRIX),
    ],
)
def test_transforms_of_other_tools_are_told_by_their_content(text, kind, tmp_path):
    (tmp_path / "x").write_text(text)
    assert check_file(tmp_path / "x").kind is kind
