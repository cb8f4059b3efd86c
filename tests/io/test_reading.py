import errno
import gzip
import json
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_field,
    smooth_image,
    stored,
)
from voltween import io
from voltween.errors import InputError
from voltween.io import nifti
from voltween.spatial import Grid, Image, Points

GRID = oblique_grid()


@pytest.mark.parametrize("suffix", io.IMAGE_SUFFIXES)
def test_images_come_back(suffix, tmp_path):
    image = smooth_image(GRID)
    io.write(image, tmp_path / f"image{suffix}")
    back = io.read(tmp_path / f"image{suffix}")
    assert back.grid.is_close(image.grid, 1e-4)
    np.testing.assert_array_equal(back.data, image.data)


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_world_agrees_with_nibabel_in_all_storage_orders(order, tmp_path):
    image = stored(smooth_image(GRID), order)
    io.write(image, tmp_path / "image.nii.gz")
    by_nibabel = nibabel.load(tmp_path / "image.nii.gz")
    np.testing.assert_allclose(by_nibabel.affine, image.grid.affine, atol=1e-4)
    np.testing.assert_array_equal(by_nibabel.get_fdata(dtype=np.float32), image.data)
    nibabel.save(
        nibabel.Nifti1Image(image.data, image.grid.affine), tmp_path / "b.nii.gz"
    )
    assert io.read(tmp_path / "b.nii.gz").grid.is_close(image.grid, 1e-4)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64]
)
def test_every_stored_type_is_read(dtype, tmp_path):
    data = np.arange(60).reshape(3, 4, 5).astype(dtype)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4), dtype=dtype), tmp_path / "a.nii")
    np.testing.assert_array_equal(io.read(tmp_path / "a.nii").data, data)


def test_scaled_integers_are_read_with_their_scale(tmp_path):
    image = nibabel.Nifti1Image(
        np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)
    )
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(io.read(tmp_path / "a.nii.gz").data, expected)


@pytest.mark.parametrize("shear", [1e-5, 1e-3, 0.3])
def test_sheared_images_are_read_and_written_though_itk_refuses_them(shear, tmp_path):
    affine = oblique_grid().affine.copy()
    affine[:3, 1] += shear * affine[:3, 0]
    image = smooth_image(Grid((15, 12, 10), affine))
    nibabel.save(nibabel.Nifti1Image(image.data, affine), tmp_path / "a.nii.gz")
    read = io.read(tmp_path / "a.nii.gz")
    assert read.grid.is_close(image.grid, 1e-2)
    back = io.read(io.write(image, tmp_path / "b.nii.gz"))
    assert back.grid.is_close(image.grid, 1e-2)
    np.testing.assert_array_equal(back.data, image.data)


def test_two_places_in_one_header_are_taken_as_itk_does_with_a_warning(tmp_path):
    scanner, template = GRID.affine, GRID.affine + np.eye(4, k=3) * 5
    image = nibabel.Nifti1Image(smooth_image(GRID).data, scanner)
    image.set_qform(scanner, "scanner")
    image.set_sform(template, "mni")
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.warns(UserWarning, match="qform and sform place it differently"):
        read = io.read(tmp_path / "a.nii.gz")
    by_itk = sitk.ReadImage(str(tmp_path / "a.nii.gz")).GetOrigin()
    np.testing.assert_allclose(read.grid.affine[:3, 3] * [-1, -1, 1], by_itk, atol=1e-4)


