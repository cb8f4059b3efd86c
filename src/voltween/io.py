"""Files: images, label maps, points, transforms. The only place that says LPS.

ITK, ANTs and Slicer files are in LPS+ mm: x to the left and y to the back. Everything
that crosses this module is turned over here, once: affines become D M D, vectors and
positions have components 0 and 1 negated, D = diag(-1, -1, 1, 1).
"""

import csv
import functools
import math
import operator
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from jaxtyping import Float
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, ImageDataError

from voltween.errors import InputError
from voltween.files import (
    PathLike,
    check_free_space,
    check_suffix,
    existing_file,
    naming,
    scratch_file,
    whole_file,
)
from voltween.nifti import check_is_whole, compress, save_sheared
from voltween.points_text import POINT_SUFFIXES, format_points, parse_points
from voltween.space import Grid
from voltween.transform import Affine, DisplacementField, Transform
from voltween.volume import Image, LabelMap, Points

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")
_READING_ERRORS = (
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    ImageDataError,
)
_QFORM_TOLERANCE_MM = 0.1
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
_FRAMES = {"RAS": 1.0, "LPS": -1.0, "0": 1.0, "1": -1.0}  # factor on x and y; old .fcsv


def read(path: PathLike) -> Image:
    """The intensity image in a file (NIfTI, NRRD, MetaImage) or DICOM series folder.

    Raises:
        InputError: If it is missing, unreadable, not 3D, not scalar, or not finite.
    """
    data, grid = _read_volume(Path(path))
    with naming(path):
        return Image(data, grid)


def read_labels(path: PathLike) -> LabelMap:
    """The label map in a file; whole numbers, whatever type they are stored in.

    Raises:
        InputError: If it cannot be read as an image, or has fractions.
    """
    data, grid = _read_volume(Path(path))
    with naming(path):
        return LabelMap(data, grid)


def read_points(path: PathLike, frame: str | None = None) -> Points:
    """Points in a CSV (columns x, y, z) or Slicer file (.fcsv, .mrk.json), in RAS+ mm.

    A CSV says its frame, RAS or LPS, in a column `frame`; `frame` overrides it, and
    without either it is RAS. Slicer files carry their own.

    Raises:
        InputError: If the file is missing, has other columns, or an unknown frame.
    """
    path = existing_file(Path(path))
    try:
        positions, names, file_frame = parse_points(path)
        mm = np.array(positions, dtype=np.float64).reshape(-1, 3)
    except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        raise InputError(
            f"{path}: expected points as a CSV with columns x,y,z or a Slicer .fcsv or "
            f".mrk.json file, got something else ({error})"
        ) from error
    frame = frame or file_frame
    if frame not in _FRAMES:
        raise InputError(f"{path}: points must be in frame RAS or LPS, got {frame!r}")
    with naming(path):
        return Points(mm * [_FRAMES[frame], _FRAMES[frame], 1.0], tuple(names))


def read_transform(path: PathLike) -> Transform:
    """The transform in an ITK file (.h5, .tfm, .txt, .mat) or displacement field image.

    Reads what Voltween, SimpleITK, ANTs and Slicer write; LPS is turned into RAS+.

    Raises:
        InputError: If the file is missing, no transform, or of a kind not supported.
    """
    path = existing_file(Path(path))
    if path.name.endswith((*IMAGE_SUFFIXES, ".mhd")):
        return _read_field(path)
    with _damage_named(path, f"an ITK transform ({', '.join(TRANSFORM_SUFFIXES)})"):
        itk = sitk.ReadTransform(str(path))
    with naming(path):
        return _from_itk(itk)


def write(thing: Image | LabelMap | Points | Transform, path: PathLike) -> Path:
    """Write an image, label map, points or transform; the suffix says the format.

    The file appears whole or not at all.

    Raises:
        InputError: If the suffix does not fit the thing or the folder is not writable.
    """
    path = Path(path)
    if isinstance(thing, Image | LabelMap):
        check_suffix(path, IMAGE_SUFFIXES, "an image")
        _write_volume(thing.data, thing.grid, path)
    elif isinstance(thing, Points):
        check_suffix(path, POINT_SUFFIXES, "points")
        with whole_file(path) as partial:
            partial.write_text(format_points(thing, path.name))
    else:
        _write_transform(thing, path)
    return path


def _read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    if path.is_dir():
        image = _read_dicom(path)
    elif path.name.endswith((".nii", ".nii.gz")):
        return _read_nifti(existing_file(path))
    else:
        image = _read_itk_image(existing_file(path))
    _check_is_volume(path, image.GetSize(), image.GetNumberOfComponentsPerPixel())
    data = sitk.GetArrayFromImage(image).T.reshape(image.GetSize()[:3])
    with naming(path):
        return data, _grid_of(image)


