"""Compressed DICOM: decompressed in a process that may crash or take for ever."""

import os
import signal
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless

from support.dicom import write_series, write_slice
from voltween import io
from voltween.errors import InputError
from voltween.io import dicom_decoding

VOXELS = np.random.default_rng(0).integers(0, 900, (40, 30, 4)).astype(np.uint16)
OTHER_CHILD = "import os, sys\nsys.stdin.readline()\n{}\n"


def compress(path, compressor):
    if compressor == "RLE":
        header = pydicom.dcmread(path)
        header.compress(RLELossless)
        header.save_as(path)
        return
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(path))
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.KeepOriginalImageUIDOn()
    image = sitk.ReadImage(str(path))
    image.SetMetaData("0020|000e", "1.8")
    writer.Execute(image)


def compressed_series(folder, compressor="RLE", **fields):
    write_series(folder, VOXELS, **fields)
    for path in folder.iterdir():
        compress(path, compressor)
    return folder


@pytest.mark.parametrize("compressor", ["RLE", "JPEG", "JPEG2000"])
def test_compressed_slices_are_read_as_plain_ones(compressor, tmp_path):
    scan = io.read(compressed_series(tmp_path, compressor))
    np.testing.assert_array_equal(scan.data, VOXELS)


def test_slopes_of_compressed_slices_keep_their_fractions(tmp_path):
    for k in range(4):
        fields = {"RescaleSlope": 0.125 * (k + 1), "RescaleIntercept": 0.5}
        write_slice(tmp_path / f"{k}.dcm", VOXELS[:, :, k], (0, 0, k), **fields)
        compress(tmp_path / f"{k}.dcm", "RLE")
    expected = VOXELS * (0.125 * np.arange(1, 5)) + 0.5
    np.testing.assert_allclose(io.read(tmp_path).data, expected)


@pytest.mark.parametrize("compressor", ["RLE", "JPEG", "JPEG2000"])
def test_a_damaged_compressed_slice_is_named(compressor, tmp_path):
    compressed_series(tmp_path, compressor)
    path = tmp_path / "slice02.dcm"
    content = bytearray(path.read_bytes())
    del content[-900:-500]
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"slice02\.dcm: expected a whole DICOM"):
        io.read(tmp_path)


@pytest.mark.parametrize("ending", ["os.abort()", "os._exit(0)", "print('{', end='')"])
def test_a_crash_of_the_decoder_names_the_file(ending, tmp_path, monkeypatch):
    folder = compressed_series(tmp_path / "scan")
    child = tmp_path / "child.py"
    child.write_text(OTHER_CHILD.format(ending))
    monkeypatch.setattr(dicom_decoding, "_CHILD", child)
    with pytest.raises(InputError, match=r"slice00\.dcm: expected a whole DICOM"):
        io.read(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_file_that_takes_too_long_ends_the_process(tmp_path):
    pipe = tmp_path / "endless.dcm"
    os.mkfifo(pipe)
    request = {"path": str(pipe), "seconds": 0.1, "most_bytes": 4_000_000_000}
    with dicom_decoding._child() as process:
        assert dicom_decoding._ask(request, process)[1] is None
        assert process.wait(10) not in (0, -signal.SIGKILL)


def test_a_header_that_says_more_voxels_than_any_decoder_makes_is_refused(tmp_path):
    for path in compressed_series(tmp_path).iterdir():
        header = pydicom.dcmread(path)
        header.Rows = header.Columns = 60000
        header.save_as(path)
    with pytest.raises(InputError, match=r"slice00\.dcm: expected a whole DICOM"):
        io.read(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no masks of signals")
def test_an_interrupt_is_heard_while_files_are_decompressed():
    with dicom_decoding._child():
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