def test_sheared_grids_are_refused_where_only_itk_can_write(tmp_path):
    affine = oblique_grid().affine.copy()
    affine[:3, 1] += 0.3 * affine[:3, 0]
    with pytest.raises(InputError, match="perpendicular axes, got a sheared grid"):
        io.write(smooth_image(Grid((15, 12, 10), affine)), tmp_path / "a.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_label_maps_come_back_with_their_type(tmp_path):
    labels = label_blocks(GRID)
    io.write(labels, tmp_path / "labels.nii.gz")
    back = io.read_labels(tmp_path / "labels.nii.gz")
    assert back.data.dtype == labels.data.dtype
    np.testing.assert_array_equal(back.data, labels.data)


def test_four_dimensions_with_one_volume_are_squeezed(tmp_path):
    data = np.random.default_rng(0).random((5, 6, 7, 1)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(io.read(tmp_path / "a.nii.gz").data, data[..., 0])


def test_dicom_series_folder_is_read(tmp_path):
    image = Image(np.rint(smooth_image(GRID).data), GRID)
    io.write(image, tmp_path / "image.nrrd")
    write_dicom(sitk.ReadImage(str(tmp_path / "image.nrrd")), tmp_path / "series")
    back = io.read(tmp_path / "series")
    to_stored = np.abs(np.linalg.inv(image.grid.affine) @ back.grid.affine)[:3, :3]
    np.testing.assert_allclose(np.sort(to_stored.sum(0)), 1, atol=1e-3)
    np.testing.assert_allclose(back.grid.center_mm, image.grid.center_mm, atol=1e-2)
    assert np.sort(back.data.ravel()).tolist() == np.sort(image.data.ravel()).tolist()


def test_folder_without_or_with_two_series_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="one DICOM series, got 0"):
        io.read(tmp_path / "empty")
    write_dicom(sitk.Image([4, 4, 4], sitk.sitkInt16), tmp_path / "two", uid="1.2.3.1")
    write_dicom(sitk.Image([4, 4, 4], sitk.sitkInt16), tmp_path / "two", uid="1.2.3.2")
    with pytest.raises(InputError, match="one DICOM series, got 2"):
        io.read(tmp_path / "two")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_files_cut_short_are_refused(name, share, tmp_path):
    path = io.write(smooth_image(GRID), tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="damaged"):
        io.read(path)


def test_gzip_of_several_members_is_read(tmp_path):
    path = io.write(smooth_image(GRID), tmp_path / "a.nii")
    raw = path.read_bytes()
    members = gzip.compress(raw[:1000]) + gzip.compress(raw[1000:])
    (tmp_path / "b.nii.gz").write_bytes(members)
    np.testing.assert_array_equal(
        io.read(tmp_path / "b.nii.gz").data, io.read(path).data
    )


def save(data, path):
    nibabel.save(nibabel.Nifti1Image(np.asarray(data, np.float32), np.eye(4)), path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (
            lambda path: path.write_text("not an image"),
            "damaged, cut short or of another",
        ),
        (lambda path: save(np.zeros((5, 6)), path), "one 3D image, got size 5 x 6"),
        (
            lambda path: save(np.zeros((5, 6, 1)), path),
            "one 3D image, got size 5 x 6 x 1",
        ),
        (
            lambda path: save(np.zeros((5, 6, 7, 3)), path),
            "5 x 6 x 7 x 3: save the volume",
        ),
        (
            lambda path: save(np.full((5, 6, 7), np.nan), path),
            "210 of 210 that are NaN",
        ),
    ],
)
def test_bad_images_are_refused_by_name(make, message, tmp_path):
    path = tmp_path / "a.nii.gz"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        io.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_color_images_are_refused(tmp_path):
    path = str(tmp_path / "a.nrrd")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), path)
    with pytest.raises(InputError, match="one number per voxel, got 3"):
        io.read(path)


