"""DICOM registrations, from and to two DICOM scans: matrices and deformations.

A Spatial Registration holds a matrix, from the moving to the fixed frame of reference
(PS3.3 C.20.2); a Deformable Spatial Registration holds offsets at a grid of the fixed
frame, which lead to the moving one (C.20.3): they are the displacements of a transform
of this package, in LPS.
"""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from voltween.errors import InputError
from voltween.io.container import DICOM, check_file
from voltween.io.dicom import dicom_grid, dicom_slices
from voltween.io.dicom_registration_reading import (
    DEFORMABLE_REGISTRATION,
    SPATIAL_REGISTRATION,
)
from voltween.io.dicom_slices import reporting_damage
from voltween.io.itk import flip_matrix, flip_vectors, is_perpendicular, lps_affine
from voltween.spatial import Affine, Grid, Transform
from voltween.storage import (
    PathLike,
    check_is_no_input,
    check_suffix,
    folder_and_series,
    naming,
    reading,
    whole_file,
)

_FROM_FIXED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    "ReferringPhysicianName",
)
_MOST_BYTES = 2**32 - 2  # of a value in DICOM
_RIGID_TOLERANCE = 1e-5


def check_registration_name(path: Path) -> None:
    """Checks the name of a file for a DICOM registration, before the work for it.

    Raises:
        InputError: If it does not end in .dcm.
    """
    check_suffix(path, (".dcm",), "a DICOM registration")


