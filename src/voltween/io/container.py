"""Tells what a file is by its first bytes, before any library reads it.

Names and suffixes are not trusted: `X.NII.GZ` and a gzip file under another name are
read by what they hold.
"""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from voltween.errors import InputError, check_is_path
from voltween.storage import PathLike, existing_file, naming

_HEAD_BYTES = 4096
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # of zlib: a gzip header and checksum are expected


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str
    """Its name in messages, such as "a NIfTI-1 image"."""
    advice: str = ""
    """Advice to convert such a file, if the package does not read it."""


NIFTI = Kind("a NIfTI-1 image")
NIFTI_PAIR = Kind("the header of a NIfTI-1 pair (.hdr and .img)")
NIFTI2 = Kind("a NIfTI-2 image")
NIFTI2_PAIR = Kind("the header of a NIfTI-2 pair (.hdr and .img)")
ANALYZE = Kind("the header of an Analyze 7.5 pair (.hdr and .img)")
NRRD = Kind("an NRRD image")
METAIMAGE = Kind("a MetaImage")
AFNI_VOLUME = Kind("the header of an AFNI data set (.HEAD and .BRIK)")
MRTRIX = Kind("an MRtrix image (.mif)")
MGH = Kind("a FreeSurfer image (.mgh, .mgz)")
DICOM = Kind("a DICOM file")
HDF5 = Kind("an HDF5 file")
ITK_TEXT = Kind("an ITK transform (text)")
MATLAB4 = Kind("a MATLAB 4 file, as ITK and ANTs write transforms (.mat)")
LTA = Kind("a FreeSurfer transform (LTA)")
FSL_MATRIX = Kind("a matrix of FSL (FLIRT)")
AFNI_MATRIX = Kind("a matrix of AFNI")
MARKUPS = Kind("a JSON file, such as Slicer's markups")
UNKNOWN = Kind("a file that is damaged, cut short or of another kind")

_TO_NIFTI = "convert it to NIfTI"
_SAVE_AS_ITK = "save it as an ITK transform"
# Offset, bytes found there, and what they show.
_MAGIC = (
    (344, b"n+1\0", NIFTI),
    (344, b"ni1\0", NIFTI_PAIR),
    (4, b"n+2\0", NIFTI2),
    (4, b"ni2\0", NIFTI2_PAIR),
    (0, b"\x5c\x01\0\0", ANALYZE),
    (0, b"\0\0\x01\x5c", ANALYZE),
    (0, b"NRRD", NRRD),
    (0, b"mrtrix image", MRTRIX),
    (128, b"DICM", DICOM),
    (0, b"\x89HDF\r\n\x1a\n", HDF5),
    (0, b"CDF", Kind("a MINC 1 or netCDF file", f"{_TO_NIFTI}, by mnc2nii")),
    (0, b"PK\x03\x04", Kind("a zip archive", "unpack it first")),
    (0, b"BZh", Kind("a bzip2 file", "decompress it first, by bunzip2")),
    (0, b"\xfd7zXZ", Kind("an xz file", "decompress it first, by unxz")),
    (0, b"\x28\xb5\x2f\xfd", Kind("a zstd file", "decompress it first, by unzstd")),
    (0, b"\x1f\x9d", Kind("a file of compress (.Z)", "decompress it first")),
    (0, b"\x89PNG", Kind("a PNG picture", "give a 3D image")),
    (0, b"\xff\xd8\xff", Kind("a JPEG picture", "give a 3D image")),
    (0, b"GIF8", Kind("a GIF picture", "give a 3D image")),
    (0, b"II*\0", Kind("a TIFF picture", _TO_NIFTI)),
    (0, b"MM\0*", Kind("a TIFF picture", _TO_NIFTI)),
    (0, b"%PDF", Kind("a PDF document", "give a 3D image")),
    (0, b"\x93NUMPY", Kind("a NumPy array", "save it as NIfTI with its affine")),
    (0, b"MATLAB 5.0", Kind("a MATLAB 5 file", _SAVE_AS_ITK)),
    (0, b"# vtk DataFile", Kind("a VTK file", _TO_NIFTI)),
    (0, b"version https://git-lfs", Kind("a Git LFS pointer", "run `git lfs pull`")),
    (0, b"#Insight Transform File", ITK_TEXT),
    (
        0,
        b"\x3f\x80\0\0\0\0",
        Kind(
            "a morph of FreeSurfer (.m3z)",
            "convert it: mri_warp_convert --inm3z FILE --outitk FIELD.nii.gz",
        ),
    ),
    (0, b"MNI Transform File", Kind("an MNI transform (.xfm)", _SAVE_AS_ITK)),
)
# Beginnings of text files, and what they show.
_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"
_TEXTS = (
    (r"(?:[^\n]*\n){0,40}?\s*(?:NDims|ElementDataFile)\s*=", METAIMAGE),
    (r"\s*ObjectType\s*=\s*Image\b", METAIMAGE),
    (
        r"(?:\s*#[^\n]*\n)*\s*type\s*=\s*\d+[^\n]*\n\s*nxforms\s*=",
        LTA,
    ),
    (rf"(?:\s*(?:{_NUMBER}\s+){{4}}){{4}}\s*$", FSL_MATRIX),
    (rf"(?:\s*(?:{_NUMBER}\s+){{4}}){{3}}\s*$", AFNI_MATRIX),
    (
        rf"#[^\n]* matrices [^\n]*\n(?:\s*{_NUMBER}){{12}}",
        AFNI_MATRIX,
    ),
    (
        r"(?:\s*//[^\n]*\n)*\s*\(\w+ [^\n]*\)",
        Kind(
            "a parameter file of elastix",
            "write its field: transformix -def all -tp FILE -out FOLDER",
        ),
    ),
    (r"\s*[{\[]", MARKUPS),
    (r"(?i)\s*<(?:!doctype\s+)?html", Kind("a web page", "download it again")),
    (r"(?s)\s*<.*<VTKFile", Kind("a VTK file", _TO_NIFTI)),
    (r"(?s)\s*<.*<GIFTI", Kind("a GIFTI surface", "give a 3D image")),
    (r"\s*type\s*=\s*\w+-attribute", AFNI_VOLUME),
    (r"# === DATA DESCRIPTION FILE", Kind("a Philips PAR header", "use parrec2nii")),
    (r"\S*/annex/objects/", Kind("a git-annex pointer", "run `datalad get`")),
)