def test_writing_leaves_nothing_half_written(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        io.write(smooth_image(GRID), tmp_path / "missing" / "a.nii.gz")
    with pytest.raises(InputError, match=r"can be written as .nii.gz"):
        io.write(smooth_image(GRID), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = io.write(smooth_image(GRID), tmp_path / "a.nii.gz")
    old = path.read_bytes()

    def fail(*_, **__):
        raise RuntimeError("disk full")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(InputError, match="disk full"):
        io.write(smooth_image(GRID, 1), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_nifti_that_itk_cuts_short_on_a_full_disk_is_not_kept(
    name, tmp_path, monkeypatch
):
    whole_write = sitk.WriteImage

    def write_on_full_disk(image, path, **options):
        whole_write(image, path, **options)
        with open(path, "r+b") as file:
            file.truncate(3000)

    monkeypatch.setattr(sitk, "WriteImage", write_on_full_disk)
    with pytest.raises(InputError, match="is the disk full"):
        io.write(smooth_image(GRID), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_compressing_ends_in_one_line_and_leaves_nothing(
    tmp_path, monkeypatch
):
    def write_half(source, target, length):
        target.write(source.read(3000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nifti.shutil, "copyfileobj", write_half)
    with pytest.raises(InputError, match=r"a.nii.gz: cannot be written: No space left"):
        io.write(smooth_image(GRID), tmp_path / "a.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_compressed_nifti_is_what_itk_writes_to_the_byte(tmp_path):
    for thing in (smooth_image(GRID), smooth_field(GRID), label_blocks(GRID)):
        packed = io.write(thing, tmp_path / "ours.nii.gz").read_bytes()
        by_itk = io.write(thing, tmp_path / "theirs.nii").read_bytes()
        assert gzip.decompress(packed) == by_itk


def test_transform_that_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"needs 0.0 MB, 0.0 MB are free"):
        io.write(smooth_field(GRID), tmp_path / "t.h5")
    assert list(tmp_path.iterdir()) == []


POINTS = Points(
    np.array([[1.5, -2.25, 3.0], [40.0, 5.0, -6.125]]), ('left, "upper"', "right")
)


@pytest.mark.parametrize("name", ["p.csv", "p.fcsv", "p.mrk.json"])
def test_points_come_back(name, tmp_path):
    back = io.read_points(io.write(POINTS, tmp_path / name))
    np.testing.assert_array_equal(back.mm, POINTS.mm)
    assert back.names == POINTS.names


def test_points_in_lps_are_turned_into_ras(tmp_path):
    lps = "x,y,z\n1,2,3\n"
    (tmp_path / "plain.csv").write_text(lps)
    (tmp_path / "said.csv").write_text("x,y,z,frame\n1,2,3,LPS\n")
    (tmp_path / "slicer.fcsv").write_text(
        "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        "1,1,2,3,0,0,0,1,1,1,0,F-1,,\n"
    )
    markups = {
        "coordinateSystem": "LPS",
        "controlPoints": [{"label": "a", "position": [1, 2, 3]}],
    }
    (tmp_path / "slicer.mrk.json").write_text(json.dumps({"markups": [markups]}))
    assert io.read_points(tmp_path / "plain.csv").mm.tolist() == [[1, 2, 3]]
    assert io.read_points(tmp_path / "plain.csv", "LPS").mm.tolist() == [[-1, -2, 3]]
    for name in ("said.csv", "slicer.fcsv", "slicer.mrk.json"):
        assert io.read_points(tmp_path / name).mm.tolist() == [[-1, -2, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "columns x,y,z"),
        ("no points at all", "columns x,y,z"),
        ("", "columns x,y,z"),
        ("x,y,z\n1,2,3,4\n", "columns x,y,z"),
        ("x,y,z,frame\n1,2,3\n", "columns x,y,z"),
        ("x,y,z\n1,two,3\n", "columns x,y,z"),
        ("x,y,z,frame\n1,2,3,IJK\n", "RAS or LPS, got 'IJK'"),
        ("x,y,z,frame\n1,2,3,RAS\n1,2,3,LPS\n", "share one frame"),
    ],
)
def test_bad_points_are_refused(text, message, tmp_path):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        io.read_points(tmp_path / "p.csv")


def write_dicom(image, folder, uid="1.2.826.0.1.3680043.2.1125.1"):
    """A DICOM series of an image's slices, as scanners write them."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    image = sitk.Cast(image, sitk.sitkInt16)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    for k in range(image.GetSize()[2]):
        section = image[:, :, k]
        position = image.TransformIndexToPhysicalPoint((0, 0, k))
        tags = {
            "0008|0060": "MR",
            "0020|000e": uid,
            "0020|0037": "\\".join(map(str, [*directions[:, 0], *directions[:, 1]])),
            "0020|0032": "\\".join(map(str, position)),
            "0020|0013": str(k),
            "0008|0018": f"{uid}.{k}",
        }
        for tag, value in tags.items():
            section.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}.{k}.dcm"))
        writer.Execute(section)
