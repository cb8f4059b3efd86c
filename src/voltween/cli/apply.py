"""Command: apply transforms to images, label maps, points and surfaces."""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli.apply_outputs import plan_outputs
from voltween.cli.reference_grid import read_reference_grid
from voltween.cli.results import report_written
from voltween.cli.transform_words import NamedTransform, read_transforms
from voltween.errors import InputError
from voltween.spatial import (
    Grid,
    Interpolation,
    MultichannelImage,
    Sampling,
    grid_around,
    looks_like_labels,
    resample_channels,
    with_spacing,
)
from voltween.storage import check_is_no_input, existing_file, folder_of, naming

_MIXING = "linear", "cubic"
_OF_POSITIONS = ["frame"]
_OF_IMAGES = [
    *("onto", "spacing_mm", "labels", "interpolation"),
    *("fill", "dtype", "turn_vectors"),
]
NumberType = Literal[
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"
]


@dataclass(frozen=True)
class Apply:
    """Apply transforms to images, label maps, points and surfaces.

    fixed_to_moving takes images from the moving to the fixed scan, onto the grid of
    --onto, but points from the fixed to the moving scan. For the opposite direction use
    moving_to_fixed.

    `voltween apply TRANSFORM INPUT ...` applies one transform to one or several inputs.
    With --transform, all positional arguments are inputs, and several transforms follow
    each other: points go through the first one first, images through the last one
    first, as with antsApplyTransforms.
    """

    input: Annotated[
        Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[TRANSFORM] INPUT ...")
    ]
    """Images (3D, 4D, of colors or several channels), label maps, points (.csv, .fcsv,
    .mrk.json) or surfaces (.gii, .stl, .vtk, .vtp, .ply). Without --transform, the
    first is the transform."""
    out: Path
    """File to write, for OME-Zarr a new folder X.ome.zarr; with several inputs, a
    folder, where results have the names of the inputs."""
    transform: tuple[Path, ...] = ()
    """Transforms in order: ITK (.h5, .tfm, .txt, .mat), displacement field images, and
    what `voltween convert` writes. inverse:FILE takes the inverse."""
    onto: Path | None = None
    """Image whose grid the results get; required for images and label maps unless there
    is --spacing-mm."""
    spacing_mm: tuple[float, ...] = ()
    """Voxel size of the results in mm, one number or three: on the field of view of
    --onto, or without it on a box along R, A and S that holds the input."""
    labels: bool = False
    """The images are label maps, or DICOM segmentations or structure sets: whole
    numbers, and by default the nearest voxel."""
    interpolation: Interpolation | None = None
    """linear (usual for images), nearest, cubic (B-spline), or label: for label maps,
    the label with the largest share of the voxels around, for smooth borders."""
    fill: float | None = None
    """Value beyond the input; if not given, 0, or the minimum of an image below 0 that
    is no label map and has no vectors."""
    dtype: NumberType | None = None
    """Type of the numbers of the result; if not given, that of the input where it holds
    the values, else float32."""
    turn_vectors: bool = False
    """The three numbers per voxel are vectors in space (LPS, as ITK has them): turn
    them by the rotation that the transform makes at each voxel."""
    frame: str | None = None
    """Frame of points or a surface, RAS or LPS, if the file does not state it."""

    def run(self) -> None:
        """Read, transform, write."""
        inputs, words = self.input, self.transform
        if not words:
            words, inputs = inputs[:1], inputs[1:]
        if not inputs:
            raise InputError(
                about="apply", expected="a transform and an input", got="one file"
            )
        self._check_options(inputs)
        if not all(map(_has_positions, inputs)):
            self._check_resampling()
        outputs = plan_outputs(inputs, self.out)
        for source, target in zip(inputs, outputs, strict=True):
            check_is_no_input(target)
            _check_name(source, target)
        for source in inputs:
            self._check_input(source)
        is_folder = outputs != [self.out]
        with folder_of(outputs[0]) if is_folder else nullcontext():
            named = read_transforms(words)
            for source, target in zip(inputs, outputs, strict=True):
                if _has_positions(source):
                    self._map_points(named, source, target)
                else:
                    self._resample(named, source, target)

    def _check_options(self, inputs: tuple[Path, ...]) -> None:
        """Checks that every option is one of an input."""
        if all(map(_has_positions, inputs)):
            kind, other, names = "an image", "points or a surface", _OF_IMAGES
        elif not any(map(_has_positions, inputs)):
            kind, other, names = "points or a surface", "an image", _OF_POSITIONS
        else:
            return
        usual = {field.name: field.default for field in fields(self)}
        if given := [name for name in names if getattr(self, name) != usual[name]]:
            raise InputError(
                about=f"--{given[0].replace('_', '-')}",
                expected=f"{kind} among the inputs",
                got=f"{other} alone",
                advice="leave it out",
            )

    def _check_resampling(self) -> None:
        """Checks the options for images against one another."""
        if self.onto is None and not self.spacing_mm:
            raise InputError(
                about="--onto",
                expected="an image whose grid to use, or --spacing-mm",
                got="none",
            )
        if len(self.spacing_mm) not in (0, 1, 3):
            raise InputError(
                about="--spacing-mm",
                expected="one number or three",
                got=len(self.spacing_mm),
            )
        if self.labels and self.interpolation in _MIXING:
            raise InputError(
                about="--interpolation",
                expected="nearest or label for label maps",
                got=f"{self.interpolation}, which mixes labels",
            )
        if self._is_of_labels and self.turn_vectors:
            raise InputError(
                about="--turn-vectors", expected="vectors", got="a label map"
            )

    def _check_input(self, source: Path) -> None:
        """Checks an input as far as its first bytes tell; points are read."""
        if io.is_surface_file(source):
            existing_file(source)
        elif io.is_points_file(source):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is read once more
                io.read_points(source, self.frame)
        else:
            io.check_header(source)

    def _map_points(self, named: NamedTransform, source: Path, target: Path) -> None:
        mapping = named.transform.map_positions
        if io.is_surface_file(source):
            count = io.move_surface(source, target, mapping, frame=self.frame)
        else:
            points = named.transform.map_points(io.read_points(source, self.frame))
            io.write(points, target)
            count = len(points.mm)
        report_written(
            target,
            f"{count} points x of {source.name} mapped to {named.formula}. A "
            "fixed_to_moving transform maps points of the fixed scan to the moving "
            "scan. RAS+ mm.",
        )

    def _resample(self, named: NamedTransform, source: Path, target: Path) -> None:
        moving = self._read(source)
        io.check_image_name(target, moving.meaning)
        onto, place = self._grid(named, moving)
        sampling = Sampling(
            self._interpolation,
            0.0 if self.fill is None and self.labels else self.fill,
            None if self.dtype is None else np.dtype(self.dtype),
        )
        with naming(source):
            result = resample_channels(
                named.transform, moving, onto=onto, sampling=sampling
            )
        io.write(result, target)
        report_written(
            target,
            f"{source.name} read at {named.formula}, for each voxel x of {place} "
            f"(RAS+ mm). {_described(result, sampling)}",
        )

    @property
    def _interpolation(self) -> Interpolation:
        return self.interpolation or ("nearest" if self.labels else "linear")

    @property
    def _is_of_labels(self) -> bool:
        return self.labels or self.interpolation == "label"

    def _read(self, source: Path) -> MultichannelImage:
        if self.turn_vectors:
            return io.read_channels(source, contents="vectors")
        if self._is_of_labels:
            return io.read_channels(source, contents="labels")
        image = io.read_channels(source)
        if self._interpolation in _MIXING and looks_like_labels(image.data[..., 0]):
            warnings.warn(
                f"{source} looks like a label map but is interpolated as an image, "
                "which mixes labels: give --labels if it is a label map",
                stacklevel=2,
            )
        return image

    def _grid(
        self, named: NamedTransform, moving: MultichannelImage
    ) -> tuple[Grid, str]:
        """The grid of a result, and its name."""
        onto = None if self.onto is None else read_reference_grid(self.onto)
        if onto is not None and not self.spacing_mm:
            return onto, f"{self.onto}"
        spacing_mm = np.broadcast_to(np.array(self.spacing_mm), 3)
        if onto is not None:
            return with_spacing(onto, spacing_mm), f"the field of view of {self.onto}"
        grid = grid_around(named.transform, moving.grid, spacing_mm)
        return grid, "a box around the input in fixed space"


def _has_positions(path: Path) -> bool:
    """Whether a file holds points or a surface, which are mapped, by its suffix."""
    return io.is_points_file(path) or io.is_surface_file(path)


def _check_name(source: Path, target: Path) -> None:
    """Checks the name of a result, as far as the name of its input tells its kind."""
    if io.is_surface_file(source):
        io.check_surface_name(target, source)
    elif io.is_points_file(source):
        io.check_points_name(target)
    else:
        io.check_image_name(target)


def _described(result: MultichannelImage, sampling: Sampling) -> str:
    """The result in words: numbers per voxel, interpolation, type."""
    words = f"{sampling.interpolation} interpolation, {result.data.dtype}"
    if result.meaning == "scalar":
        return f"{words.capitalize()}."
    numbers = f"{result.count} {'volumes' if result.meaning == 'series' else 'numbers'}"
    text = f"{numbers} per voxel ({result.meaning}), {words}."
    if result.meaning == "vectors":
        return f"{text} Vectors were turned with the transform."
    if result.meaning == "channels" and result.count == 3:
        return f"{text} They were not turned: if they are vectors, --turn-vectors does."
    return text
