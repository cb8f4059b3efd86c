"""DICOM slices as scanners write them, by pydicom."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
PATIENT = {
    "FrameOfReferenceUID": "1.6",
    "StudyInstanceUID": "1.7",
    "SliceThickness": 2.5,
    "PositionReferenceIndicator": "",
    **dict.fromkeys(("PatientID", "PatientName", "StudyID", "AccessionNumber"), ""),
    **dict.fromkeys(("PatientBirthDate", "PatientSex"), ""),
    **dict.fromkeys(("StudyDate", "StudyTime", "ReferringPhysicianName"), ""),
}
"""The headers of a scan that objects refer to."""
_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_CT = "1.2.840.10008.5.1.4.1.1.2"


def write_slice(path, pixels, position, **fields):
    """A file with pixels (I, J), uint16, at a position in the frame of DICOM, mm.

    `fields` are those of DICOM, such as SeriesInstanceUID.
    """
    header = Dataset()
    header.SOPClassUID = _CT
    header.SOPInstanceUID = f"1.9.{abs(hash(path.name)) % 10**9}"
    header.SeriesInstanceUID = "1.8"
    header.Modality = "CT"
    header.Columns, header.Rows = pixels.shape[:2]
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    header.PixelSpacing = [1.5, 1.0]
    header.ImagePositionPatient = [float(mm) for mm in position]
    header.ImageOrientationPatient = list(AXIAL)
    header.PixelData = np.asfortranarray(pixels.astype("<u2")).tobytes(order="F")
    for name, value in fields.items():
        setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = _CT
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)


def write_series(folder, voxels, positions=None, prefix="slice", **fields):
    """A file per slice of voxels (I, J, K), 2 mm apart unless positions are given."""
    count = voxels.shape[2]
    for k, position in enumerate(positions or [(0, 0, 2 * k) for k in range(count)]):
        path = folder / f"{prefix}{k:02}.dcm"
        write_slice(path, voxels[:, :, k % count], position, **fields)
    return folder


def write_stack(folder, shape, orientation, first, step=2.5, **fields):
    """A series of zeros: shape (I, J, K), cosines, first position, slice distance.

    Slices go along the normal, or against it if the distance is negative.
    """
    axes = np.array(orientation, float).reshape(2, 3)
    normal = np.cross(*axes)
    positions = [np.array(first) + step * k * normal for k in range(shape[2])]
    fields = {**PATIENT, "ImageOrientationPatient": list(orientation), **fields}
    return write_series(folder, np.zeros(shape, np.uint16), positions, **fields)


def write_structure_set(path, structures, series="1.8", kind="CLOSED_PLANAR"):
    """A structure set of names and contours (N, 3) in the frame of DICOM, mm."""
    header = Dataset()
    header.SOPClassUID = _STRUCTURE_SET
    header.SOPInstanceUID, header.SeriesInstanceUID = "1.9.77", "1.8.77"
    header.Modality = "RTSTRUCT"
    header.ReferencedFrameOfReferenceSequence = [
        _holding(
            "RTReferencedStudySequence",
            _holding("RTReferencedSeriesSequence", _with(SeriesInstanceUID=series)),
        )
    ]
    names = enumerate(structures, 1)
    header.StructureSetROISequence = [_with(ROINumber=n, ROIName=x) for n, x in names]
    header.ROIContourSequence = [
        _with(
            ReferencedROINumber=number,
            ContourSequence=[_contour(contour, kind) for contour in contours],
        )
        for number, contours in enumerate(structures.values(), 1)
    ]
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = _STRUCTURE_SET
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.save_as(path, enforce_file_format=True)
    return path


def _with(**fields):
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return item


def _holding(name, item):
    return _with(**{name: [item]})


def _contour(positions, kind):
    numbers = [f"{mm:.4f}" for mm in np.ravel(positions)]
    count = len(numbers) // 3
    return _with(
        ContourGeometricType=kind, NumberOfContourPoints=count, ContourData=numbers
    )