def _read_nifti(path: Path) -> tuple[np.ndarray, Grid]:
    """Place by ITK, as ANTs and Slicer see it, and voxels by nibabel.

    ITK fills a file that was cut short with zeros, and makes NaN zero, without a word.
    """
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    with _damage_named(path, "a NIfTI image"), _quiet_itk():
        image = nibabel.load(path)
        try:
            header.ReadImageInformation()
        except RuntimeError as error:
            if "orthonormal" not in str(error):
                raise
            return _read_sheared_nifti(path, image)
    _check_is_volume(path, header.GetSize(), header.GetNumberOfComponents())
    with _damage_named(path, "a NIfTI image"):
        data = np.asarray(image.dataobj).reshape(header.GetSize()[:3])
    with naming(path):
        grid = _grid_of(header)
        if not grid.is_close(Grid(grid.shape, image.affine), _QFORM_TOLERANCE_MM):
            warnings.warn(
                f"{path}: its qform and sform place it differently; taken where ITK, "
                "ANTs and Slicer see it (nibabel, FSL and FreeSurfer see it elsewhere)",
                stacklevel=2,
            )
        return data, grid


def _read_sheared_nifti(
    path: Path, image: nibabel.Nifti1Image
) -> tuple[np.ndarray, Grid]:
    """A NIfTI image whose axes are not perpendicular, which ITK refuses."""
    data = np.asarray(image.dataobj)
    _check_is_volume(path, data.shape, 1)
    with naming(path):
        return data.reshape(data.shape[:3]), Grid(data.shape[:3], image.affine)


def _check_is_volume(path: Path, size: tuple[int, ...], components: int) -> None:
    """Refuse all but one 3D image of one number per voxel."""
    if len(size) < 3 or min(size[:3]) < 2 or math.prod(size[3:]) != 1:
        advice = ": save the volume you mean as a file of its own" * (len(size) > 3)
        stored = " x ".join(map(str, size))
        raise InputError(f"{path}: expected one 3D image, got size {stored}{advice}")
    if components != 1:
        raise InputError(
            f"{path}: expected one number per voxel, got {components} (colours, "
            "vectors or complex)"
        )


def _read_itk_image(path: Path) -> sitk.Image:
    kind = "an image (NIfTI, NRRD, MetaImage or a DICOM folder)"
    with _damage_named(path, kind), _quiet_itk():
        return sitk.ReadImage(str(path))


