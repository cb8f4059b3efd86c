"""Headers of NIfTI-1, NIfTI-2 and Analyze 7.5 files, checked before ITK sees them.

The grid is the one that ITK, ANTs and Slicer would use: ITK is given a header of the
same geometry and nothing else.
"""

import tempfile
import warnings
from itertools import chain
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from jaxtyping import Float
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from voltween.errors import AssumptionWarning, InputError, SuspiciousInputWarning
from voltween.io.container import (
    ANALYZE,
    NIFTI,
    NIFTI2,
    NIFTI2_PAIR,
    NIFTI_PAIR,
    Content,
)
from voltween.io.itk import grid_from_itk, itk_messages
from voltween.io.pairs import half_of_pair
from voltween.io.stored import GZIP, RAW, StoredVoxels
from voltween.io.volume_file import VolumeFile, volumes_of
from voltween.spatial import Grid, Meaning

NIFTI_KINDS = (NIFTI, NIFTI_PAIR, NIFTI2, NIFTI2_PAIR, ANALYZE)
_PAIRS = (NIFTI_PAIR, NIFTI2_PAIR, ANALYZE)
_HEADERS = {
    NIFTI: nibabel.Nifti1Header,
    NIFTI_PAIR: nibabel.nifti1.Nifti1PairHeader,
    NIFTI2: nibabel.Nifti2Header,
    NIFTI2_PAIR: nibabel.nifti2.Nifti2PairHeader,
    ANALYZE: nibabel.spm2analyze.Spm2AnalyzeHeader,
}
_MM_PER_UNIT = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # unknown, meter, mm, micrometer
_UNIT_BITS = 7  # the others hold the unit of time
_SECONDS_PER_UNIT = {8: 1.0, 16: 1e-3, 24: 1e-6}
_PLACE_TOLERANCE_MM = 0.1
_LARGEST = 1e9  # a position in micrometers, a kilometer away
_SHORTEST = 1e-9
_FLATTEST = 1e-3  # volume of the unit vectors along the axes
_LONGEST_QUATERNION = 1 + 1e-3  # square of its length, rounded when stored
_WARNING_LEVEL = 30  # of nibabel's reports on headers
_REFUSED_LEVEL = 40
# Fields that must be finite, and the code that says whether they are used.
_GEOMETRY = {
    "qform_code": (
        *("quatern_b", "quatern_c", "quatern_d"),
        *("qoffset_x", "qoffset_y", "qoffset_z"),
    ),
    "sform_code": ("srow_x", "srow_y", "srow_z"),
}


def open_nifti(
    content: Content, analyze_directions: Float[np.ndarray, "3 3"] | None = None
) -> VolumeFile:
    """Reads and checks the header of a file, or of a pair of .hdr and .img.

    Args:
        content: The file, or the header of the pair.
        analyze_directions: Column c is the unit vector, in RAS+, of axis c of an
            Analyze file, which states none; its center is then at 0 mm.

    Raises:
        InputError: If the header contradicts itself or the file, or has fewer than
            three axes.
    """
    header = _header(content)
    shape = tuple(int(n) for n in header.get_data_shape())
    is_vector = len(shape) == 5 and shape[3] == 1
    sizes = volumes_of(shape[:3] if is_vector else shape)
    dtype, components = _numbers(header)
    slope, intercept = _scale(header)
    if content.kind is ANALYZE and analyze_directions is not None:
        grid = _centered(header, sizes, analyze_directions)
    else:
        grid = _grid(header, content, sizes)
    return VolumeFile(
        path=content.path,
        kind=content.kind,
        sizes=sizes,
        components=components * (shape[4] if is_vector else 1),
        dtype=dtype,
        is_interleaved=components > 1,
        grid=grid,
        voxels=_stored_voxels(header, content),
        slope=slope,
        intercept=intercept,
        meaning=_meaning(header, sizes),
        step_s=_step_s(header),
    )


def _meaning(header: nibabel.AnalyzeHeader, sizes: tuple[int, ...]) -> Meaning:
    if len(sizes) > 3:
        return "series"
    if header.get_data_dtype().names:
        return "colors"
    return "channels" if header["dim"][0] == 5 and header["dim"][5] > 1 else "scalar"


