"""Files are written whole or not at all, and as other tools write them."""

import gzip
import resource
import shutil
from contextlib import contextmanager

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import label_blocks, oblique_grid, smooth_field, smooth_image
from voltween import io
from voltween.errors import InputError, OutputError
from voltween.io import nifti
from voltween.io.itk import flip_vectors, image_to_itk
from voltween.spatial import Affine, Grid, Image, Transform

GRID = oblique_grid()


@contextmanager
def limited_files(most_bytes):
    """Files cannot grow beyond so many bytes, as on a full disk."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)


def test_writing_leaves_nothing_half_written(tmp_path):
    with pytest.raises(OutputError, match="expected a place that can be written to"):
        io.write(smooth_image(GRID), tmp_path / "missing" / "a.nii.gz")
    with pytest.raises(InputError, match=r"ends in .nii.gz.*got 'a.jpg'"):
        io.write(smooth_image(GRID), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = io.write(smooth_image(GRID), tmp_path / "a.mha")
    old = path.read_bytes()

    def fail(*_, **__):
        raise RuntimeError("disk full")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(OutputError, match="is the disk full"):
        io.write(smooth_image(GRID, 1), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cores", ["1", "3"])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_full_disk_while_writing_an_image_ends_in_one_line(
    name, cores, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    image = Image(
        np.random.default_rng(0).random((40, 30, 20)), oblique_grid((40, 30, 20))
    )
    with (
        limited_files(20_000),
        pytest.raises(OutputError, match=rf"{name}: .*got File"),
    ):
        io.write(image, tmp_path / name)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_nifti_is_what_itk_writes(tmp_path):
    for thing in (smooth_image(GRID), label_blocks(GRID), smooth_field(GRID)):
        is_field = isinstance(thing, Transform)
        numbers = thing.vectors_mm.astype(np.float32) if is_field else thing.data
        stored = flip_vectors(numbers) if is_field else numbers
        sitk.WriteImage(image_to_itk(stored, GRID), str(tmp_path / "theirs.nii"))
        ours = io.write(thing, tmp_path / "ours.nii").read_bytes()
        packed = io.write(thing, tmp_path / "ours.nii.gz").read_bytes()
        assert gzip.decompress(packed) == ours
        assert ours[352:] == (tmp_path / "theirs.nii").read_bytes()[352:]
        by_us, by_itk = (
            nibabel.load(tmp_path / name).header for name in ("ours.nii", "theirs.nii")
        )
        np.testing.assert_allclose(by_us.get_sform(), by_itk.get_sform(), rtol=1e-6)
        np.testing.assert_allclose(by_us.get_qform(), by_itk.get_qform(), rtol=1e-6)
        for field in ("dim", "datatype", "intent_code", "qform_code", "sform_code"):
            assert np.array_equal(by_us[field], by_itk[field])
        for field in ("xyzt_units", "vox_offset"):
            assert by_us[field] == by_itk[field]


@pytest.mark.parametrize("voxels", [1, 700, 10**6])
def test_slabs_of_any_size_make_the_same_file(voxels, tmp_path, monkeypatch):
    image = smooth_image(oblique_grid((70, 6, 9)))
    whole = io.write(image, tmp_path / "whole.nii").read_bytes()
    monkeypatch.setattr(nifti, "_SLAB_VOXELS", voxels)
    assert io.write(image, tmp_path / "slabs.nii").read_bytes() == whole
    assert np.array_equal(nibabel.load(tmp_path / "slabs.nii").get_fdata(), image.data)


def test_any_number_of_cores_makes_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti, "_PIECE_BYTES", 5000)
    written = set()
    for cores in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        image = smooth_image(oblique_grid((40, 30, 20)))
        written.add(io.write(image, tmp_path / "a.nii.gz").read_bytes())
    assert len(written) == 1


def test_transform_that_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match=r"free space to write it, got 0.0 MB"):
        io.write(smooth_field(GRID), tmp_path / "t.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("transform", "name", "fitting_bytes"),
    [
        (smooth_field(GRID), "t.h5", 5000),
        (smooth_field(GRID), "t.tfm", 5000),
        (Affine.identity(), "t.tfm", 100),  # fails when the file is closed
    ],
)
def test_full_disk_while_writing_a_transform_ends_in_one_line(
    transform, name, fitting_bytes, tmp_path, capfd
):
    with limited_files(fitting_bytes), pytest.raises(OutputError, match="a place that"):
        io.write(transform, tmp_path / name)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_sheared_grids_are_refused_where_only_itk_can_write(tmp_path):
    affine = oblique_grid().affine.copy()
    affine[:3, 1] += 0.3 * affine[:3, 0]
    with pytest.raises(InputError, match=r"perpendicular axes, .*got a sheared grid"):
        io.write(smooth_image(Grid((15, 12, 10), affine)), tmp_path / "a.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_an_axis_too_long_for_nifti_is_refused(tmp_path):
    data = np.arange(2.0**17, dtype=np.float32).reshape(2, 2**15, 2)
    scan = Image(data, Grid(data.shape, np.eye(4)))
    with pytest.raises(InputError, match="32767 voxels along an axis"):
        io.write(scan, tmp_path / "long.nii.gz")
    assert not list(tmp_path.iterdir())
    io.write(scan, tmp_path / "long.nrrd")
    assert (io.read(tmp_path / "long.nrrd").data == data).all()