def write_dicom_registration(
    transform: Transform, path: PathLike, *, fixed: PathLike, moving: PathLike
) -> Path:
    """Writes a transform as a DICOM registration of two DICOM scans; returns its path.

    An affine transform becomes a Spatial Registration, and any other one a Deformable
    Spatial Registration with its displacements at the voxels of the fixed scan, in
    single precision. The object belongs to the patient, the study and the frame of
    reference of the fixed scan.

    Args:
        transform: Maps fixed to moving world mm.
        path: File to write, .dcm.
        fixed: DICOM folder or file of the fixed scan.
        moving: DICOM folder or file of the moving scan.

    Raises:
        InputError: If a scan is no DICOM, does not name its frame of reference, or is
            the file to write; or if the fixed scan is sheared, or has too many voxels
            for a DICOM value.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    check_registration_name(path)
    with reading(folder_and_series(scan)[0] for scan in (fixed, moving)):
        check_is_no_input(path)
    fixed_images, moving_images = _images(fixed), _images(moving)
    header = _header(fixed_images, moving_images)
    if isinstance(transform, Affine):
        _add_matrices(header, transform, fixed_images, moving_images)
    else:
        with naming(fixed):
            grid = dicom_grid(*folder_and_series(fixed))
            _add_grid(header, transform, grid, moving_images)
    with whole_file(path) as partial:
        header.save_as(partial, enforce_file_format=True)
    return path


def _images(scan: PathLike) -> list[Dataset]:
    """The headers of a scan's files, without pixels."""
    location, series = folder_and_series(scan)
    with naming(scan):
        if not location.is_dir() and check_file(location).kind is not DICOM:
            raise InputError(
                expected="a DICOM scan, whose patient and frame of reference a DICOM "
                "registration names",
                got=check_file(location).kind.name,
                advice="give the folder of the DICOM series",
            )
        headers: list[Dataset] = []
        for file in dict.fromkeys(part.path for part in dicom_slices(location, series)):
            with reporting_damage(file):
                headers.append(pydicom.dcmread(file, stop_before_pixels=True))
        for name in ("FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not headers[0].get(name):
                raise InputError(
                    expected=f"DICOM images with {name}", got="none in their headers"
                )
    return headers


def _header(fixed: list[Dataset], moving: list[Dataset]) -> Dataset:
    """An object of the fixed scan's patient and study, without its content."""
    now = datetime.now(UTC)
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, which has the letters of all
    for name in _FROM_FIXED:
        setattr(header, name, fixed[0].get(name, ""))
    header.SOPInstanceUID, header.SeriesInstanceUID = generate_uid(), generate_uid()
    header.Modality = "REG"
    header.SeriesNumber = header.InstanceNumber = 1
    header.FrameOfReferenceUID = fixed[0].FrameOfReferenceUID
    header.PositionReferenceIndicator = fixed[0].get("PositionReferenceIndicator", "")
    header.Manufacturer = header.ManufacturerModelName = "Voltween"
    header.DeviceSerialNumber = "0"
    header.SoftwareVersions = version("voltween")
    header.ContentDate = header.SeriesDate = now.strftime("%Y%m%d")
    header.ContentTime = header.SeriesTime = now.strftime("%H%M%S")
    header.ContentLabel = "REGISTRATION"
    header.ContentDescription = "Moving scan to fixed scan"
    header.ContentCreatorName = ""
    _add_references(header, fixed, moving)
    return header


def _add_references(
    header: Dataset, fixed: list[Dataset], moving: list[Dataset]
) -> None:
    """Names the images of both scans, by study and series (C.12.2)."""
    others = []
    for images in (fixed, moving):
        series = Dataset()
        series.SeriesInstanceUID = images[0].SeriesInstanceUID
        series.ReferencedInstanceSequence = _references(images)
        if images[0].StudyInstanceUID == header.StudyInstanceUID:
            same_study = [*header.get("ReferencedSeriesSequence", ()), series]
            header.ReferencedSeriesSequence = same_study
        else:
            study = Dataset()
            study.StudyInstanceUID = images[0].StudyInstanceUID
            study.ReferencedSeriesSequence = [series]
            others.append(study)
    if others:
        header.StudiesContainingOtherReferencedInstancesSequence = others


def _references(images: list[Dataset]) -> list[Dataset]:
    references = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        references.append(reference)
    return references


def _add_matrices(
    header: Dataset, transform: Affine, fixed: list[Dataset], moving: list[Dataset]
) -> None:
    """Adds the map from the moving to the fixed frame of reference."""
    _set_class(header, SPATIAL_REGISTRATION)
    items = []
    maps = (fixed, np.eye(4)), (moving, transform.inverse().matrix)
    for images, matrix in maps:
        registration = Dataset()
        registration.RegistrationTypeCodeSequence = []
        registration.MatrixSequence = [_matrix(flip_matrix(matrix))]
        item = Dataset()
        item.FrameOfReferenceUID = images[0].FrameOfReferenceUID
        item.ReferencedImageSequence = _references(images)
        item.MatrixRegistrationSequence = [registration]
        items.append(item)
    header.RegistrationSequence = items


def _matrix(lps: Float[np.ndarray, "4 4"]) -> Dataset:
    item = Dataset()
    item.FrameOfReferenceTransformationMatrix = _decimals(lps.ravel())
    linear = lps[:3, :3]
    is_rotation = np.allclose(linear.T @ linear, np.eye(3), 0, _RIGID_TOLERANCE)
    is_rigid = is_rotation and np.linalg.det(linear) > 0
    item.FrameOfReferenceTransformationMatrixType = "RIGID" if is_rigid else "AFFINE"
    return item


def _add_grid(
    header: Dataset, transform: Transform, grid: Grid, moving: list[Dataset]
) -> None:
    """Adds the displacements at the voxels of the fixed scan."""
    if not is_perpendicular(grid):
        raise InputError(
            expected="perpendicular axes, as a DICOM registration has",
            got="a sheared grid",
            advice="resample the scan, of which a tilted gantry has moved the slices",
        )
    if (size := 12 * int(np.prod(grid.shape))) > _MOST_BYTES:
        raise InputError(
            expected=f"at most {_MOST_BYTES:,} bytes of displacements", got=f"{size:,}"
        )
    _set_class(header, DEFORMABLE_REGISTRATION)
    vectors = flip_vectors(transform.displacements_mm(grid)).astype("<f4")
    affine = lps_affine(grid)
    offsets = Dataset()
    offsets.ImagePositionPatient = _decimals(affine[:3, 3])
    directions = affine[:3, :2] / grid.spacing_mm[:2]
    offsets.ImageOrientationPatient = _decimals(directions.T.ravel())
    offsets.GridDimensions = list(grid.shape)
    offsets.GridResolution = grid.spacing_mm.tolist()
    offsets.VectorGridData = vectors.transpose(2, 1, 0, 3).tobytes()  # i is the fastest
    item = Dataset()
    item.SourceFrameOfReferenceUID = moving[0].FrameOfReferenceUID
    item.ReferencedImageSequence = _references(moving)
    item.RegistrationTypeCodeSequence = []
    # Readers expect both matrices, although they may be left out.
    item.PreDeformationMatrixRegistrationSequence = [_matrix(np.eye(4))]
    item.PostDeformationMatrixRegistrationSequence = [_matrix(np.eye(4))]
    item.DeformableRegistrationGridSequence = [offsets]
    header.DeformableRegistrationSequence = [item]


def _decimals(numbers: Float[np.ndarray, " n"]) -> list[str]:
    """Decimal strings of at most 16 characters, as DICOM stores them."""
    return [format_number_as_ds(float(number)) for number in numbers]


def _set_class(header: Dataset, kind: str) -> None:
    header.SOPClassUID = uid = UID(kind)
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = uid
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
