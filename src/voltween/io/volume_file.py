"""The header of an image file, checked, and its voxels as they are stored."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.volumeutils import apply_read_scaling

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.io.container import Kind
from voltween.io.stored import StoredVoxels
from voltween.spatial import Grid, Meaning
from voltween.storage import add_inputs, naming

_MOST_VALUES = 1 << 40  # more than any machine holds
_ACCEPTED_KINDS = "biuf"


@dataclass(frozen=True)
class VolumeFile:
    """An image file whose header was read and checked, but not yet its voxels."""

    path: Path
    kind: Kind
    sizes: tuple[int, ...]
    """Voxels along each axis: I, J, K, then volumes."""
    components: int
    """Numbers per voxel."""
    dtype: np.dtype
    """Type of a stored number."""
    grid: Grid
    """Grid of the first three axes, RAS+ mm."""
    voxels: StoredVoxels
    is_interleaved: bool = False
    """Whether the numbers of one voxel stand together."""
    slope: float | np.ndarray = 1.0
    """A number, or one per volume."""
    intercept: float = 0.0
    """A value is the stored number times `slope`, plus `intercept`."""
    meaning: Meaning = "scalar"
    """Meaning of the numbers of a voxel, or of the volumes."""
    step_s: float = 1.0
    """Time between the volumes, in seconds."""

    def __post_init__(self) -> None:
        if self.stored_bytes // self.dtype.itemsize > _MOST_VALUES:
            raise InputError(
                expected="an image of possible size",
                got=" x ".join(map(str, self.sizes)),
                advice="its header is damaged",
            )
        if self.dtype.kind not in _ACCEPTED_KINDS or self.dtype.itemsize > 8:
            raise InputError(
                expected="integers or real numbers of at most 64 bits",
                got=str(self.dtype),
            )
        self.voxels.check_length(self.stored_bytes)

    @property
    def stored_bytes(self) -> int:
        """Length of the voxels in bytes, decompressed."""
        return math.prod(self.sizes) * self.components * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """The values, (I, J, K, ...) and a last axis of components if there are more.

        Values that are NaN or infinite stay so.

        Raises:
            InputError: If the voxels are cut short or damaged.
        """
        add_inputs([self.voxels.path])
        with naming(self.path):
            stored, left_over = self.voxels.read(self.stored_bytes)
        if left_over and self.voxels.has_end:
            warnings.warn(
                f"{self.path}: holds {left_over:,} bytes more than its header says: "
                "check that its size and its type of numbers are right",
                SuspiciousInputWarning,
                stacklevel=2,
            )
        values = stored.view(self.dtype).reshape(self._stored_shape, order="F")
        if self.components > 1 and self.is_interleaved:
            values = np.moveaxis(values, 0, -1)
        native = values.astype(self.dtype.newbyteorder("="), copy=False)
        if isinstance(self.slope, np.ndarray):
            return native * self.slope + self.intercept
        return apply_read_scaling(native, self.slope, self.intercept)

    @property
    def _stored_shape(self) -> tuple[int, ...]:
        if self.components == 1:
            return self.sizes
        if self.is_interleaved:
            return (self.components, *self.sizes)
        return (*self.sizes, self.components)


def check_is_volume(sizes: tuple[int, ...], components: int) -> None:
    """Checks that a file or object holds one 3D image with one number per voxel.

    Raises:
        InputError: If it does not.
    """
    check_has_three_axes(sizes)
    if components != 1:
        raise InputError(
            expected="one number per voxel",
            got=f"{components} (colors, vectors or complex numbers)",
        )


def check_has_three_axes(sizes: tuple[int, ...]) -> None:
    """Checks that sizes are those of one 3D image.

    Raises:
        InputError: If they are not.
    """
    if len(sizes) < 3 or min(sizes[:3]) < 2 or math.prod(sizes[3:]) != 1:
        advice = "save the volume you mean as a file of its own" if sizes[3:] else ""
        if len(sizes) == 4 and min(sizes[:3]) >= 2:
            advice += ", or choose it: --volume of `register`, in Python volume="
        raise InputError(
            expected="one 3D image",
            got=f"size {' x '.join(map(str, sizes))}",
            advice=advice,
        )


def volumes_of(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of a file of 3D volumes without further axes of one voxel.

    Raises:
        InputError: If there are fewer than three axes, or more than one beyond them.
    """
    further = tuple(size for size in sizes[3:] if size != 1)
    if len(sizes) < 3 or len(further) > 1:
        check_has_three_axes(sizes)
    if min(sizes[:3]) < 2:
        check_has_three_axes(sizes[:3])
    return (*sizes[:3], *further)


def meaning_of(sizes: tuple[int, ...], components: int) -> Meaning:
    """The meaning of numbers of which a header states nothing but how many there are.

    Raises:
        InputError: If there are several numbers per voxel and several volumes.
    """
    if components > 1 and sizes[3:]:
        raise InputError(
            expected="volumes of one number per voxel, or one volume of several",
            got=f"{sizes[3]} volumes of {components}",
        )
    if sizes[3:]:
        return "series"
    return "channels" if components > 1 else "scalar"
