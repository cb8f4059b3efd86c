"""Image files of every kind against ITK and nibabel, and headers that lie."""

import bz2
import gzip
import os
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import STORAGE_ORDERS, oblique_grid, smooth_image, stored
from voltween import io
from voltween.errors import AssumptionWarning, InputError, SuspiciousInputWarning

IMAGE = smooth_image(oblique_grid())
VOXELS = np.arange(24, dtype="<i2")
STORED = VOXELS.tobytes()
NRRD = """NRRD0004
type: short
dimension: 3
sizes: 2 3 4
encoding: raw
endian: little
"""
SPACE = """space: left-posterior-superior
space directions: (1,0,0) (0,2,0) (0,0,3)
space origin: (5,6,7)
"""
META = "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_SHORT\n"


def nrrd(path, header, data=STORED):
    path.write_bytes(header.encode() + b"\n" + data)
    return path


def metaimage(path, header, data=STORED, where="LOCAL"):
    path.write_bytes(header.encode() + f"ElementDataFile = {where}\n".encode() + data)
    return path


def by_itk(path):
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = directions * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, np.diag([-1, -1, 1, 1]) @ affine


def check_as_itk(path):
    data, affine = by_itk(path)
    scan = io.read(path)
    np.testing.assert_array_equal(scan.data, data)
    np.testing.assert_allclose(scan.grid.affine, affine, atol=1e-5)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha"])
@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_what_itk_writes_is_read_as_by_itk(name, order, tmp_path):
    image = stored(IMAGE, order)
    io.write(image, tmp_path / "ours.nii")
    by_sitk = sitk.ReadImage(str(tmp_path / "ours.nii"))
    for is_compressed in (False, True):
        sitk.WriteImage(by_sitk, str(tmp_path / name), useCompression=is_compressed)
        check_as_itk(tmp_path / name)


@pytest.mark.parametrize("kind", ["Int8", "UInt16", "Int32", "UInt64", "Float64"])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mhd"])
def test_every_type_is_read_as_by_itk(kind, name, tmp_path):
    image = sitk.Cast(sitk.GaussianSource(size=[4, 5, 6]), getattr(sitk, f"sitk{kind}"))
    sitk.WriteImage(image, str(tmp_path / name), useCompression=True)
    check_as_itk(tmp_path / name)


@pytest.mark.parametrize(
    "lines",
    [
        SPACE,
        SPACE.replace("left-posterior", "right-anterior"),
        SPACE.replace("left-posterior", "left-anterior"),
        SPACE.replace("(0,2,0)", "(0.3,2,0)"),
        "# a comment\nunit:=um\n" + SPACE,
    ],
)
def test_frames_of_nrrd_are_read_as_by_itk(lines, tmp_path):
    check_as_itk(nrrd(tmp_path / "a.nrrd", NRRD + lines))


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "spacings: 1 2 3\n",
        "spacings: 1 2 3\naxis mins: 5 6 7\n",
        "spacings: 1 2 3\naxis mins: 5 6 7\ncenters: node cell node\n",
        SPACE.replace("left-posterior-superior", "scanner-xyz"),
    ],
)
def test_nrrd_without_an_anatomical_frame_is_read_as_by_itk_and_told(lines, tmp_path):
    with pytest.warns(AssumptionWarning, match="does not say where left and right are"):
        check_as_itk(nrrd(tmp_path / "a.nrrd", NRRD + lines))


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "ElementSize = 1 2 3\n",
        "ElementSpacing = 1 2 3\nElementSize = 4 5 6\nPosition = 5 6 7\n",
        "TransformMatrix = 0.6 0.8 0 -0.8 0.6 0 0 0 1\nOffset = 5 6 7\n",
        "BinaryDataByteOrderMSB = True\n",
    ],
)
def test_fields_of_metaimage_are_read_as_by_itk(lines, tmp_path):
    check_as_itk(metaimage(tmp_path / "a.mha", META + lines))


