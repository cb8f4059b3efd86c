"""DICOM slices as scanners write them, by pydicom."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
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