@contextmanager
def _damage_named(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a reader raises on a bad file into one line that names the file."""
    try:
        yield
    except _READING_ERRORS as error:
        raise InputError(
            f"{path}: expected {kind}, got a file that is damaged, cut short or of "
            "another kind"
        ) from error


def _read_dicom(folder: Path) -> sitk.Image:
    with _quiet_itk():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            raise InputError(
                f"{folder}: expected a folder with one DICOM series, got {len(series)}"
                + (": copy the one you mean into a folder of its own" if series else "")
            )
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
        with _damage_named(folder, "a DICOM series"):
            return sitk.ReadImage(files)


def _read_field(path: Path) -> DisplacementField:
    image = _read_itk_image(path)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        raise InputError(
            f"{path}: expected a displacement field (3D, 3 numbers per voxel), got "
            f"{image.GetDimension()}D with {image.GetNumberOfComponentsPerPixel()}"
        )
    with naming(path):
        return _field_of(image)


def _field_of(image: sitk.Image) -> DisplacementField:
    vectors_lps = sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3)
    return DisplacementField(_grid_of(image), vectors_lps * np.diag(_FLIP)[:3])


def _grid_of(image: sitk.Image | sitk.ImageFileReader) -> Grid:
    affine_lps = np.eye(4)
    dimensions = len(image.GetSize())  # a fourth, of one volume, is left out
    directions = np.array(image.GetDirection()).reshape(dimensions, dimensions)
    affine_lps[:3, :3] = directions[:3, :3] * image.GetSpacing()[:3]
    affine_lps[:3, 3] = image.GetOrigin()[:3]
    return Grid(image.GetSize()[:3], _FLIP @ affine_lps)


def _to_itk_image(data: np.ndarray, grid: Grid) -> sitk.Image:
    """ITK image of numbers (I, J, K) or vectors (I, J, K, 3), placed in LPS."""
    if not _is_perpendicular(grid):
        raise InputError(
            "ITK files need perpendicular axes, got a sheared grid: write NIfTI, or "
            "resample onto a Grid with perpendicular axes first"
        )
    is_vector = data.ndim == 4
    in_itk_order = data.transpose(2, 1, 0, 3) if is_vector else data.T
    image = sitk.GetImageFromArray(
        np.ascontiguousarray(in_itk_order), isVector=is_vector
    )
    directions = (_FLIP @ grid.affine)[:3, :3] / grid.spacing_mm
    image.SetOrigin((_FLIP @ grid.affine)[:3, 3].tolist())
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection(directions.ravel().tolist())
    return image


def _write_volume(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Write numbers (I, J, K) or LPS vectors (I, J, K, 3) of a grid's voxels."""
    with whole_file(path) as partial, _quiet_itk():
        if path.name.endswith(".nii.gz"):
            with scratch_file(partial.with_suffix("")) as plain:
                _write_nifti(data, grid, plain)
                compress(plain, partial)
        elif path.name.endswith(".nii"):
            _write_nifti(data, grid, partial)
        else:
            image = _to_itk_image(data, grid)
            sitk.WriteImage(image, str(partial), useCompression=True)


def _write_nifti(data: np.ndarray, grid: Grid, path: Path) -> None:
    if _is_perpendicular(grid):
        sitk.WriteImage(_to_itk_image(data, grid), str(path))
    else:
        save_sheared(data, grid, path)
    check_is_whole(path)


def _is_perpendicular(grid: Grid) -> bool:
    directions = grid.affine[:3, :3] / grid.spacing_mm
    return np.allclose(directions.T @ directions, np.eye(3), atol=1e-4)


def _write_transform(transform: Transform, path: Path) -> None:
    if path.name.endswith(IMAGE_SUFFIXES):
        if not isinstance(transform, DisplacementField):
            raise InputError(
                f"{path}: only a displacement field can be an image file: write .h5, "
                "or transform.to_field(grid)"
            )
        # ANTs reads and writes single precision: 1e-5 mm at the size of a body.
        vectors_lps = transform.vectors_mm.astype(np.float32)
        vectors_lps *= np.diag(_FLIP)[:3].astype(np.float32)
        _write_volume(vectors_lps, transform.grid, path)
        return
    check_suffix(path, (".h5", ".tfm"), "a transform")
    fields = [p for p in transform.parts() if isinstance(p, DisplacementField)]
    with whole_file(path) as partial:
        # Asked first: HDF5 meets a full disk with pages of its own messages.
        check_free_space(path, sum(field.vectors_mm.nbytes for field in fields))
        sitk.WriteTransform(_to_itk(transform), str(partial))


def _to_itk(transform: Transform) -> sitk.Transform:
    parts = [_part_to_itk(part) for part in transform.parts()]
    return parts[0] if len(parts) == 1 else sitk.CompositeTransform(parts)


def _part_to_itk(part: Affine | DisplacementField) -> sitk.Transform:
    if isinstance(part, DisplacementField):
        vectors_lps = part.vectors_mm * np.diag(_FLIP)[:3]
        return sitk.DisplacementFieldTransform(_to_itk_image(vectors_lps, part.grid))
    matrix = _FLIP @ part.matrix @ _FLIP
    return sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())


def _from_itk(itk: sitk.Transform) -> Transform:
    if itk.GetDimension() != 3:
        raise InputError(f"transform must be 3D, got {itk.GetDimension()}D")
    if itk.IsLinear():
        return Affine(_FLIP @ _matrix_of(itk) @ _FLIP)
    itk = itk.Downcast()
    if isinstance(itk, sitk.CompositeTransform):
        parts = [
            _from_itk(itk.GetNthTransform(n))
            for n in range(itk.GetNumberOfTransforms())
        ]
        return functools.reduce(operator.matmul, parts)
    if isinstance(itk, sitk.DisplacementFieldTransform):
        return _field_of(itk.GetDisplacementField())
    raise InputError(
        f"a {itk.GetName()} is not supported: convert it to a displacement field "
        "(SimpleITK: TransformToDisplacementField) first"
    )


def _matrix_of(itk: sitk.Transform) -> Float[np.ndarray, "4 4"]:
    """Matrix (LPS) of any linear ITK transform, whatever its parameters mean."""
    matrix = np.eye(4)
    matrix[:3, 3] = itk.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = itk.TransformPoint(np.eye(3)[axis].tolist()) - matrix[:3, 3]
    return matrix


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """ITK's own warnings on damaged files, lines long, are replaced by our one line."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
