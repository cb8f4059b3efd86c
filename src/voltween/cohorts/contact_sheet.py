"""All cases of a cohort on a page: a wrong flip is seen at a glance.

Of every case a middle axial and a middle coronal section, labels outlined.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Num, UInt8
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from voltween import io
from voltween.figures import PLANES, Plane, name_sides
from voltween.files import whole_file
from voltween.spatial import Image, LabelMap

CASES_A_PAGE = 40
_CASES_A_ROW = 4
_SIDE_PIXELS = 128
_TEXT_PIXELS = 16
_GAP_PIXELS = 6
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_OUTLINE = np.array([0, 255, 255], np.uint8)
_PERCENTILES = (1, 99.5)


@dataclass(frozen=True)
class Shown:
    """A case to be shown; its files have axes in RAS order."""

    name: str
    image: Path
    labels: Path | None


_VIEWS = PLANES[:2]  # axial and coronal


def page_names(cases: int) -> list[str]:
    """File names of the pages that show that many cases."""
    pages = -(-cases // CASES_A_PAGE)
    return [
        "contact_sheet.png",
        *(f"contact_sheet_{n + 1}.png" for n in range(1, pages)),
    ]


def write_contact_sheets(cases: Sequence[Shown], folder: Path) -> list[Path]:
    """Write the pages as PNG, and take away older ones that are too many.

    Raises:
        InputError: If a file cannot be read, or the folder not be written to.
    """
    paths = [folder / name for name in page_names(len(cases))]
    for number, path in enumerate(paths):
        page = _page(cases[number * CASES_A_PAGE :][:CASES_A_PAGE])
        with whole_file(path) as partial:
            page.save(partial, format="png")
    for old in folder.glob("contact_sheet*.png"):
        if old not in paths:
            old.unlink()
    return paths


def _page(cases: Sequence[Shown]) -> Picture.Image:
    width = len(_VIEWS) * _SIDE_PIXELS + _GAP_PIXELS
    height = _TEXT_PIXELS + _SIDE_PIXELS + _GAP_PIXELS
    columns = min(_CASES_A_ROW, len(cases))
    rows = -(-len(cases) // columns)
    page = Picture.new("RGB", (columns * width, rows * height), _WHITE)
    draw = ImageDraw.Draw(page)
    for number, case in enumerate(cases):
        row, column = divmod(number, columns)
        corner = column * width, row * height
        draw.text(corner, case.name, _BLACK, ImageFont.load_default(12))
        for place, (view, section) in enumerate(_sections(case)):
            x, y = corner[0] + place * _SIDE_PIXELS, corner[1] + _TEXT_PIXELS
            page.paste(Picture.fromarray(section), (x, y))
            name_sides(draw, view, (x, y), section.shape[:2])
    return page


def _sections(
    case: Shown,
) -> Iterator[tuple[Plane, UInt8[np.ndarray, "height width 3"]]]:
    image = io.read(case.image)
    labels = io.read_labels(case.labels) if case.labels else None
    low, high = np.percentile(image.data, _PERCENTILES)
    for view in _VIEWS:
        index = _middle(image, labels, view.axis)
        section = _seen(image.data.take(index, view.axis), image, view)
        gray = ((section - low) / max(high - low, 1e-6)).clip(0, 1) * 255
        colors = np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)
        if labels is not None:
            shown = _seen(labels.data.take(index, view.axis), image, view)
            colors[_outline(shown)] = _OUTLINE
        yield view, colors


def _middle(image: Image, labels: LabelMap | None, axis: int) -> int:
    """The plane through the middle of the labels, or of the scan without any."""
    if labels is None or not labels.labels:
        return image.grid.shape[axis] // 2
    others = tuple({0, 1, 2} - {axis})
    occupied = np.flatnonzero(labels.data.any(axis=others))
    return int(occupied[len(occupied) // 2])


def _seen(
    plane: Num[np.ndarray, "right up"], image: Image, view: Plane
) -> Num[np.ndarray, "height width"]:
    """The plane with square pixels, its second axis up, within the side of a picture.

    The nearest voxel is taken, so that labels stay labels.
    """
    shown = [axis for axis in range(3) if axis != view.axis]
    spacing = image.grid.spacing_mm[shown]
    extent_mm = np.array(plane.shape) * spacing
    sizes = np.maximum(extent_mm * (_SIDE_PIXELS / extent_mm.max()), 1).astype(int)
    right, up = (
        ((np.arange(size) + 0.5) * voxels / size).astype(int)
        for size, voxels in zip(sizes, plane.shape, strict=True)
    )
    return plane[np.ix_(right, up)].T[::-1]


def _outline(
    labels: Num[np.ndarray, "height width"],
) -> Bool[np.ndarray, "height width"]:
    """Where a label meets another or the background, on the label's side."""
    padded = np.pad(labels, 1, mode="edge")
    neighbors = (
        padded[:-2, 1:-1],
        padded[2:, 1:-1],
        padded[1:-1, :-2],
        padded[1:-1, 2:],
    )
    differs = np.zeros(labels.shape, bool)
    for neighbor in neighbors:
        differs |= neighbor != labels
    return differs & (labels != 0)