def test_nrrd_with_bzip2_or_a_list_axis_is_read(tmp_path):
    header = NRRD.replace("raw", "bzip2") + SPACE
    packed = nrrd(tmp_path / "a.nrrd", header, bz2.compress(VOXELS.tobytes()))
    np.testing.assert_array_equal(io.read(packed).data.ravel("F"), VOXELS)
    header = NRRD.replace("3\n", "4\n", 1).replace("2 3 4", "1 2 3 4")
    header += SPACE.replace("(1,0,0)", "none (1,0,0)")
    listed = nrrd(tmp_path / "b.nrrd", header + "kinds: list domain domain domain\n")
    np.testing.assert_array_equal(io.read(listed).data.ravel("F"), VOXELS)


@pytest.mark.parametrize(("unit", "mm"), [("um", 1e-3), ("mm", 1.0), ("m", 1e3)])
@pytest.mark.parametrize("shear", [0.0, 0.3])
def test_units_of_nrrd_are_honored(unit, mm, shear, tmp_path):
    lines = SPACE.replace("(0,2,0)", f"({shear},2,0)")
    plain = io.read(nrrd(tmp_path / "a.nrrd", NRRD + lines)).grid.affine
    lines += f'space units: "{unit}" "{unit}" "{unit}"\n'
    scaled = io.read(nrrd(tmp_path / "b.nrrd", NRRD + lines)).grid.affine
    np.testing.assert_allclose(scaled[:3], plain[:3] * mm)


def test_units_of_metaimage_are_honored_and_unknown_ones_told(tmp_path):
    lines = META + "ElementSpacing = 1 2 3\nDistanceUnits = "
    in_um = io.read(metaimage(tmp_path / "a.mha", lines + "um\n"))
    np.testing.assert_allclose(in_um.grid.spacing_mm, [1e-3, 2e-3, 3e-3])
    with pytest.warns(AssumptionWarning, match="'parsec', is unknown: taken as mm"):
        io.read(metaimage(tmp_path / "b.mha", lines + "parsec\n"))
    lines = NRRD + SPACE + 'space units: "parsec" "mm" "mm"\n'
    with pytest.warns(AssumptionWarning, match="'parsec', is unknown: taken as mm"):
        io.read(nrrd(tmp_path / "a.nrrd", lines))


@pytest.mark.parametrize(("unit", "mm"), [("micron", 1e-3), ("mm", 1), ("meter", 1e3)])
@pytest.mark.parametrize("shear", [0.0, 0.3])
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 2)])
def test_units_of_nifti_are_honored_without_a_warning(unit, mm, shear, codes, tmp_path):
    affine = IMAGE.grid.affine.copy()
    sform, qform = codes
    if sform and not qform:
        affine[:3, 1] += shear * affine[:3, 0]
    image = nibabel.Nifti1Image(IMAGE.data, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine if qform else None, qform)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    grid = io.read(tmp_path / "a.nii").grid
    np.testing.assert_allclose(grid.affine[:3] / mm, affine[:3], atol=1e-3)


def test_what_a_nifti_header_leaves_open_is_said_truly(tmp_path):
    image = nibabel.Nifti1Image(IMAGE.data, None)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.warns(AssumptionWarning, match="does not say where left and right are"):
        check_as_itk(tmp_path / "a.nii")
    image = nibabel.Nifti1Image(IMAGE.data, IMAGE.grid.affine)
    image.header["pixdim"][1:4] *= 2
    image.header["qform_code"] = 0
    nibabel.save(image, tmp_path / "b.nii", dtype=np.float32)
    raw = bytearray((tmp_path / "b.nii").read_bytes())
    raw[80:92] = np.array([2, 2, 2], "<f4").tobytes()
    (tmp_path / "b.nii").write_bytes(raw)
    with pytest.warns(AssumptionWarning, match=r"\(pixdim\) and its affine contradict"):
        io.read(tmp_path / "b.nii")


