"""The painter of slices: from what a view shows to colored pixels.

All pictures of slices are painted here: the overview of a registration, contact sheets,
thumbnails, notebooks, and the panels of figures that Matplotlib arranges. Colors are
RGB from 0 to 1, with the top row of the picture first.
"""

import colorsys
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from voltween.figures.planes import Plane, Section

MOST_STRUCTURES = 12  # more would hide the picture
LARGEST_LOG_JACOBIAN = 1.5
"""Logarithm to base 2, of either sign, at which the colors of volume change end."""
FIXED_COLOR, MOVED_COLOR, BOTH_COLOR = "#0072B2", "#E69F00", "#BBBBBB"
FIXED_OUTLINE, MOVED_OUTLINE, FOLD_COLOR = "#ff8000", "#59b3ff", "#ffee00"
"""Orange, light blue and yellow, which color-blind readers can tell apart, too."""
_SQUARES = 8  # of the checkerboard, along the longer side
_RED, _WARPED_OPACITY = np.array([0.9, 0.0, 0.0]), 0.5
_ORANGE, _BLACK = (255, 165, 0), (0, 0, 0)
_HUE_STEP = 0.61803  # the golden ratio: the hues of successive labels lie far apart

Colors = Float[np.ndarray, "_ _ 3"]


def gray(section: Section) -> Colors:
    """The section as gray RGB."""
    return np.repeat(section[..., None], 3, axis=-1)


def fuse(fixed: Section, moved: Section) -> Colors:
    """The moved section in magenta over the fixed one in green: gray if they agree."""
    return np.stack([moved, fixed, moved], axis=-1)


def checker(fixed: Section, moved: Section) -> Colors:
    """Squares of the fixed section, the first at the top left, and of the moved one."""
    size = max(2, max(fixed.shape) // _SQUARES)
    is_fixed = (np.indices(fixed.shape) // size).sum(axis=0) % 2 == 0
    return gray(np.where(is_fixed, fixed, moved))


def color_labels(labels: Int[np.ndarray, "_ _"]) -> Colors:
    """A color per label, on black."""
    shown, place = np.unique(labels, return_inverse=True)
    return np.array([_label_color(int(n)) for n in shown])[place.reshape(labels.shape)]


def overlap_colors(
    fixed: Bool[np.ndarray, "h w"], moved: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """RGB of two masks: fixed only blue, moved only orange, both gray, none white."""
    colors = np.ones((*fixed.shape, 3))
    colors[fixed & ~moved] = rgb(FIXED_COLOR)
    colors[moved & ~fixed] = rgb(MOVED_COLOR)
    colors[fixed & moved] = rgb(BOTH_COLOR)
    return colors


def mask_colors(
    fixed: Bool[np.ndarray, "h w"], warped: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """RGB of a white fixed mask on black, with a half transparent red warped mask."""
    colors = np.repeat(fixed[..., None], 3, axis=-1).astype(float)
    colors[warped] = (1 - _WARPED_OPACITY) * colors[warped] + _WARPED_OPACITY * _RED
    return colors


def largest_structures(sections: Sequence[Int[np.ndarray, "_ _"]]) -> list[int]:
    """The labels that cover most of the sections, at most twelve; without 0."""
    labels, counts = np.unique(
        np.concatenate([section.ravel() for section in sections]), return_counts=True
    )
    by_size = labels[np.argsort(-counts, kind="stable")]
    return [int(label) for label in by_size if label != 0][:MOST_STRUCTURES]


def find_outlines(
    labels: Int[np.ndarray, "_ _"], chosen: Sequence[int]
) -> Bool[np.ndarray, "_ _"]:
    """Finds the outermost pixels of the chosen structures."""
    edges = _edges(labels)
    edges[edges] = np.isin(labels[edges], chosen)
    return edges


def draw_outlines(
    colors: Colors, outlines: Bool[np.ndarray, "_ _"], color: Float[np.ndarray, " 3"]
) -> Colors:
    """Draws outlines, as `find_outlines` returns them, in a color."""
    drawn = colors.copy()
    drawn[outlines] = color
    return drawn


def as_picture(colors: Colors) -> Picture.Image:
    """The colors as a picture of Pillow."""
    levels = colors * 255
    return Picture.fromarray(np.rint(levels, out=levels).astype(np.uint8))


def paint_panel(colors: Colors, plane: Plane, scale: float = 1.0) -> Picture.Image:
    """A section with the names of its sides; `scale` is the size of its pixels."""
    picture = as_picture(colors)
    if scale != 1:
        width, height = (max(1, round(n * scale)) for n in picture.size)
        picture = picture.resize((width, height), Picture.Resampling.BICUBIC)
    name_sides(picture, plane, (0, 0), (picture.height, picture.width))
    return picture


def name_sides(
    picture: Picture.Image,
    plane: Plane,
    corner: tuple[int, int],
    shape: tuple[int, int],
) -> None:
    """Writes the names of the sides into a section of (height, width) pixels."""
    outlines, letters = _side_masks(plane, shape)
    picture.paste(_BLACK, corner, outlines)
    picture.paste(_ORANGE, corner, letters)


@cache
def font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all pictures in a size, which is unpacked once."""
    return ImageFont.load_default(pixels)


@lru_cache(maxsize=16)  # the planes of pictures that are painted in turns
def _side_masks(
    plane: Plane, shape: tuple[int, int]
) -> tuple[Picture.Image, Picture.Image]:
    """Opacities of the outlines of the sides' names, and of their letters.

    Letters are drawn once for all sections of a plane: they took a fifth of the time of
    a picture.
    """
    height, width = shape
    places = (
        ((2, height / 2), plane.left, "lm"),
        ((width - 2, height / 2), plane.right, "rm"),
        ((width / 2, 2), plane.top, "mt"),
    )
    outlines, letters = (Picture.new("L", (width, height)) for _ in range(2))
    for place, name, anchor in places:
        text = place, name, 255, font(11), anchor
        ImageDraw.Draw(outlines).text(*text, stroke_width=1, stroke_fill=255)
        ImageDraw.Draw(letters).text(*text)
    return outlines, letters


def _edges(labels: Int[np.ndarray, "_ _"]) -> Bool[np.ndarray, "_ _"]:
    """The pixels of structures that have a neighbor of another label."""
    around = np.pad(labels, 1)
    is_edge = (around[2:, 1:-1] != labels) | (around[:-2, 1:-1] != labels)
    is_edge |= (around[1:-1, 2:] != labels) | (around[1:-1, :-2] != labels)
    return is_edge & (labels != 0)


def _label_color(label: int) -> tuple[float, float, float]:
    if label == 0:
        return 0.0, 0.0, 0.0
    return colorsys.hsv_to_rgb(label * _HUE_STEP % 1, 0.6, 0.95)


def rgb(color: str) -> tuple[float, float, float]:
    """Red, green and blue from 0 to 1 of a color such as #ff8000."""
    red, green, blue = bytes.fromhex(color[1:])
    return red / 255, green / 255, blue / 255
