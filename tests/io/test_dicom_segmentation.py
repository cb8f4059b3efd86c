"""DICOM segmentations as label maps."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from support.dicom import OBLIQUE, PATIENT, SAGITTAL, write_series
from voltween import io
from voltween.errors import InputError

highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed")

SHAPE = 12, 10, 7
# Cosines of columns and rows, first position, and slice distance.
STACKS = {
    "oblique": (OBLIQUE, (3.0, 4.0, -9.0), 2.5),
    "oblique, slices backward": (OBLIQUE, (3.0, 4.0, 20.0), -2.5),
    "sagittal": (SAGITTAL, (-12.0, 5.0, 30.0), 2.5),
    "flipped": ((-1, 0, 0, 0, 1, 0), (50.0, 4.0, 9.0), 2.5),
}
LABELS = np.zeros(SHAPE, np.uint8)
LABELS[2:6, 3:7, 1:4], LABELS[7:10, 1:4, 2:6] = 1, 2


def segment(number):
    code = highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical Structure")
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"structure {number}",
        segmented_property_category=code,
        segmented_property_type=code,
        algorithm_type="MANUAL",
    )


@pytest.fixture(name="folder", params=STACKS)
def folder_fixture(request, tmp_path):
    """A series (scan), and a segmentation of it (seg.dcm)."""
    orientation, first, step = STACKS[request.param]
    normal = np.cross(*np.reshape(orientation, (2, 3)))
    positions = [np.add(first, step * k * normal) for k in range(SHAPE[2])]
    fields = {**PATIENT, "ImageOrientationPatient": list(orientation)}
    write_series(tmp_path / "scan", LABELS.astype(np.uint16) * 100, positions, **fields)
    slices = [pydicom.dcmread(f) for f in sorted((tmp_path / "scan").iterdir())]
    seg = highdicom.seg.Segmentation(
        slices,
        LABELS.transpose(2, 1, 0),
        highdicom.seg.SegmentationTypeValues.BINARY,
        [segment(1), segment(2)],
        generate_uid(),
        1,
        generate_uid(),
        1,
        "Maker",
        "Model",
        "1",
        "1",
    )
    seg.save_as(tmp_path / "seg.dcm")
    return tmp_path


@pytest.mark.filterwarnings("ignore")  # of pydicom, on names of the test's scan
def test_every_label_is_where_it_was_drawn(folder):
    labels = io.read_labels(folder / "seg.dcm")
    scan = io.read(folder / "scan")
    assert labels.labels == (1, 2)
    voxels = np.argwhere(labels.data)
    in_scan = scan.grid.world_to_voxel(labels.grid.voxel_to_world(voxels.astype(float)))
    np.testing.assert_allclose(in_scan, np.rint(in_scan), atol=1e-4)
    i, j, k = np.rint(in_scan).astype(int).T
    np.testing.assert_array_equal(scan.data[i, j, k], 100 * labels.data[*voxels.T])
    assert len(voxels) == (scan.data > 0).sum()


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_one_is_refused(folder):
    content = (folder / "seg.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.dcm"):
        io.read_labels(folder / "cut.dcm")