def test_nifti_2_and_mgz_are_read_as_by_nibabel(tmp_path):
    nibabel.save(nibabel.Nifti2Image(IMAGE.data, IMAGE.grid.affine), tmp_path / "a.nii")
    nibabel.save(nibabel.MGHImage(IMAGE.data, IMAGE.grid.affine), tmp_path / "a.mgz")
    nibabel.save(nibabel.MGHImage(IMAGE.data, IMAGE.grid.affine), tmp_path / "a.mgh")
    for name in ("a.nii", "a.mgz", "a.mgh"):
        scan = io.read(tmp_path / name)
        assert scan.grid.is_close(IMAGE.grid)
        np.testing.assert_array_equal(scan.data, IMAGE.data)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("names", [("a.hdr", "a.img"), ("A.HDR", "A.IMG")])
def test_either_half_names_a_pair(kind, names, tmp_path):
    nibabel.save(kind(IMAGE.data, IMAGE.grid.affine), tmp_path / "b.img")
    for half, name in zip(("b.hdr", "b.img"), names, strict=True):
        os.rename(tmp_path / half, tmp_path / name)
    for name in names:
        np.testing.assert_array_equal(io.read(tmp_path / name).data, IMAGE.data)
    os.remove(tmp_path / names[0])
    with pytest.raises(InputError, match=r"expected a \.hdr beside it"):
        io.read(tmp_path / names[1])


