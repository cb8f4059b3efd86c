"""The properties of a scan that a template needs before any registration."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from voltween import io
from voltween.preprocessing import (
    check_is_scan,
    find_foreground,
    foreground_range,
    looks_like_ct,
)
from voltween.spatial import Grid, Image
from voltween.storage import Draft, Store, content_digest, naming

_FORMAT = 2  # raise it when a survey measures something else
_BRIGHTEST = 98.0  # percent of the foreground, by which intensities are normalized


@dataclass(frozen=True)
class Survey:
    """Figures of a scan."""

    is_ct: bool
    range: tuple[float, float]
    """Intensities that are normalized to 0 and 1."""
    center_mm: tuple[float, float, float]
    """Middle of the foreground, RAS+ mm."""
    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]

    @property
    def grid(self) -> Grid:
        """The grid of the scan."""
        return Grid(self.shape, np.array(self.affine))


def survey_image(image: Image) -> Survey:
    """Measures a scan.

    Raises:
        InputError: If it is constant.
    """
    check_is_scan(image)
    is_ct = looks_like_ct(image)
    x, y, z = find_foreground(image, is_ct=is_ct).center_mm.tolist()
    # Not 98 % to 100 %: these are the same where the brightest voxels are clipped.
    _, brightest = foreground_range(image, (0.0, _BRIGHTEST))
    return Survey(
        is_ct=is_ct,
        range=(image.outside_value, brightest),
        center_mm=(x, y, z),
        shape=image.grid.shape,
        affine=tuple(map(tuple, image.grid.affine.tolist())),
    )


def survey_scan(path: Path, store: Store, name: str) -> Survey:
    """The survey of a scan's file, kept in a store.

    Raises:
        InputError: If it cannot be read, or is constant.
        OutputError: If the store cannot be written to.
    """

    def make(draft: Draft) -> None:
        image = io.read(path)
        with naming(path):
            draft.values["survey"] = asdict(survey_image(image))

    facts = {"format": _FORMAT, "image": content_digest(path)}
    values = store.found_or_made(facts, make, name=name).values["survey"]
    return Survey(
        is_ct=values["is_ct"],
        range=tuple(values["range"]),
        center_mm=tuple(values["center_mm"]),
        shape=tuple(values["shape"]),
        affine=tuple(map(tuple, values["affine"])),
    )
