"""The places of the slices in DICOM files, as their headers state them."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from voltween.errors import InputError, SuspiciousInputWarning

# What may distinguish slices of one place.
VARYING = (
    *("EchoNumbers", "EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber"),
    *("DiffusionBValue", "ImageType", "TriggerTime", "AcquisitionTime"),
)
_TAGS = (
    *("SeriesInstanceUID", "SeriesDescription", "SeriesNumber", "Rows", "Columns"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("NumberOfFrames", "PixelData", "RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *VARYING,
)
# It logs what it warns of, too, and the warnings are told.
logging.getLogger("pydicom").setLevel(logging.ERROR)
_DEFERRED_BYTES = 4096  # longer values, such as pixels, are not read
_MOST_PLANES = 1 << 16
_MOST_PADDING_BYTES = 1 << 20
_TAGS_AT_THE_END = (b"\xfc\xff\xfc\xff", b"\xfa\xff\xfa\xff")  # padding, signatures
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True)
class PlainPixels:
    """The place and type of a plane's pixels in a file that does not compress them."""

    offset: int
    """Bytes before the plane."""
    dtype: np.dtype
    unused_bits: int
    """High bits of each number that are no part of it."""


@dataclass(frozen=True)
class Slice:
    """One plane of voxels: its file, number in the file, and place."""

    path: Path
    frame: int
    """Number of the plane in the file, from 0."""
    planes: int
    """Number of planes in the file."""
    shape: tuple[int, int]
    """Columns and rows: I and J."""
    position: Float[np.ndarray, " 3"]
    """Position of the first voxel, mm in the frame of DICOM (x left, y back)."""
    axes: Float[np.ndarray, "3 2"]
    """Steps between voxels along I and J, mm in the same frame."""
    scale: tuple[float, float]
    """Slope and intercept: a value is the stored number times one, plus the other."""
    pixels: PlainPixels | None
    """None if the pixels are compressed."""
    varying: tuple[str, ...]
    """Values of `VARYING`."""

    @property
    def name(self) -> str:
        """The name for messages."""
        return self.path.name + (f" (plane {self.frame + 1})" if self.frame else "")


def read_dicom_header(path: Path) -> Dataset:
    """Reads the header of a DICOM file, whose pixels must be whole if it has any.

    Raises:
        InputError: If the file is damaged.
    """
    with reporting_damage(path), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        header = pydicom.dcmread(
            path, defer_size=_DEFERRED_BYTES, specific_tags=list(_TAGS)
        )
        for name in _TAGS:  # each is decoded here, where errors are reported
            if name != "PixelData":
                header.get(name)
        if has_image(header):
            _check_pixels_are_whole(path, header)
    for text in sorted({str(warning.message) for warning in caught}):
        warnings.warn(f"{path}: {text}", SuspiciousInputWarning, stacklevel=2)
    return header


def has_image(header: Dataset) -> bool:
    """Whether it is the header of an image, not of a report, plan or directory.

    A file that is cut short counts as one, so that its reader reports it.
    """
    stored = UID(str(header.file_meta.get("MediaStorageSOPClassUID", "")))
    is_unknown = stored.name == stored
    return "Rows" in header or is_unknown or "Image Storage" in stored.name


def slices_of(path: Path, header: Dataset) -> list[Slice]:
    """The slices in a file.

    Raises:
        InputError: If it does not say where they are, or its header is damaged.
    """
    with reporting_damage(path):
        planes = _planes(header)
        if not 1 <= planes <= _MOST_PLANES:
            raise ValueError(f"{planes} planes")
        return [_slice(path, header, plane) for plane in range(planes)]


def _check_pixels_are_whole(path: Path, header: Dataset) -> None:
    pixels = header.get_item("PixelData")
    if pixels is None or "Rows" not in header or "Columns" not in header:
        raise ValueError("its image is missing")
    if _is_compressed(header):
        return  # the decoder finds that out
    if not isinstance(pixels, RawDataElement):
        raise ValueError("its image is of an unknown kind")
    bits = int(header.BitsAllocated) * int(header.get("SamplesPerPixel", 1))
    voxels = int(header.Rows) * int(header.Columns) * _planes(header)
    end = pixels.value_tell + pixels.length
    if pixels.length * 8 < voxels * bits or end > path.stat().st_size:
        raise ValueError("pixels are missing at its end")
    _check_end(path, end)


