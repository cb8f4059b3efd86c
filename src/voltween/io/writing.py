"""Writes images, label maps, points and transforms, whole or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from voltween.errors import InputError, check_is_path, check_type
from voltween.io.itk import (
    IMAGE_SUFFIXES,
    flip_vectors,
    hearing_itk,
    image_to_itk,
)
from voltween.io.nifti import write_nifti, write_nifti_channels
from voltween.io.ome_zarr import SUFFIX as OME_ZARR
from voltween.io.ome_zarr import write_ome_zarr
from voltween.io.points import POINT_SUFFIXES
from voltween.io.points_writing import format_points
from voltween.io.transform_hdf5 import write_hdf5_records
from voltween.io.transform_records import records_of, rounded
from voltween.io.transform_text import format_records
from voltween.spatial import (
    DisplacementField,
    Grid,
    Image,
    LabelMap,
    Meaning,
    MultichannelImage,
    Points,
    Transform,
)
from voltween.storage import (
    PathLike,
    check_free_space,
    check_suffix,
    whole_file,
)

Writable = Image | LabelMap | MultichannelImage | Points | Transform
_ADVICE = {
    "ndarray": "Image(array, grid) says where the voxels of an array are",
    "Registration": "write its .moved or .fixed_to_moving",
    "str": "the thing comes first, then the path",
}


def write(thing: Writable, path: PathLike) -> Path:
    """Writes an image, label map, points or transform in the format of the suffix.

    The voxels of an image are integers if it was made of integers, as an image that was
    read and cut is; what was computed, as by interpolation, is float32. The file is
    written whole or not at all. Returns its path.

    Raises:
        InputError: If the suffix does not fit the thing.
        OutputError: If the file cannot be written.
    """
    check_type(
        thing,
        (Image, LabelMap, MultichannelImage, Points, Transform),
        about="thing to write",
        expected="an image, label map, points or transform",
        advice=_ADVICE.get(type(thing).__name__, ""),
    )
    check_is_path(path)
    path = Path(path)
    if isinstance(thing, Image | LabelMap):
        check_image_name(path)
        _write_volume(thing.stored, thing.grid, path)
    elif isinstance(thing, MultichannelImage):
        check_image_name(path, thing.meaning)
        _write_channels(thing, path)
    elif isinstance(thing, Points):
        check_points_name(path)
        with whole_file(path) as partial:
            partial.write_text(format_points(thing, path.name), encoding="utf-8")
    else:
        _write_transform(thing, path)
    return path


def check_image_name(path: Path, meaning: Meaning = "scalar") -> None:
    """Checks the name of a file for an image or label map, before the work for it.

    Args:
        path: The file.
        meaning: Meaning of the numbers of a voxel.

    Raises:
        InputError: If such an image is not written to files of this suffix.
    """
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES
    kind = f"an image ({meaning})"
    if meaning == "scalar":
        suffixes, kind = (*IMAGE_SUFFIXES, OME_ZARR), "an image"
    elif meaning == "series":  # ITK writes no anatomical space into NRRD of four axes
        suffixes = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix != ".nrrd")
    check_suffix(path, suffixes, kind)


def check_points_name(path: Path) -> None:
    """Checks the name of a file for points, before the work for it.

    Raises:
        InputError: If points are not written to files of this suffix.
    """
    check_suffix(path, POINT_SUFFIXES, "points")


def write_small(transform: Transform, path: PathLike) -> Path:
    """Writes a transform (.h5) with rounded vectors, to a quarter of the size or less.

    The vectors of a field are multiples of a power of two, of at most 1/2048 of the
    smallest distance between two of them. `write` keeps every bit. The file is written
    whole or not at all. Returns its path.

    Raises:
        InputError: If the suffix is not .h5.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, (".h5",), "a transform")
    records = [rounded(record) for record in records_of(transform)]
    with whole_file(path) as partial:
        check_free_space(path, sum(each.parameters.nbytes for each in records))
        write_hdf5_records(records, partial, compressed=True)
    return path


def _write_volume(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Writes numbers (I, J, K) or LPS vectors (I, J, K, 3) on a grid."""
    if path.name.endswith(OME_ZARR):
        write_ome_zarr(data, grid, path)
        return
    with whole_file(path) as partial, hearing_itk():
        if path.name.endswith((".nii.gz", ".nii")):
            write_nifti(data, grid, partial)
        else:
            image = image_to_itk(data, grid)
            sitk.WriteImage(image, str(partial), useCompression=True)


def _write_channels(image: MultichannelImage, path: Path) -> None:
    """Writes a series as an image of four axes, and other numbers per voxel."""
    data = flip_vectors(image.data) if image.meaning == "vectors" else image.data
    if image.meaning == "scalar":
        _write_volume(data[..., 0], image.grid, path)
        return
    with whole_file(path) as partial, hearing_itk():
        if path.name.endswith((".nii.gz", ".nii")):
            write_nifti_channels(replace(image, data=data), partial)
            return
        if image.meaning == "series":
            volumes = [
                image_to_itk(data[..., n], image.grid) for n in range(image.count)
            ]
            itk_image = sitk.JoinSeries(volumes, 0.0, image.step_s)
        else:
            itk_image = image_to_itk(data, image.grid)
        sitk.WriteImage(itk_image, str(partial), useCompression=True)


def _write_transform(transform: Transform, path: Path) -> None:
    if path.name.endswith(IMAGE_SUFFIXES):
        if not isinstance(transform, DisplacementField):
            raise InputError(
                about=path,
                expected="a displacement field, to be written as an image",
                got=f"a transform of type {type(transform).__name__}",
                advice="write .h5, or transform.to_field(grid)",
            )
        # ANTs reads and writes single precision, which is 1e-5 mm at body size.
        vectors_lps = flip_vectors(transform.vectors_mm.astype(np.float32))
        _write_volume(vectors_lps, transform.grid, path)
        return
    check_suffix(path, (".h5", ".tfm"), "a transform")
    records = records_of(transform)
    with whole_file(path) as partial:
        if path.name.endswith(".tfm"):
            partial.write_text(format_records(records), encoding="utf-8")
            return
        check_free_space(path, sum(each.parameters.nbytes for each in records))
        write_hdf5_records(records, partial)
