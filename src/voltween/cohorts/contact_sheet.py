"""Contact sheets: all cases of a cohort on a page, which makes wrong flips obvious.

Every case is shown by a middle axial and a middle coronal section, labels outlined.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Num, UInt8
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from voltween import io
from voltween.escaping import terminal
from voltween.figures import PLANES, Plane, name_sides
from voltween.files import whole_file
from voltween.spatial import Image, LabelMap

CASES_PER_PAGE = 40
_CASES_PER_ROW = 4
_SIDE_PIXELS = 128
_TEXT_PIXELS = 16
_GAP_PIXELS = 6
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_OUTLINE = np.array([0, 255, 255], np.uint8)
_PERCENTILES = (1, 99.5)


@dataclass(frozen=True)
class SheetCase:
    """A case on a contact sheet; its files have axes in RAS order."""

    name: str
    image: Path
    labels: Path | None


_VIEWS = PLANES[:2]  # axial and coronal


def page_names(cases: int) -> list[str]:
    """File names of the pages for this number of cases."""
    pages = -(-cases // CASES_PER_PAGE)
    return [
        "contact_sheet.png",
        *(f"contact_sheet_{n + 1}.png" for n in range(1, pages)),
    ]


def write_contact_sheets(cases: Sequence[SheetCase], folder: Path) -> list[Path]:
    """Writes the pages as PNG and deletes surplus older ones; returns their paths.

    Raises:
        InputError: If a file cannot be read.
        OutputError: If the folder cannot be written to.
    """
    paths = [folder / name for name in page_names(len(cases))]
    for number, path in enumerate(paths):
        page = _page(cases[number * CASES_PER_PAGE :][:CASES_PER_PAGE])
        with whole_file(path) as partial:
            page.save(partial, format="png")
    for old in folder.glob("contact_sheet*.png"):
        if old not in paths:
            old.unlink()
    return paths


def _page(cases: Sequence[SheetCase]) -> Picture.Image:
    width = len(_VIEWS) * _SIDE_PIXELS + _GAP_PIXELS
    height = _TEXT_PIXELS + _SIDE_PIXELS + _GAP_PIXELS
    columns = min(_CASES_PER_ROW, len(cases))
    rows = -(-len(cases) // columns)
    page = Picture.new("RGB", (columns * width, rows * height), _WHITE)
    draw = ImageDraw.Draw(page)
    for number, case in enumerate(cases):
        row, column = divmod(number, columns)
        corner = column * width, row * height
        draw.text(corner, terminal(case.name), _BLACK, ImageFont.load_default(12))
        for place, (view, section) in enumerate(_sections(case)):
            x, y = corner[0] + place * _SIDE_PIXELS, corner[1] + _TEXT_PIXELS
            page.paste(Picture.fromarray(section), (x, y))
            name_sides(draw, view, (x, y), section.shape[:2])
    return page


def _sections(
    case: SheetCase,
) -> Iterator[tuple[Plane, UInt8[np.ndarray, "height width 3"]]]:
    image = io.read(case.image)
    labels = io.read_labels(case.labels) if case.labels else None
    low, high = np.percentile(image.data, _PERCENTILES)
    for view in _VIEWS:
        index = _middle(image, labels, view.axis)
        section = _display(image.data.take(index, view.axis), image, view)
        gray = ((section - low) / max(high - low, 1e-6)).clip(0, 1) * 255
        colors = np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)
        if labels is not None:
            section_labels = _display(labels.data.take(index, view.axis), image, view)
            colors[_outline(section_labels)] = _OUTLINE
        yield view, colors


def _middle(image: Image, labels: LabelMap | None, axis: int) -> int:
    """Index of the plane through the middle of the labels, or of an unlabeled scan."""
    if labels is None or not labels.labels:
        return image.grid.shape[axis] // 2
    others = tuple({0, 1, 2} - {axis})
    occupied = np.flatnonzero(labels.data.any(axis=others))
    return int(occupied[len(occupied) // 2])


def _display(
    plane: Num[np.ndarray, "right up"], image: Image, view: Plane
) -> Num[np.ndarray, "height width"]:
    """Resamples the plane to square pixels that fit a picture, its second axis up.

    Pixels take the nearest voxel, so that labels stay labels.
    """
    plane_axes = [axis for axis in range(3) if axis != view.axis]
    spacing = image.grid.spacing_mm[plane_axes]
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
    """Border pixels of the labels, next to another label or the background."""
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
