"""Files: images, label maps, points, transforms. The only place that says LPS.

ITK, ANTs and Slicer files are in LPS+ mm: x to the left and y to the back. Everything
that crosses this module is turned over here, once: affines become D M D, vectors and
positions have components 0 and 1 negated, D = diag(-1, -1, 1, 1).
"""

import csv
import gzip
import json
import math
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.errors import InputError
from voltween.space import Grid
from voltween.transform import Affine, Composite, DisplacementField, Transform
from voltween.volume import Image, LabelMap, Points

PathLike = str | os.PathLike[str]

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
_FRAMES = {"RAS": 1.0, "LPS": -1.0, "0": 1.0, "1": -1.0}  # factor on x and y; old .fcsv
_FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


def read(path: PathLike) -> Image:
    """The intensity image in a file (NIfTI, NRRD, MetaImage) or DICOM series folder.

    Raises:
        InputError: If it is missing, unreadable, not 3D, not scalar, or not finite.
    """
    data, grid = _read_volume(Path(path))
    with _naming(path):
        return Image(data, grid)


def read_labels(path: PathLike) -> LabelMap:
    """The label map in a file; whole numbers, whatever type they are stored in.

    Raises:
        InputError: If it cannot be read as an image, or has fractions.
    """
    data, grid = _read_volume(Path(path))
    with _naming(path):
        return LabelMap(data, grid)


def read_points(path: PathLike, frame: str | None = None) -> Points:
    """Points in a CSV (columns x, y, z) or Slicer file (.fcsv, .mrk.json), in RAS+ mm.

    A CSV says its frame, RAS or LPS, in a column `frame`; `frame` overrides it, and
    without either it is RAS. Slicer files carry their own.

    Raises:
        InputError: If the file is missing, has other columns, or an unknown frame.
    """
    path = _existing(Path(path))
    readers = {".fcsv": _read_fcsv, ".mrk.json": _read_markups, ".json": _read_markups}
    reader = next((r for s, r in readers.items() if path.name.endswith(s)), _read_csv)
    try:
        positions, names, file_frame = reader(path)
        mm = np.array(positions, dtype=np.float64).reshape(-1, 3)
    except (ValueError, KeyError, TypeError, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected points as a CSV with columns x,y,z or a Slicer .fcsv or "
            f".mrk.json file, got something else ({error})"
        ) from error
    frame = frame or file_frame
    if frame not in _FRAMES:
        raise InputError(f"{path}: points must be in frame RAS or LPS, got {frame!r}")
    with _naming(path):
        return Points(mm * [_FRAMES[frame], _FRAMES[frame], 1.0], tuple(names))


def read_transform(path: PathLike) -> Transform:
    """The transform in an ITK file: .h5, .tfm, .txt, .mat, or a displacement field image.

    Reads what Voltween, SimpleITK, ANTs and Slicer write; LPS is turned into RAS+.

    Raises:
        InputError: If the file is missing, no transform, or of a kind not supported.
    """
    path = _existing(Path(path))
    if path.name.endswith((*IMAGE_SUFFIXES, ".mhd")):
        return _read_field(path)
    try:
        return _from_itk(sitk.ReadTransform(str(path)))
    except RuntimeError as error:
        raise InputError(
            f"{path}: expected an ITK transform ({', '.join(TRANSFORM_SUFFIXES)}) or a "
            "displacement field image, got something else or a damaged file"
        ) from error


