"""DICOM folders: regular stacks are read, others refused by naming the slices."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from support.dicom import SAGITTAL, write_series, write_slice
from voltween import io
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.storage import check_is_no_input, content_digest, is_there, reading

VOXELS = np.random.default_rng(0).integers(0, 900, (7, 6, 8)).astype(np.uint16)
LPS = np.array([-1, -1, 1])


def positions(depths):
    return [(0, 0, depth) for depth in depths]


def test_a_regular_stack_is_read_in_the_order_of_its_places(tmp_path):
    places = [(10, 20, 30 - 2 * k) for k in range(8)]
    scan = io.read(write_series(tmp_path / "a", VOXELS, places))
    np.testing.assert_array_equal(scan.data, VOXELS[:, :, ::-1])
    np.testing.assert_allclose(scan.grid.spacing_mm, [1.0, 1.5, 2.0])
    np.testing.assert_allclose(scan.grid.affine[:3, 3], [-10, -20, 16])


def test_every_voxel_of_a_tilted_gantry_is_where_its_slice_is(tmp_path):
    places = [(0, 0.5 * k, 2 * k) for k in range(8)]
    scan = io.read(write_series(tmp_path / "a", VOXELS, places))
    for k, place in enumerate(places):
        at = scan.grid.voxel_to_world(np.array([0.0, 0.0, k]))
        np.testing.assert_allclose(at, place * LPS, atol=1e-9)


def test_slopes_that_differ_by_slice_keep_their_fractions(tmp_path):
    for k in range(8):
        slope = 1 if k == 0 else 0.125 * k
        fields = {"RescaleSlope": slope, "RescaleIntercept": 0.5 if k else 0}
        write_slice(tmp_path / f"{k}.dcm", VOXELS[:, :, k], (0, 0, k), **fields)
    slopes = np.array([1, *(0.125 * k for k in range(1, 8))])
    intercepts = np.array([0, *[0.5] * 7])
    np.testing.assert_allclose(io.read(tmp_path).data, VOXELS * slopes + intercepts)


@pytest.mark.parametrize(
    ("depths", "message"),
    [
        ([0, 2, 4, 6, 14, 16, 18, 20], "8 mm between slice03.dcm and slice04.dcm"),
        ([0, 2, 4, 6, 8, 13, 18, 23], "5 mm between slice0"),
        ([0, 2, 4, 6, 6.9, 10, 12, 14], "equal distances, got 3.1 mm between slice04"),
        ([0, 0, 2, 2, 4, 4, 6, 6], "4 places with several, such as slice00.dcm and"),
    ],
)
def test_slices_that_are_no_regular_stack_are_named(depths, message, tmp_path):
    write_series(tmp_path / "a", VOXELS, positions(depths))
    with pytest.raises(InputError, match=message) as caught:
        io.read(tmp_path / "a")
    assert caught.value.about == str(tmp_path / "a")


def test_what_distinguishes_slices_of_one_place_is_said(tmp_path):
    write_series(tmp_path, VOXELS, prefix="a", EchoTime=4.5)
    write_series(tmp_path, VOXELS, prefix="b", EchoTime=9.5)
    with pytest.raises(InputError, match=r"which differ in EchoTime '4\.5' and '9\.5'"):
        io.read(tmp_path)


def test_a_slice_of_fewer_bits_than_the_others_is_named(tmp_path):
    write_series(tmp_path, VOXELS)
    write_slice(tmp_path / "slice01.dcm", VOXELS[:, :, 1], (0, 0, 2), BitsStored=12)
    with pytest.warns(
        SuspiciousInputWarning, match=r"slice01\.dcm state another number"
    ):
        io.read(tmp_path)


def test_positions_may_be_rounded(tmp_path):
    depths = [round(2.34 * k, 1) for k in range(8)]
    scan = io.read(write_series(tmp_path / "a", VOXELS, positions(depths)))
    assert scan.grid.spacing_mm[2] == pytest.approx(2.34, abs=0.01)


@pytest.mark.parametrize(
    "fields",
    [
        {"ImageOrientationPatient": list(SAGITTAL)},
        {"PixelSpacing": [2.0, 2.0]},
    ],
)
def test_a_scout_in_the_series_is_named(fields, tmp_path):
    write_series(tmp_path, VOXELS)
    write_slice(tmp_path / "scout.dcm", VOXELS[:, :, 0], (-9, -9, 70), **fields)
    with pytest.raises(InputError, match=r"1 of 9 that differ: scout\.dcm"):
        io.read(tmp_path)


def test_a_series_is_chosen_by_number_description_or_uid(tmp_path):
    fields = {"SeriesNumber": 3, "SeriesDescription": "T1 MPRAGE"}
    write_series(tmp_path, VOXELS, prefix="a", **fields)
    other = {"SeriesInstanceUID": "1.77", "SeriesNumber": 4, "SeriesDescription": "T2"}
    write_series(tmp_path, VOXELS + 1, prefix="b", **other)
    for name in ("4", "T2", "1.77"):
        np.testing.assert_array_equal(io.read(f"{tmp_path}#{name}").data, VOXELS + 1)
    with pytest.raises(InputError, match=r"got 2: 3 / T1 MPRAGE / 1\.8 \(8 files\), 4"):
        io.read(tmp_path)
    with pytest.raises(InputError, match="named 'T3', got none of 2: 3 / T1 MPRAGE"):
        io.read(f"{tmp_path}#T3")
    other["SeriesInstanceUID"] = "1.78"
    write_series(tmp_path, VOXELS, prefix="c", **other)
    with pytest.raises(InputError, match=r"named 'T2', got 2: 4 / T2 / 1\.77"):
        io.read(f"{tmp_path}#T2")


def test_series_one_folder_below_are_found(tmp_path):
    write_series(tmp_path / "first", VOXELS)
    (tmp_path / "notes.txt").write_text("of the scanner")
    np.testing.assert_array_equal(io.read(tmp_path).data, VOXELS)
    write_series(tmp_path / "second", VOXELS, SeriesInstanceUID="1.77")
    with pytest.raises(InputError, match="one DICOM series, got 2"):
        io.read(tmp_path)


def test_a_folder_without_series_is_refused(tmp_path):
    with pytest.raises(InputError, match="one DICOM series, got 0"):
        io.read(tmp_path)
    write_slice(tmp_path / "a.dcm", VOXELS[:, :, 0], (0, 0, 0))
    with pytest.raises(InputError, match="one 3D image, got size 7 x 6 x 1"):
        io.read(tmp_path)
    with pytest.raises(InputError, match="give the folder of the series"):
        io.read(tmp_path / "a.dcm")


def test_slices_without_a_place_and_colors_are_refused(tmp_path):
    write_series(tmp_path / "a", VOXELS, ImagePositionPatient=None)
    with pytest.raises(InputError, match=r"slice00\.dcm: expected slices that say"):
        io.read(tmp_path / "a")
    pixels = np.zeros((7, 6, 8, 3))
    write_series(tmp_path / "b", pixels, SamplesPerPixel=3)
    with pytest.raises(InputError, match="one number per voxel, got 3"):
        io.read(tmp_path / "b")


@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
@pytest.mark.filterwarnings("ignore:.*Invalid value for VR UI")
def test_a_slice_cut_short_is_named(share, tmp_path):
    write_series(tmp_path, VOXELS)
    whole = (tmp_path / "slice03.dcm").read_bytes()
    (tmp_path / "slice03.dcm").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"slice03\.dcm: expected"):
        io.read(tmp_path)


def enhanced(planes):
    """The fields of a file with a plane per position."""
    shared, pixels = Dataset(), Dataset()
    orientation = Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    pixels.PixelSpacing = [1.5, 1.0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = (
        [orientation],
        [pixels],
    )
    per_plane = []
    for place in planes:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = list(place)
        group.PlanePositionSequence = [position]
        per_plane.append(group)
    return {
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": per_plane,
        "NumberOfFrames": len(planes),
    }


def test_a_file_of_several_planes_has_them_at_their_places(tmp_path):
    places = [(1.0, 2.0, 14.0 - 2 * k) for k in range(8)]
    write_slice(tmp_path / "a.dcm", VOXELS, (0, 0, 0), **enhanced(places))
    for path in (tmp_path, tmp_path / "a.dcm"):
        scan = io.read(path)
        np.testing.assert_array_equal(scan.data, VOXELS[:, :, ::-1])
        np.testing.assert_allclose(scan.grid.affine[:3, 3], [-1, -2, 0])
    places[4] = (1.0, 2.0, 7.0)
    write_slice(tmp_path / "a.dcm", VOXELS, (0, 0, 0), **enhanced(places))
    with pytest.raises(InputError, match=r"equal distances, got 3 mm between a\.dcm"):
        io.read(tmp_path / "a.dcm")


def test_the_folder_of_a_chosen_series_is_an_input(tmp_path):
    write_series(tmp_path / "a", VOXELS, SeriesNumber=3)
    chosen, other = Path(f"{tmp_path / 'a'}#3"), Path(f"{tmp_path / 'a'}#4")
    assert is_there(chosen)
    assert not is_there(tmp_path / "b#3")
    assert content_digest(chosen) != content_digest(other)
    with reading([chosen]), pytest.raises(InputError, match="not an input as well"):
        check_is_no_input(tmp_path / "a" / "slice03.dcm")


def test_a_field_of_no_known_type_is_told(tmp_path):
    write_series(tmp_path, VOXELS)
    path = tmp_path / "slice03.dcm"
    tag = b"\x20\x00\x0e\x00"  # SeriesInstanceUID
    path.write_bytes(path.read_bytes().replace(tag + b"UI", tag + b"UY"))
    with pytest.raises(InputError, match=r"slice03\.dcm: expected a whole DICOM file"):
        io.read(tmp_path)
