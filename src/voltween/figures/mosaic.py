"""Pictures of sections of scans side by side, drawn with Pillow."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Picture
from PIL import ImageDraw

from voltween.figures.painter import Colors, as_picture, font, gray, name_sides
from voltween.figures.planes import LONGEST_SIDE_VOXELS, PLANES

_GAP_PIXELS = 6
_TITLE_PIXELS = 34
_HEADING_PIXELS = 20
_LEAST_COLUMN_PIXELS = 120  # for the headings
_SCALE_PIXELS, _SCALE_BAR_PIXELS, _LONGEST_SCALE_PIXELS = 52, 14, 200
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def tweening_picture(
    title: str, frames: dict[str, Float[np.ndarray, "i j k"]]
) -> UInt8[np.ndarray, "height width 3"]:
    """Picture of the middle sections of volumes, one column with heading per volume.

    The volumes are in RAS order, with intensities from 0 to 1.
    """
    longest = max(next(iter(frames.values())).shape)
    size = max(1, LONGEST_SIDE_VOXELS // longest)  # pixels per voxel
    columns = {
        heading: [
            gray(plane.section(volume).repeat(size, axis=0).repeat(size, axis=1))
            for plane in PLANES
        ]
        for heading, volume in frames.items()
    }
    return np.asarray(paint_mosaic(title, columns))


def paint_mosaic(title: str, columns: dict[str, list[Colors]]) -> Picture.Image:
    """The columns side by side, with headings above and the sides named inside.

    Without a title there is no space for one. Columns are as wide as the title needs.
    """
    first, *_ = columns.values()
    for_title = int(font(16).getlength(title) / len(columns))
    widths = [section.shape[1] for section in first]
    width = max(_LEAST_COLUMN_PIXELS, for_title, *widths) + _GAP_PIXELS
    heights = [section.shape[0] + _GAP_PIXELS for section in first]
    top = (_TITLE_PIXELS if title else 0) + _HEADING_PIXELS
    size = (width * len(columns) + _GAP_PIXELS, top + sum(heights))
    picture = Picture.new("RGB", size, _WHITE)
    draw = ImageDraw.Draw(picture)
    middle = size[0] / 2, _TITLE_PIXELS / 2
    draw.text(middle, title, _BLACK, font(16), anchor="mm")
    for column, (heading, sections) in enumerate(columns.items()):
        x = _GAP_PIXELS + column * width + (width - _GAP_PIXELS) // 2
        draw.text((x, top - 6), heading, _BLACK, font(13), anchor="ms")
        for row, section in enumerate(sections):
            corner = x - section.shape[1] // 2, top + sum(heights[:row])
            picture.paste(as_picture(section), corner)
            frame = (corner[0], corner[1], *np.add(corner, section.shape[1::-1]) - 1)
            draw.rectangle(frame, outline=_BLACK)
            name_sides(picture, PLANES[row], corner, section.shape[:2])
    return picture


def add_color_scale(
    picture: Picture.Image, colors: Float[np.ndarray, "n 3"], names: Sequence[str]
) -> Picture.Image:
    """Adds a scale at the right: colors from top to bottom, RGB 0 to 1, and names.

    The names are spread evenly from the top to the bottom of the scale.
    """
    result = Picture.new("RGB", (picture.width + _SCALE_PIXELS, picture.height), _WHITE)
    result.paste(picture)
    bar = as_picture(colors[:, None])
    left, top = picture.width, _TITLE_PIXELS + _HEADING_PIXELS
    height = min(_LONGEST_SCALE_PIXELS, picture.height - top - _GAP_PIXELS)
    result.paste(bar.resize((_SCALE_BAR_PIXELS, height)), (left, top))
    draw = ImageDraw.Draw(result)
    draw.rectangle((left, top, left + _SCALE_BAR_PIXELS, top + height), outline=_BLACK)
    for name, y in zip(
        names, np.linspace(top + 6, top + height - 6, len(names)), strict=True
    ):
        place = left + _SCALE_BAR_PIXELS + 4, y
        draw.text(place, name, _BLACK, font(12), anchor="lm")
    return result
