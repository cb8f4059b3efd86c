"""DICOM registrations: written, read by the arithmetic of the standard, and back."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from support.dicom import AXIAL, OBLIQUE, SAGITTAL, write_stack
from support.scans import random_points_mm, some_affine
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Affine, DisplacementField

LPS = np.array([-1.0, -1.0, 1.0])
FIXED_SHAPE, MOVING_SHAPE = (14, 12, 10), (11, 13, 9)
STACKS = {
    "axial": (AXIAL, (3.0, 4.0, -9.0), 2.5),
    "oblique, slices backward": (OBLIQUE, (3.0, 4.0, 20.0), -2.5),
    "sagittal": (SAGITTAL, (-12.0, 5.0, 30.0), 2.5),
    "flipped": ((-1, 0, 0, 0, 1, 0), (50.0, 4.0, 9.0), 2.5),
}


def folders(root, stack):
    """The folders of a fixed and a moving scan, of different frames."""
    own = {"FrameOfReferenceUID": "2.6", "SeriesInstanceUID": "2.8", "PatientID": "p2"}
    place = OBLIQUE, (1.0, 2.0, 3.0)
    return {
        "fixed": write_stack(root / "fixed", FIXED_SHAPE, *stack),
        "moving": write_stack(root / "moving", MOVING_SHAPE, *place, **own),
    }


@pytest.fixture(name="scans")
def scans_fixture(tmp_path):
    return folders(tmp_path, STACKS["oblique, slices backward"])


@pytest.fixture(name="turned", params=STACKS)
def turned_fixture(request, tmp_path):
    return folders(tmp_path, STACKS[request.param])


def bent(grid):
    """An affine map after displacements of some mm at the voxels of a grid."""
    generator = np.random.default_rng(3)
    field = DisplacementField(grid, generator.normal(0, 2, (*grid.shape, 3)))
    return some_affine() @ field


def at(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def matrix_of(sequence):
    numbers = sequence[0].FrameOfReferenceTransformationMatrix
    return np.array(numbers, float).reshape(4, 4)


def test_offsets_lead_to_the_source_as_the_standard_says(turned, tmp_path):
    grid = io.read(turned["fixed"]).grid
    transform = bent(grid)
    path = io.write_dicom_registration(transform, tmp_path / "reg.dcm", **turned)
    header = pydicom.dcmread(path)
    (item,) = header.DeformableRegistrationSequence
    (offsets,) = item.DeformableRegistrationGridSequence
    assert header.FrameOfReferenceUID == "1.6"  # registered: the fixed scan's
    assert item.SourceFrameOfReferenceUID == "2.6"  # the moving scan's
    # PS3.3 C.20.3.1.1: source = post (pre (first + i row + j column + k depth) + D).
    row, column = np.array(offsets.ImageOrientationPatient, float).reshape(2, 3)
    steps = (
        np.stack([row, column, np.cross(row, column)])
        * np.array(offsets.GridResolution)[:, None]
    )
    sizes = list(offsets.GridDimensions)
    vectors = np.frombuffer(offsets.VectorGridData, "<f4").reshape(*sizes[::-1], 3)
    before = matrix_of(item.PreDeformationMatrixRegistrationSequence)
    after = matrix_of(item.PostDeformationMatrixRegistrationSequence)
    for i, j, k in [(0, 0, 0), (13, 2, 5), (4, 11, 9), (7, 6, 1)]:
        start = np.array(offsets.ImagePositionPatient, float) + [i, j, k] @ steps
        source = at(after, at(before, start) + vectors[k, j, i])
        expected = transform.map_positions((start * LPS)[None])[0] * LPS
        np.testing.assert_allclose(source, expected, atol=1e-4)


def test_a_deformation_is_read_back(turned, tmp_path):
    grid = io.read(turned["fixed"]).grid
    transform = bent(grid)
    path = io.write_dicom_registration(transform, tmp_path / "reg.dcm", **turned)
    centers = grid.voxel_centers_mm().reshape(-1, 3)
    np.testing.assert_allclose(
        io.read_transform(path).map_positions(centers),
        transform.map_positions(centers),
        atol=1e-4,
    )


def test_matrices_before_and_after_the_offsets_are_applied(turned, tmp_path):
    grid = io.read(turned["fixed"]).grid
    path = io.write_dicom_registration(bent(grid), tmp_path / "reg.dcm", **turned)
    header = pydicom.dcmread(path)
    item = header.DeformableRegistrationSequence[0]
    first, last = some_affine(1).matrix, some_affine(2).matrix
    for name, matrix in (("Pre", first), ("Post", last)):
        sequence = getattr(item, f"{name}DeformationMatrixRegistrationSequence")
        numbers = [f"{x:.12g}" for x in matrix.ravel()]
        sequence[0].FrameOfReferenceTransformationMatrix = numbers
    header.save_as(path)
    offsets = item.DeformableRegistrationGridSequence[0]
    vectors = np.frombuffer(offsets.VectorGridData, "<f4").reshape(10, 12, 14, 3)
    voxel = 3, 8, 6
    start = grid.voxel_to_world(np.array([voxel], float))[0]
    source = at(last, at(first, start * LPS) + vectors[voxel[::-1]])
    mapped = io.read_transform(path).map_positions(start[None])[0]
    np.testing.assert_allclose(mapped, source * LPS, atol=1e-4)


def test_a_matrix_leads_to_the_registered_frame(turned, tmp_path):
    transform = some_affine()
    path = io.write_dicom_registration(transform, tmp_path / "reg.dcm", **turned)
    header = pydicom.dcmread(path)
    own, other = header.RegistrationSequence
    assert own.FrameOfReferenceUID == header.FrameOfReferenceUID == "1.6"
    assert other.FrameOfReferenceUID == "2.6"
    matrix = matrix_of(other.MatrixRegistrationSequence[0].MatrixSequence)
    fixed_mm = random_points_mm(io.read(turned["fixed"]).grid, 9)
    moving_mm = transform.map_positions(fixed_mm)
    np.testing.assert_allclose(at(matrix, moving_mm * LPS), fixed_mm * LPS, atol=1e-8)
    again = io.read_transform(path)
    assert isinstance(again, Affine)
    np.testing.assert_allclose(again.matrix, transform.matrix, atol=1e-9)


@pytest.mark.skipif(not shutil.which("plastimatch"), reason="plastimatch is missing")
@pytest.mark.parametrize("kind", ["matrix", "offsets"])
def test_what_plastimatch_writes_is_read(kind, tmp_path):
    scans = folders(tmp_path, STACKS["axial"])
    grid = io.read(scans["fixed"]).grid
    field = DisplacementField(
        grid, np.random.default_rng(0).normal(0, 2, (*grid.shape, 3))
    )
    transform = some_affine() if kind == "matrix" else field
    path = tmp_path / ("a.tfm" if kind == "matrix" else "a.nrrd")
    io.write(transform, path)
    words = ["plastimatch", "xf-convert", "--input", path]
    words += ["--fixed-rcs", scans["fixed"], "--moving-rcs", scans["moving"]]
    words += ["--output-dicom", tmp_path / "theirs", "--filenames-without-uids"]
    subprocess.run(words, check=True, capture_output=True)
    (theirs,) = (tmp_path / "theirs").iterdir()
    centers = grid.voxel_centers_mm().reshape(-1, 3)
    np.testing.assert_allclose(
        io.read_transform(theirs).map_positions(centers),
        transform.map_positions(centers),
        atol=1e-3,  # it stores matrices with six decimals
    )


def test_it_belongs_to_the_patient_and_names_the_images(scans, tmp_path):
    path = io.write_dicom_registration(some_affine(), tmp_path / "a.dcm", **scans)
    header = pydicom.dcmread(path)
    assert (header.PatientID, header.StudyInstanceUID) == ("", "1.7")
    assert header.Modality == "REG"
    assert header.SOPInstanceUID == header.file_meta.MediaStorageSOPInstanceUID
    series = header.ReferencedSeriesSequence
    assert [each.SeriesInstanceUID for each in series] == ["1.8", "2.8"]
    counts = [len(each.ReferencedInstanceSequence) for each in series]
    assert counts == [FIXED_SHAPE[2], MOVING_SHAPE[2]]


@pytest.mark.parametrize(
    ("letters", "name"),
    [
        ("ISO_IR 192", "王^小东"),
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Иванов"),
    ],
)
def test_the_name_of_the_patient_keeps_its_letters(letters, name, tmp_path):
    fields = {"SpecificCharacterSet": letters, "PatientName": name, "StudyID": name}
    scan = write_stack(tmp_path / "scan", FIXED_SHAPE, *STACKS["axial"], **fields)
    path = io.write_dicom_registration(
        some_affine(), tmp_path / "a.dcm", fixed=scan, moving=scan
    )
    header = pydicom.dcmread(path)
    assert (str(header.PatientName), header.StudyID) == (name, name)


def test_a_slice_of_a_scan_is_not_written_over(scans):
    for role in scans:
        path = next(iter(scans[role].iterdir()))
        content = path.read_bytes()
        with pytest.raises(InputError, match="not an input as well"):
            io.write_dicom_registration(some_affine(), path, **scans)
        assert path.read_bytes() == content


def test_a_rigid_matrix_is_said_to_be_one(scans, tmp_path):
    shift = np.eye(4)
    shift[:3, 3] = 1, 2, 3
    kinds = []
    for matrix in (shift, np.diag([1.1, 1, 1, 1])):
        path = io.write_dicom_registration(Affine(matrix), tmp_path / "a.dcm", **scans)
        item = pydicom.dcmread(path).RegistrationSequence[1]
        sequence = item.MatrixRegistrationSequence[0].MatrixSequence
        kinds.append(sequence[0].FrameOfReferenceTransformationMatrixType)
    assert kinds == ["RIGID", "AFFINE"]


def test_scans_that_are_no_dicom_are_refused(scans, tmp_path):
    path = io.write(io.read(scans["fixed"]), tmp_path / "fixed.nii.gz")
    with pytest.raises(InputError, match=r"fixed\.nii\.gz.*DICOM.*got a NIfTI-1"):
        io.write_dicom_registration(
            some_affine(), tmp_path / "a.dcm", fixed=path, moving=scans["moving"]
        )
    assert not (tmp_path / "a.dcm").exists()


@pytest.mark.parametrize("name", ["FrameOfReferenceUID"])
def test_a_scan_without_a_frame_of_reference_is_refused(name, tmp_path):
    scan = write_stack(tmp_path / "scan", FIXED_SHAPE, *STACKS["axial"], **{name: ""})
    with pytest.raises(InputError, match=name):
        io.write_dicom_registration(
            some_affine(), tmp_path / "a.dcm", fixed=scan, moving=scan
        )


def test_a_slice_is_no_transform(scans):
    path = next(iter(scans["fixed"].iterdir()))
    with pytest.raises(InputError, match="expected a DICOM registration"):
        io.read_transform(path)


@pytest.mark.parametrize("kind", ["matrix", "offsets"])
def test_a_file_cut_short_is_refused(kind, scans, tmp_path):
    transform = (
        some_affine() if kind == "matrix" else bent(io.read(scans["fixed"]).grid)
    )
    path = io.write_dicom_registration(transform, tmp_path / "reg.dcm", **scans)
    content = path.read_bytes()
    ends = [len(content) * n // 25 for n in range(3, 25)]
    for end in (*ends, len(content) - 10):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"reg\.dcm"):
            io.read_transform(path)