def write(thing: Image | LabelMap | Points | Transform, path: PathLike) -> Path:
    """Write an image, label map, points or transform; the suffix says the format.

    The file appears whole or not at all.

    Raises:
        InputError: If the suffix does not fit the thing or the folder is not writable.
    """
    path = Path(path)
    if isinstance(thing, Image | LabelMap):
        _check_suffix(path, IMAGE_SUFFIXES, "an image")
        _write_itk_image(_to_itk_image(thing.data.T, thing.grid, is_vector=False), path)
    elif isinstance(thing, Points):
        _check_suffix(path, (".csv", ".fcsv", ".mrk.json"), "points")
        with whole_file(path) as partial:
            partial.write_text(_points_text(thing, path.name))
    else:
        _write_transform(thing, path)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`; it takes its place when all went well.

    Raises:
        InputError: If the folder cannot be written to.
    """
    partial = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        partial.touch()
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def output_folder(path: PathLike) -> Path:
    """The folder, made if it was missing, and checked to be writable.

    Raises:
        InputError: If it cannot be made or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make folder: {error.strerror}") from error
    probe = folder / f".{uuid.uuid4().hex}"
    with whole_file(probe):
        pass
    probe.unlink()
    return folder


def _read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    image = _read_dicom(path) if path.is_dir() else _read_itk_image(_existing(path))
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    size = image.GetSize()
    if len(size) != 3 or min(size) < 2:
        raise InputError(
            f"{path}: expected one 3D image, got size {' x '.join(map(str, size))}"
            + (": save the volume you mean as a file of its own" if len(size) > 3 else "")
        )
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"{path}: expected one number per voxel, got "
            f"{image.GetNumberOfComponentsPerPixel()} (colours, vectors or complex)"
        )
    with _naming(path):
        return sitk.GetArrayFromImage(image).T, _grid_of(image)


def _read_itk_image(path: Path) -> sitk.Image:
    if path.name.endswith((".nii", ".nii.gz")):
        _check_nifti_is_whole(path)
    try:
        with _quiet_itk():
            return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            f"{path}: expected an image (NIfTI, NRRD, MetaImage or a DICOM folder), got "
            "a file that is damaged, cut short or of another kind"
        ) from error


def _check_nifti_is_whole(path: Path) -> None:
    """ITK fills a NIfTI file that was cut short with zeros and says nothing."""
    try:
        voxels = nibabel.load(path).dataobj
        expected = voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize
        stored = _stored_bytes(path, expected)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, zlib.error):
        stored, expected = 0, 1
    if stored < expected:
        raise InputError(
            f"{path}: expected a NIfTI image, got a file that is damaged, cut short or "
            "of another kind: fetch it again"
        )


def _stored_bytes(path: Path, expected: int) -> int:
    """Size in bytes, uncompressed; read through only if the gzip trailer is at odds."""
    if not path.name.endswith(".gz"):
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        if int.from_bytes(file.read(), "little") == expected % 2**32:
            return expected
    with gzip.open(path) as file:
        return sum(len(chunk) for chunk in iter(lambda: file.read(1 << 20), b""))


def _read_dicom(folder: Path) -> sitk.Image:
    with _quiet_itk():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            raise InputError(
                f"{folder}: expected a folder with one DICOM series, got {len(series)}"
                + (": copy the one you mean into a folder of its own" if series else "")
            )
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
        try:
            return sitk.ReadImage(files)
        except RuntimeError as error:
            raise InputError(f"{folder}: DICOM series cannot be read") from error


def _read_field(path: Path) -> DisplacementField:
    image = _read_itk_image(path)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        raise InputError(
            f"{path}: expected a displacement field (3D, 3 numbers per voxel), got "
            f"{image.GetDimension()}D with {image.GetNumberOfComponentsPerPixel()}"
        )
    with _naming(path):
        return _field_of(image)


def _field_of(image: sitk.Image) -> DisplacementField:
    vectors_lps = sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3)
    return DisplacementField(_grid_of(image), vectors_lps * np.diag(_FLIP)[:3])


def _grid_of(image: sitk.Image) -> Grid:
    affine_lps = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine_lps[:3, :3] = directions * image.GetSpacing()
    affine_lps[:3, 3] = image.GetOrigin()
    return Grid(image.GetSize(), _FLIP @ affine_lps)


def _to_itk_image(data: np.ndarray, grid: Grid, *, is_vector: bool) -> sitk.Image:
    """ITK image of data in ITK's array order (K, J, I), placed in LPS."""
    directions = (_FLIP @ grid.affine)[:3, :3] / grid.spacing_mm
    if not np.allclose(directions.T @ directions, np.eye(3), atol=1e-4):
        raise InputError(
            "image files need perpendicular axes, got a sheared grid: resample the image "
            "onto a Grid with perpendicular axes first"
        )
    image = sitk.GetImageFromArray(np.ascontiguousarray(data), isVector=is_vector)
    image.SetOrigin((_FLIP @ grid.affine)[:3, 3].tolist())
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection(directions.ravel().tolist())
    return image


def _field_image(field: DisplacementField, dtype: type) -> sitk.Image:
    vectors_lps = field.vectors_mm * np.diag(_FLIP)[:3]
    data = vectors_lps.transpose(2, 1, 0, 3).astype(dtype)
    return _to_itk_image(data, field.grid, is_vector=True)


def _write_itk_image(image: sitk.Image, path: Path) -> None:
    with whole_file(path) as partial, _quiet_itk():
        try:
            sitk.WriteImage(image, str(partial), useCompression=True)
        except RuntimeError as error:
            raise InputError(f"{path}: cannot be written (is the disk full?)") from error


def _write_transform(transform: Transform, path: Path) -> None:
    if path.name.endswith(IMAGE_SUFFIXES):
        if not isinstance(transform, DisplacementField):
            raise InputError(
                f"{path}: only a displacement field can be an image file: write .h5, or "
                "transform.to_field(grid)"
            )
        # ANTs reads and writes single precision: 1e-5 mm at the size of a body.
        _write_itk_image(_field_image(transform, np.float32), path)
        return
    _check_suffix(path, (".h5", ".tfm"), "a transform")
    with whole_file(path) as partial:
        try:
            sitk.WriteTransform(_to_itk(transform), str(partial))
        except RuntimeError as error:
            raise InputError(f"{path}: cannot be written (is the disk full?)") from error


def _to_itk(transform: Transform) -> sitk.Transform:
    parts = [_part_to_itk(part) for part in transform.parts()]
    return parts[0] if len(parts) == 1 else sitk.CompositeTransform(parts)


def _part_to_itk(part: Affine | DisplacementField) -> sitk.Transform:
    if isinstance(part, DisplacementField):
        return sitk.DisplacementFieldTransform(_field_image(part, np.float64))
    matrix = _FLIP @ part.matrix @ _FLIP
    return sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())


def _from_itk(itk: sitk.Transform) -> Transform:
    if itk.GetDimension() != 3:
        raise InputError(f"transform must be 3D, got {itk.GetDimension()}D")
    itk = itk.Downcast()
    if isinstance(itk, sitk.CompositeTransform):
        parts = [_from_itk(itk.GetNthTransform(n)) for n in range(itk.GetNumberOfTransforms())]
        combined = Affine.identity() if not parts else parts[0]
        for inner in parts[1:]:
            combined = combined @ inner
        return combined
    if isinstance(itk, sitk.DisplacementFieldTransform):
        return _field_of(itk.GetDisplacementField())
    if not itk.IsLinear():
        raise InputError(
            f"a {itk.GetName()} is not supported: convert it to a displacement field "
            "(SimpleITK: TransformToDisplacementField) first"
        )
    return Affine(_FLIP @ _matrix_of(itk) @ _FLIP)


def _matrix_of(itk: sitk.Transform) -> Float[np.ndarray, "4 4"]:
    """Matrix (LPS) of any linear ITK transform, whatever its parameters mean."""
    matrix = np.eye(4)
    matrix[:3, 3] = itk.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = itk.TransformPoint(np.eye(3)[axis].tolist()) - matrix[:3, 3]
    return matrix


def _read_csv(path: Path) -> tuple[list[list[float]], list[str], str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [{k.strip().lower(): v for k, v in row.items()} for row in csv.DictReader(file)]
    positions = [[float(row[axis]) for axis in "xyz"] for row in rows]
    names = [row["name"] for row in rows if "name" in row]
    frames = {row["frame"].strip().upper() for row in rows if "frame" in row} or {"RAS"}
    if len(frames) != 1:
        raise ValueError(f"points of one file must share one frame, got {sorted(frames)}")
    return positions, names, frames.pop()


def _read_fcsv(path: Path) -> tuple[list[list[float]], list[str], str]:
    lines = path.read_text().splitlines()
    header = dict(
        line.lstrip("# ").split(" = ", 1) for line in lines if line.startswith("#") and " = " in line
    )
    columns = header.get("columns", _FCSV_COLUMNS).split(",")
    rows = [
        dict(zip(columns, row, strict=False))
        for row in csv.reader(line for line in lines if line and not line.startswith("#"))
    ]
    positions = [[float(row[axis]) for axis in "xyz"] for row in rows]
    names = [row.get("label", "") for row in rows]
    return positions, names, header["CoordinateSystem"].strip()


def _read_markups(path: Path) -> tuple[list[list[float]], list[str], str]:
    markups = json.loads(path.read_text())["markups"][0]
    points = markups["controlPoints"]
    names = [point.get("label", "") for point in points]
    return [point["position"] for point in points], names, markups["coordinateSystem"]


def _points_text(points: Points, file_name: str) -> str:
    names = points.names or tuple(str(n + 1) for n in range(len(points.mm)))
    rows = [(*map(repr, xyz), name) for xyz, name in zip(points.mm.tolist(), names, strict=True)]
    if file_name.endswith(".csv"):
        return "".join(["x,y,z,name,frame\n", *(f"{x},{y},{z},{n},RAS\n" for x, y, z, n in rows)])
    if file_name.endswith(".fcsv"):
        header = "# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n"
        lines = (f"{n},{x},{y},{z},0,0,0,1,1,1,0,{n},,\n" for x, y, z, n in rows)
        return "".join([header, f"# columns = {_FCSV_COLUMNS}\n", *lines])
    control_points = [
        {"id": str(n), "label": name, "position": xyz}
        for n, (name, xyz) in enumerate(zip(names, points.mm.tolist(), strict=True), 1)
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": control_points}
    schema = (
        "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
        "Resources/Schema/markups-schema-v1.0.3.json#"
    )
    return json.dumps({"@schema": schema, "markups": [markup]}, indent=1)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir() or not os.access(path, os.R_OK):
        raise InputError(f"{path}: expected a readable file, got a folder or no access")
    return path


def _check_suffix(path: Path, suffixes: tuple[str, ...], kind: str) -> None:
    if not path.name.endswith(suffixes):
        raise InputError(
            f"{path}: {kind} can be written as {', '.join(suffixes)}, got {path.name!r}"
        )


@contextmanager
def _naming(path: PathLike) -> Iterator[None]:
    """Put the file's name before an error about its content."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """ITK's own warnings on damaged files, lines long, are replaced by our one line."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