def test_the_content_decides_how_a_file_is_read(tmp_path):
    io.write(IMAGE, tmp_path / "a.nii.gz")
    io.write(IMAGE, tmp_path / "b.nrrd")
    os.rename(tmp_path / "a.nii.gz", tmp_path / "A.MHA")
    os.rename(tmp_path / "b.nrrd", tmp_path / "b.nii.gz")
    (tmp_path / "c.nii").write_bytes((tmp_path / "A.MHA").read_bytes())
    for name in ("A.MHA", "b.nii.gz", "c.nii"):
        np.testing.assert_array_equal(io.read(tmp_path / name).data, IMAGE.data)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_no_flipped_bit_of_compressed_voxels_passes(name, tmp_path):
    path = io.write(IMAGE, tmp_path / name)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(len(whole) // 4, len(whole), 40):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            io.read(path)


def test_bytes_left_over_are_told(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", NRRD + SPACE, VOXELS.tobytes() + b"more")
    with pytest.warns(SuspiciousInputWarning, match="holds 4 bytes more than its head"):
        io.read(path)


LIES = {
    "sizes": NRRD.replace("2 3 4", "1290 1290 1290") + SPACE,
    "huge sizes": NRRD.replace("2 3 4", "99999999 99999999 99999999") + SPACE,
    "gzip sizes": NRRD.replace("2 3 4", "1290 1290 1290").replace("raw", "gzip"),
    "negative size": NRRD.replace("2 3 4", "2 -3 4") + SPACE,
    "no size": NRRD.replace("sizes: 2 3 4\n", "") + SPACE,
    "infinite origin": NRRD + SPACE.replace("(5,6,7)", "(inf,6,7)"),
    "no direction": NRRD + SPACE.replace("(0,2,0)", "(0,0,0)"),
    "many axes": NRRD.replace("dimension: 3", "dimension: 1000000000") + SPACE,
    "fraction of an axis": NRRD.replace("dimension: 3", "dimension: 3.5") + SPACE,
    "text": NRRD.replace("raw", "ascii") + SPACE,
    "block": NRRD.replace("short", "block") + SPACE,
    "field twice": NRRD + SPACE + "sizes: 2 3 4\n",
    "skip": NRRD + SPACE + "byte skip: -1\n",
    "elsewhere": NRRD + SPACE + "data file: /etc/passwd\n",
    "above": NRRD + SPACE + "data file: ../a.raw\n",
    "list": NRRD + SPACE + "data file: LIST\na.raw\nb.raw\n",
    "pattern": NRRD + SPACE + "data file: a%d.raw 1 2 1\n",
    "pipe": NRRD + SPACE + "data file: pipe\n",
}
META_LIES = {
    "no axes": META.replace("NDims = 3", "NDims = -1"),
    "many axes": META.replace("NDims = 3", "NDims = 1000000000"),
    "sizes": META.replace("2 3 4", "1290 1290 1290"),
    "compressed sizes": META.replace("2 3 4", "1290 1290 1290")
    + "CompressedData = True\n",
    "infinite spacing": META + "ElementSpacing = inf 1 1\n",
    "nan direction": META + "TransformMatrix = nan 0 0 0 1 0 0 0 1\n",
    "channels": META + "ElementNumberOfChannels = -3\n",
    "type": META.replace("MET_SHORT", "MET_OTHER"),
    "text": META + "BinaryData = False\n",
    "header size": META + "HeaderSize = -1\n",
    "large header size": META + "HeaderSize = 99999999999\n",
}
PLACES = ("/etc/passwd", "../a.raw", "LIST", "a%d.raw 1 2 1", "pipe", "none.raw")


@pytest.mark.parametrize("name", LIES)
@pytest.mark.filterwarnings("ignore:.*does not say where left and right")
def test_lies_of_nrrd_headers_are_refused(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = nrrd(tmp_path / "a.nrrd", LIES[name])
    with pytest.raises(InputError) as caught:
        io.read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", META_LIES)
def test_lies_of_metaimage_headers_are_refused(name, tmp_path):
    path = metaimage(tmp_path / "a.mha", META_LIES[name])
    with pytest.raises(InputError) as caught:
        io.read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("place", PLACES)
def test_voxels_elsewhere_are_not_read(place, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = metaimage(tmp_path / "a.mhd", META, b"", place)
    with pytest.raises(InputError) as caught:
        io.read(path)
    assert str(caught.value).startswith(f"{path}: ")


NIFTI_FIELDS = {  # offset of a field in the header, and its new bytes
    "sizes": (42, np.array([1290] * 3, "<i2")),
    "negative size": (42, np.array([-5], "<i2")),
    "axes": (40, np.array([9], "<i2")),
    "complex": (70, np.array([32, 64], "<i2")),
    "colors": (70, np.array([128, 24], "<i2")),
    "unknown type": (70, np.array([77, 16], "<i2")),
    "infinite sform": (280, np.array([np.inf], "<f4")),
    "NaN sform": (284, np.array([np.nan], "<f4")),
    "infinite voxels": (80, np.array([np.inf], "<f4")),
    "infinite offset": (108, np.array([np.inf], "<f4")),
    "negative offset": (108, np.array([-1e9], "<f4")),
    "offset 0": (108, np.array([0], "<f4")),
    "offset at the end": (108, np.array([1e9], "<f4")),
}


@pytest.mark.parametrize("name", NIFTI_FIELDS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.filterwarnings("ignore:.*its header was mended")
def test_lies_of_nifti_headers_are_refused(name, suffix, tmp_path):
    image = nibabel.Nifti1Image(IMAGE.data, IMAGE.grid.affine)
    nibabel.save(image, tmp_path / "whole.nii")
    offset, field = NIFTI_FIELDS[name]
    raw = bytearray((tmp_path / "whole.nii").read_bytes())
    raw[offset : offset + field.nbytes] = field.tobytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(raw) if suffix == ".nii.gz" else raw)
    with pytest.raises(InputError) as caught:
        io.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_zlib_without_its_end_is_refused(tmp_path):
    packed = zlib.compress(VOXELS.tobytes())
    header = META + "CompressedData = True\n"
    whole = metaimage(tmp_path / "a.mha", header, packed)
    np.testing.assert_array_equal(io.read(whole).data.ravel("F"), VOXELS)
    for cut in (1, 4, 12):
        with pytest.raises(InputError, match="whole zlib data"):
            io.read(metaimage(tmp_path / "b.mha", header, packed[:-cut]))


def test_label_values_keep_their_bits(tmp_path):
    labels = np.arange(24, dtype=np.int64).reshape(2, 3, 4) + 2**62 + 1
    nibabel.save(
        nibabel.Nifti1Image(labels, np.eye(4), dtype=np.int64), tmp_path / "a.nii"
    )
    np.testing.assert_array_equal(io.read_labels(tmp_path / "a.nii").data, labels)
