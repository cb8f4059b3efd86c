"""Images of several numbers per voxel: time series, channels, colors, vectors."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from voltween.errors import InputError
from voltween.spatial.arguments import check_is_array, check_is_grid
from voltween.spatial.grid import Grid

Meaning = Literal["scalar", "series", "channels", "colors", "vectors"]
"""Meaning of the numbers of a voxel.

scalar: there is one.
series: volumes in time, or of several directions or echoes; the fourth axis of a file.
channels: numbers that belong to one voxel and do not turn with it.
colors: red, green, blue, and perhaps opacity.
vectors: components along R, A and S.
"""


@dataclass(frozen=True, eq=False, slots=True)
class MultichannelImage:
    """One or several numbers per voxel of a grid.

    Raises:
        InputError: If the array is not (I, J, K, C) on the grid, or C does not fit the
            meaning.
    """

    data: np.ndarray
    """(I, J, K, C) in the type in which the numbers are stored, read-only."""
    grid: Grid
    meaning: Meaning
    step_s: float = 1.0
    """Time between the volumes of a series, in seconds."""

    def __post_init__(self) -> None:
        if self.meaning not in get_args(Meaning):
            expected = ", ".join(get_args(Meaning))
            raise InputError(about="meaning", expected=expected, got=self.meaning)
        check_is_array(self.data, "multichannel image")
        check_is_grid(self.grid)
        if self.data.ndim != 4 or self.data.shape[:3] != self.grid.shape:
            raise InputError(
                about="multichannel image",
                expected=f"an array of shape {(*self.grid.shape, 'C')}",
                got=self.data.shape,
            )
        counts = {"scalar": (1,), "colors": (3, 4), "vectors": (3,)}.get(self.meaning)
        if counts and self.data.shape[3] not in counts:
            raise InputError(
                about=f"image of {self.meaning}",
                expected=f"{' or '.join(map(str, counts))} numbers per voxel",
                got=self.data.shape[3],
            )
        view = self.data.view()
        view.setflags(write=False)
        object.__setattr__(self, "data", view)

    def __repr__(self) -> str:
        return f"<MultichannelImage {self.grid.words}, {self.count} {self.meaning}>"

    @property
    def count(self) -> int:
        """Numbers per voxel: volumes of a series, channels, components."""
        return int(self.data.shape[3])
