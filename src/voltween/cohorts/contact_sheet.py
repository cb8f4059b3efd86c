"""Contact sheets: all cases of a cohort on a page, which makes wrong flips obvious.

Every case is shown by a middle axial and a middle coronal section, labels outlined.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from voltween import io
from voltween.figures import (
    PLANES,
    Window,
    draw_outlines,
    find_outlines,
    gray,
    paint_panel,
    plane_view,
)
from voltween.spatial import Image, LabelMap
from voltween.storage import terminal, whole_file

CASES_PER_PAGE = 40
_CASES_PER_ROW = 4
_SIDE_PIXELS = 128
_TEXT_PIXELS = 16
_GAP_PIXELS = 6
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_OUTLINE_COLOR = np.array([0.0, 1.0, 1.0])
_PLANES = PLANES[:2]  # axial and coronal


@dataclass(frozen=True)
class SheetCase:
    """A case on a contact sheet; its files have axes in RAS order."""

    name: str
    image: Path
    labels: Path | None


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
    width = len(_PLANES) * _SIDE_PIXELS + _GAP_PIXELS
    height = _TEXT_PIXELS + _SIDE_PIXELS + _GAP_PIXELS
    columns = min(_CASES_PER_ROW, len(cases))
    rows = -(-len(cases) // columns)
    page = Picture.new("RGB", (columns * width, rows * height), _WHITE)
    draw = ImageDraw.Draw(page)
    for number, case in enumerate(cases):
        row, column = divmod(number, columns)
        corner = column * width, row * height
        draw.text(corner, terminal(case.name), _BLACK, ImageFont.load_default(12))
        for place, panel in enumerate(_panels(case)):
            x, y = corner[0] + place * _SIDE_PIXELS, corner[1] + _TEXT_PIXELS
            page.paste(panel, (x, y))
    return page


def _panels(case: SheetCase) -> Iterator[Picture.Image]:
    image = io.read(case.image)
    labels = io.read_labels(case.labels) if case.labels else None
    window = Window.of(image)
    middle_mm = _middle_mm(image, labels)
    for plane in _PLANES:
        view = plane_view(plane, image.grid, middle_mm, pixels=_SIDE_PIXELS)
        colors = gray(view.gray(image, window=window))
        if labels is not None:
            outlines = find_outlines(view.labels(labels), labels.labels)
            colors = draw_outlines(colors, outlines, _OUTLINE_COLOR)
        yield paint_panel(colors, plane)


def _middle_mm(image: Image, labels: LabelMap | None) -> Float[np.ndarray, " 3"]:
    """The middle of the labels along each axis, or of an unlabeled scan, RAS+ mm."""
    if labels is None or not labels.labels:
        return image.grid.center_mm
    middle = []
    for axis in range(3):
        others = tuple({0, 1, 2} - {axis})
        occupied = np.flatnonzero(labels.data.any(axis=others))
        middle.append(float(occupied[len(occupied) // 2]))
    return labels.grid.voxel_to_world(np.array(middle))