def _check_end(path: Path, end: int) -> None:
    """Checks that padding or signatures follow the pixels, if anything does.

    GDCM may read for ever in anything else.
    """
    with path.open("rb") as file:
        file.seek(end)
        tag, rest = file.read(4), file.read(_MOST_PADDING_BYTES)
    if tag not in _TAGS_AT_THE_END and any(tag + rest):
        raise ValueError("other bytes follow its pixels")


def _is_compressed(header: Dataset) -> bool:
    syntax = header.file_meta.TransferSyntaxUID
    return bool(syntax.is_compressed or syntax.is_deflated)


def _plain_pixels(header: Dataset, plane: int) -> PlainPixels | None:
    """The pixels of a plane, if they are plain integers."""
    pixels = header.get_item("PixelData")
    if _is_compressed(header) or not isinstance(pixels, RawDataElement):
        return None
    allocated, stored = int(header.BitsAllocated), int(header.BitsStored)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated:
        raise ValueError(f"{stored} of {allocated} bits per pixel")
    kind = "i" if int(header.PixelRepresentation) else "u"
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    plane_bytes = int(header.Rows) * int(header.Columns) * allocated // 8
    return PlainPixels(
        offset=pixels.value_tell + plane * plane_bytes,
        dtype=np.dtype(f"{order}{kind}{allocated // 8}"),
        unused_bits=allocated - stored,
    )


def _planes(header: Dataset) -> int:
    return int(header.get("NumberOfFrames") or 1)


def _slice(path: Path, header: Dataset, plane: int) -> Slice:
    samples = int(header.get("SamplesPerPixel", 1))
    if samples != 1:
        raise InputError(
            expected="one number per voxel", got=f"{samples} in {path.name}"
        )
    groups = list(_groups(header, plane))
    position = _numbers(groups, "ImagePositionPatient", 3)
    orientation = _numbers(groups, "ImageOrientationPatient", 6)
    row_step, column_step = _numbers(groups, "PixelSpacing", 2)
    along_i, along_j = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    is_rotation = np.allclose([*lengths, 1 + along_i @ along_j], 1, 0, _UNIT_TOLERANCE)
    if not is_rotation or min(row_step, column_step) <= 0:
        raise ValueError("its axes are not perpendicular or have no length")
    (slope,) = _numbers(groups, "RescaleSlope", 1, 1.0)
    (intercept,) = _numbers(groups, "RescaleIntercept", 1, 0.0)
    return Slice(
        path=path,
        frame=plane,
        planes=_planes(header),
        shape=(int(header.Columns), int(header.Rows)),
        position=position,
        axes=np.stack([along_i * column_step, along_j * row_step], axis=1),
        scale=(float(slope), float(intercept)),
        pixels=_plain_pixels(header, plane),
        varying=tuple(str(header.get(name, "")) for name in VARYING),
    )


def _groups(header: Dataset, plane: int) -> Iterator[Dataset]:
    """The parts of a header that may describe a plane, the most specific first."""
    per_plane = header.get("PerFrameFunctionalGroupsSequence")
    shared = header.get("SharedFunctionalGroupsSequence")
    for item in (per_plane[plane] if per_plane else None, shared and shared[0]):
        for element in item or ():
            if element.VR == "SQ" and element.value:
                yield element.value[0]
    if _planes(header) == 1 or not per_plane:
        yield header


def _numbers(
    groups: list[Dataset], name: str, count: int, default: float | None = None
) -> Float[np.ndarray, " n"]:
    """The numbers of a field, in the first part of the header that has it."""
    values = next((group[name].value for group in groups if name in group), default)
    if values is None or values == "":
        raise InputError(
            expected="slices that say where they are",
            got=f"a file without {name}",
            advice="leave it out, or convert the scan to NIfTI, with its place",
        )
    numbers = np.array(values, float).reshape(-1)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"{name} is {values}")
    return numbers


@contextmanager
def reporting_damage(path: Path) -> Iterator[None]:
    """Turns any error of pydicom on a file into one that names the file."""
    try:
        yield
    except InputError as error:
        raise error.add_context(path.name) from error
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        text = " ".join(str(error).split())[:100]
        raise InputError(
            about=path.name,
            expected="a whole DICOM file",
            got=f"one that is damaged ({text})",
        ) from error
