"""Files are written whole or not at all, and as other tools write them."""

import errno
import gzip
import resource
import shutil

import pytest
import SimpleITK as sitk

from support.scans import label_blocks, oblique_grid, smooth_field, smooth_image
from voltween import io
from voltween.errors import InputError, OutputError
from voltween.io import nifti
from voltween.spatial import Affine, Grid

GRID = oblique_grid()


def test_writing_leaves_nothing_half_written(tmp_path):
    with pytest.raises(OutputError, match="expected a place that can be written to"):
        io.write(smooth_image(GRID), tmp_path / "missing" / "a.nii.gz")
    with pytest.raises(InputError, match=r"ends in .nii.gz.*got 'a.jpg'"):
        io.write(smooth_image(GRID), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = io.write(smooth_image(GRID), tmp_path / "a.nii.gz")
    old = path.read_bytes()

    def fail(*_, **__):
        raise RuntimeError("disk full")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(OutputError, match="is the disk full"):
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
    with pytest.raises(OutputError, match="is the disk full"):
        io.write(smooth_image(GRID), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_compressing_ends_in_one_line_and_leaves_nothing(
    tmp_path, monkeypatch
):
    def write_half(source, target, length):
        target.write(source.read(3000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nifti.shutil, "copyfileobj", write_half)
    with pytest.raises(OutputError, match=r"a.nii.gz: .*got No space left"):
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
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (fitting_bytes, most[1]))
    try:
        with pytest.raises(OutputError, match="a place that can be written to"):
            io.write(transform, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_sheared_grids_are_refused_where_only_itk_can_write(tmp_path):
    affine = oblique_grid().affine.copy()
    affine[:3, 1] += 0.3 * affine[:3, 0]
    with pytest.raises(InputError, match=r"perpendicular axes, .*got a sheared grid"):
        io.write(smooth_image(Grid((15, 12, 10), affine)), tmp_path / "a.nrrd")
    assert list(tmp_path.iterdir()) == []