def _step_s(header: nibabel.AnalyzeHeader) -> float:
    """Time between volumes in seconds, in whatever unit the header states it."""
    step = abs(float(header["pixdim"][4]))
    unit = 0
    if isinstance(header, nibabel.Nifti1Header):
        unit = int(header["xyzt_units"]) & ~_UNIT_BITS
    step *= _SECONDS_PER_UNIT.get(unit, 1.0)
    return step if np.isfinite(step) and step > 0 else 1.0


def _header(content: Content) -> nibabel.AnalyzeHeader:
    """The header by nibabel, whose repairs are told."""
    kind = _HEADERS[content.kind]
    try:
        block = content.head[: kind.template_dtype.itemsize]  # without extensions
        header = kind(block, check=False)
        _check_geometry(header)
        report = _Report()
        header.check_fix(logger=report, error_level=_REFUSED_LEVEL)
    except (HeaderDataError, WrapStructError) as error:
        raise InputError(
            expected=content.kind.name, got=f"a damaged header ({error})"
        ) from error
    for text in report.texts:
        warnings.warn(
            f"{content.path}: its header was mended: {text}",
            SuspiciousInputWarning,
            stacklevel=2,
        )
    return header


class _Report:
    """Takes the place of a logger, and keeps what is worth a warning."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def log(self, level: int, text: str) -> None:
        if level >= _WARNING_LEVEL and "SPM compatible" not in text:
            self.texts.append(text)


def _check_geometry(header: nibabel.AnalyzeHeader) -> None:
    """Checks the numbers that place the image, of which ITK takes any."""
    dimensions = int(header["dim"][0])
    if not 1 <= dimensions <= 7 or min(header["dim"][1 : 1 + dimensions]) < 1:
        raise InputError(
            expected="1 to 7 axes with at least one voxel",
            got=f"dim {header['dim'].tolist()}",
            advice="its header is damaged",
        )
    used = {"pixdim": header["pixdim"][1:4], "vox_offset": header["vox_offset"]}
    for code, names in _GEOMETRY.items():
        if code in header.keys() and header[code] != 0:  # noqa: SIM118
            used |= {name: header[name] for name in names}
    for name, values in used.items():
        if not (np.abs(values) < _LARGEST).all():  # NaN is refused, too
            raise InputError(
                expected=f"numbers of at most {_LARGEST:g} as {name}",
                got=np.asarray(values).tolist(),
                advice="its header is damaged",
            )
    _check_directions(header)


def _check_directions(header: nibabel.AnalyzeHeader) -> None:
    """Checks that the axes of qform and sform exist: ITK's decomposition may not end.

    Raises:
        InputError: If the quaternion is none of a rotation, or axes fall together.
    """
    if "qform_code" not in header.keys():  # noqa: SIM118
        return
    quaternion = np.array([float(header[f"quatern_{axis}"]) for axis in "bcd"])
    if header["qform_code"] != 0 and quaternion @ quaternion > _LONGEST_QUATERNION:
        raise InputError(
            expected="a qform that is a rotation",
            got=f"quaternion {quaternion.tolist()}",
            advice="its header is damaged",
        )
    axes = np.array([header[f"srow_{axis}"][:3] for axis in "xyz"], float)
    lengths = np.linalg.norm(axes, axis=0)
    is_degenerate = lengths.min() < _SHORTEST or (
        abs(np.linalg.det(axes / lengths)) < _FLATTEST
    )
    if header["sform_code"] != 0 and is_degenerate:
        raise InputError(
            expected="an sform whose axes span three directions",
            got=axes.tolist(),
            advice="its header is damaged",
        )


def _numbers(header: nibabel.AnalyzeHeader) -> tuple[np.dtype, int]:
    """Type of a number, and numbers per voxel: 2 if complex, 3 or 4 if colors."""
    dtype = header.get_data_dtype()
    if dtype.kind == "c":
        return np.dtype(f"{dtype.byteorder}f{dtype.itemsize // 2}"), 2
    if dtype.names:
        return dtype[0], len(dtype.names)
    return dtype, 1


def _scale(header: nibabel.AnalyzeHeader) -> tuple[float, float]:
    """Factor and summand of the stored numbers."""
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise InputError(
            expected="finite scl_slope and scl_inter", got=str(error)
        ) from error
    return (
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
    )


def _stored_voxels(header: nibabel.AnalyzeHeader, content: Content) -> StoredVoxels:
    offset = int(header.get_data_offset())
    least = 0 if content.kind in _PAIRS else header.single_vox_offset
    if offset < least:
        raise InputError(
            expected=f"a vox_offset of at least {least}",
            got=offset,
            advice="its header is damaged",
        )
    if content.kind not in _PAIRS:
        compression = GZIP if content.is_gzip else RAW
        return StoredVoxels(content.path, offset, compression)
    voxels = half_of_pair(content.path, ".img")
    with voxels.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return StoredVoxels(voxels, offset, GZIP if is_gzip else RAW)


def _grid(
    header: nibabel.AnalyzeHeader, content: Content, sizes: tuple[int, ...]
) -> Grid:
    """The grid that ITK would use, or that of a sheared sform, which ITK refuses."""
    shape = (sizes[0], sizes[1], sizes[2])
    by_itk = _grid_by_itk(header, shape)
    if content.kind is ANALYZE:
        _warn(content, "Analyze 7.5 does not say where left and right are", _ASSUMED)
        return by_itk or Grid(shape, np.diag([*header["pixdim"][1:4], 1.0]))
    affine = _affine_mm(header, content)
    if not by_itk:
        return Grid(shape, affine)
    if not header["qform_code"] and not header["sform_code"]:
        _warn(content, "its header does not say where left and right are", _ASSUMED)
        return by_itk
    if not by_itk.is_close(Grid(shape, affine), _PLACE_TOLERANCE_MM):
        is_twice = header["qform_code"] and header["sform_code"]
        what = "its qform and sform place the image differently"
        if not is_twice:
            what = "its voxel sizes (pixdim) and its affine contradict each other"
        _warn(content, what, _CHOSEN)
    return by_itk


def _centered(
    header: nibabel.AnalyzeHeader,
    sizes: tuple[int, ...],
    directions: Float[np.ndarray, "3 3"],
) -> Grid:
    """The grid of an Analyze file with these directions, its center at 0 mm."""
    along_i, along_j, along_k = (abs(float(mm)) for mm in header["pixdim"][1:4])
    return Grid.centered(
        (sizes[0], sizes[1], sizes[2]),
        center_mm=np.zeros(3),
        spacing_mm=(along_i, along_j, along_k),
        directions=directions,
    )


_CHOSEN = (
    "using what ITK, ANTs and Slicer use (nibabel, FSL and FreeSurfer use the other)"
)
_ASSUMED = (
    "assumed, as ITK does, that its axes run to the left, to the back and up: check "
    "that, or store it as NIfTI with an sform"
)


def _warn(content: Content, what: str, consequence: str) -> None:
    warnings.warn(
        f"{content.path}: {what}: {consequence}", AssumptionWarning, stacklevel=2
    )


def _affine_mm(header: nibabel.Nifti1Header, content: Content) -> np.ndarray:
    """The affine that nibabel uses, in mm, whatever unit the header states."""
    mm = mm_per_unit(header)
    if mm is None:
        unit = int(header["xyzt_units"]) & _UNIT_BITS
        _warn(content, f"its unit of length has the unknown code {unit}", "taken as mm")
    return np.diag([*[mm or 1.0] * 3, 1.0]) @ header.get_best_affine()


def mm_per_unit(header: nibabel.Nifti1Header) -> float | None:
    """Mm in the unit of length that a header states; None if its code is unknown."""
    return _MM_PER_UNIT.get(int(header["xyzt_units"]) & _UNIT_BITS)


def _grid_by_itk(
    header: nibabel.AnalyzeHeader, shape: tuple[int, int, int]
) -> Grid | None:
    """The grid by ITK from the geometry alone; None if the axes are sheared."""
    plain = nibabel.Nifti1Header()
    plain.set_data_shape((2, 2, 2))
    plain.set_data_dtype(np.uint8)
    plain["vox_offset"] = plain.single_vox_offset
    plain["pixdim"] = header["pixdim"]
    if isinstance(header, nibabel.Nifti1Header):
        for name in ("xyzt_units", *_GEOMETRY, *chain(*_GEOMETRY.values())):
            plain[name] = header[name]
    # ITK's warnings are about what `_grid` finds by comparison.
    with tempfile.TemporaryDirectory() as folder, itk_messages():
        path = Path(folder, "header.nii")
        path.write_bytes(plain.binaryblock + bytes(4 + 8))
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            if "orthonormal" not in str(error):
                raise InputError(
                    expected="a header that ITK can read", got="one that it refuses"
                ) from error
            return None
    return Grid(shape, grid_from_itk(reader).affine)
