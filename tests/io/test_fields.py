"""Displacement fields in image files: whole, finite, in mm, and in a known frame."""

import gzip
import os

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import FIXED, oblique_grid, smooth_field
from voltween import io
from voltween.errors import InputError
from voltween.spatial import DisplacementField

GRID = oblique_grid((9, 8, 7))
FIELD = smooth_field(GRID)
SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".mha"]


def field_file(path, change=lambda header: None, dtype=np.float32, vectors=None):
    """A field as ITK stores it, with a change of its header."""
    vectors = FIELD.vectors_mm * [-1, -1, 1] if vectors is None else vectors
    image = nibabel.Nifti1Image(
        vectors[:, :, :, None].astype(dtype), GRID.affine, dtype=dtype
    )
    image.header.set_xyzt_units("mm")
    image.header.set_intent("vector")
    change(image.header)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fields_cut_short_are_refused(suffix, share, tmp_path):
    path = io.write(FIELD, tmp_path / f"WARP{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"WARP\S*: expected "):
        io.read_transform(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fields_with_numbers_that_are_none_are_refused(suffix, value, tmp_path):
    lps = np.ascontiguousarray(FIELD.vectors_mm.transpose(2, 1, 0, 3))
    lps[3, 3, 3] = value
    image = sitk.GetImageFromArray(lps.astype(np.float32), isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    with pytest.raises(InputError, match=r"displacement field: expected (finite|numb)"):
        io.read_transform(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("name", ["A.NII.GZ", "a.nii", "a.bin"])
def test_the_content_and_not_the_name_says_what_a_field_is(name, tmp_path):
    os.replace(io.write(FIELD, tmp_path / "b.nii.gz"), tmp_path / name)
    back = io.read_transform(tmp_path / name)
    np.testing.assert_allclose(back.vectors_mm, FIELD.vectors_mm, atol=1e-4)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_fields_in_other_units_are_refused(unit, tmp_path):
    path = field_file(tmp_path / "a.nii", lambda header: header.set_xyzt_units(unit))
    with pytest.raises(InputError, match="a displacement field in mm"):
        io.read_transform(path)


def test_units_and_frames_of_nrrd_fields_are_refused(tmp_path):
    path = io.write(FIELD, tmp_path / "a.nrrd")
    content = path.read_bytes()
    space = b"space: left-posterior-superior"
    path.write_bytes(content.replace(space, space + b'\nspace units: "um" "um" "um"'))
    with pytest.raises(InputError, match="a displacement field in mm, got um"):
        io.read_transform(path)
    path.write_bytes(content.replace(space, b"space: right-anterior-superior"))
    with pytest.raises(InputError, match="vectors in the space left-posterior-superio"):
        io.read_transform(path)


@pytest.mark.parametrize("code", [32, 128, 1792, 2048, 2304])
def test_data_types_of_colors_and_complex_numbers_are_refused(code, tmp_path):
    """In ITK two bytes of a header corrupt the memory."""
    path = field_file(tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[70:72] = code.to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"colors or complex numbers .*{code}"):
        io.read_transform(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intent_code": 2006}, "field of FSL: voltween convert"),
        ({"intent_code": 2007}, "spline coefficients of FSL's fnirt"),
        ({"intent_name": b"NREG_TRANS"}, "a transform of NiftyReg"),
        ({"intent_name": b"Mapping"}, "a deformation of SPM, which holds positions"),
        ({"descrip": b"Deformation"}, "a deformation of SPM"),
    ],
)
def test_fields_of_other_tools_are_named_with_the_way_on(change, message, tmp_path):
    def rewrite(header):
        for name, value in change.items():
            header[name] = value

    with pytest.raises(InputError, match=message):
        io.read_transform(field_file(tmp_path / "a.nii", rewrite))


def test_four_dimensions_are_no_field(tmp_path):
    """FSL stores its warps so, in voxels of its own."""
    vectors = nibabel.Nifti1Image(FIELD.vectors_mm.astype(np.float32), GRID.affine)
    nibabel.save(vectors, tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"9 x 8 x 7 x 3.*FSL"):
        io.read_transform(tmp_path / "a.nii.gz")


def test_vectors_of_the_standard_are_in_ras_as_itk_takes_them(tmp_path):
    def displacements(header):
        header["intent_code"] = 1006

    path = field_file(tmp_path / "a.nii", displacements, vectors=FIELD.vectors_mm)
    back = io.read_transform(path)
    np.testing.assert_allclose(back.vectors_mm, FIELD.vectors_mm, atol=1e-5)
    by_itk = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).transpose(2, 1, 0, 3)
    np.testing.assert_allclose(by_itk * [-1, -1, 1], FIELD.vectors_mm, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_fields_are_read_in_every_type_with_their_scale(dtype, tmp_path):
    whole = np.rint(FIELD.vectors_mm * 100) * [-1, -1, 1]
    path = field_file(
        tmp_path / "a.nii.gz",
        lambda header: header.set_slope_inter(0.01, 0),
        dtype=dtype,
        vectors=whole,
    )
    stored = nibabel.load(path).get_fdata()[:, :, :, 0] * [-1, -1, 1]
    np.testing.assert_allclose(io.read_transform(path).vectors_mm, stored, atol=1e-6)


def test_gzip_of_several_members_is_a_field(tmp_path):
    raw = io.write(FIELD, tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(
        gzip.compress(raw[:1000]) + gzip.compress(raw[1000:])
    )
    back = io.read_transform(tmp_path / "b.nii.gz")
    assert isinstance(back, DisplacementField)
    np.testing.assert_allclose(back.vectors_mm, FIELD.vectors_mm, atol=1e-4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_an_image_is_no_field(name, tmp_path):
    with pytest.raises(InputError, match="3 real numbers per voxel"):
        io.read_transform(io.write(FIXED, tmp_path / name))