@dataclass(frozen=True)
class Content:
    """A readable file and what its first bytes say."""

    path: Path
    kind: Kind
    is_gzip: bool
    """Whether the file is compressed by gzip; `kind` is that of its content."""
    head: bytes
    """Its first bytes, at most 4096, decompressed."""

    def expect(self, kinds: tuple[Kind, ...], expected: str) -> None:
        """Checks the kind of the file.

        Args:
            kinds: The kinds that the caller reads.
            expected: What the caller reads, in words, such as "an ITK transform".

        Raises:
            InputError: If the file is of another kind, with the way to convert it.
        """
        if self.kind not in kinds:
            packed = ", compressed by gzip" if self.is_gzip else ""
            raise InputError(
                about=self.path,
                expected=expected,
                got=f"{self.kind.name}{packed}",
                advice=self.kind.advice,
            )


def check_file(path: PathLike) -> Content:
    """Looks at the first bytes of a file.

    Raises:
        InputError: If it is missing, no regular file (a pipe or a device would block),
            not readable, empty, or a gzip file whose beginning is damaged.
    """
    check_is_path(path)
    file = existing_file(Path(path))
    if file.stat().st_size == 0:
        raise InputError(
            about=file, expected="a file with content", got="an empty file"
        )
    with file.open("rb") as opened:
        stored = opened.read(_HEAD_BYTES)
    is_gzip = stored.startswith(_GZIP)
    with naming(file):
        head = _decompressed(stored) if is_gzip else stored
    return Content(file, _kind_of(head), is_gzip, head)


def _decompressed(stored: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(stored, _HEAD_BYTES)
    except zlib.error as error:
        raise InputError(
            expected="a whole gzip file", got=f"a damaged one ({error})"
        ) from error


def _kind_of(head: bytes) -> Kind:
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if _is_mgh(head):
        return MGH
    if _is_matlab4(head):
        return MATLAB4
    text = head.decode("latin-1")
    return next((kind for text_, kind in _TEXTS if re.match(text_, text)), UNKNOWN)


def _is_mgh(head: bytes) -> bool:
    """Whether version, sizes, volumes and type are possible in an MGH file."""
    numbers = [int.from_bytes(head[n : n + 4], "big") for n in range(0, 24, 4)]
    version, *sizes, voxel_type = numbers
    return (
        len(head) >= 24
        and version == 1
        and all(0 < size < 1 << 20 for size in sizes)
        and voxel_type in range(12)
    )


def _is_matlab4(head: bytes) -> bool:
    """Whether it begins with a matrix header: type, rows, columns, 0, name length."""
    kind, rows, columns, is_complex, name_length = (
        int.from_bytes(head[n : n + 4], "little") for n in range(0, 20, 4)
    )
    name = head[20 : 20 + name_length]
    return (
        kind in (0, 10, 1000, 1010)
        and 0 < rows < 1 << 16
        and 0 < columns < 1 << 16
        and is_complex in (0, 1)
        and 1 < name_length < 256
        and name.endswith(b"\0")
    )
