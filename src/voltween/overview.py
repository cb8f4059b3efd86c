"""The picture by which one sees whether a registration worked.

Painted pixel by pixel into an array; Pillow adds the words and writes the file.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from voltween.files import whole_file
from voltween.planes import (
    LONGEST_SIDE_VOXELS,
    PLANES,
    Plane,
    Section,
    display_grid,
    grey_levels,
)
from voltween.registration import Registration
from voltween.space import Grid
from voltween.transform import Affine, DisplacementField, Transform
from voltween.volume import Image

_GAP_PIXELS = 6
_TITLE_PIXELS = 34
_HEADING_PIXELS = 20
_GRID_LINES = 20
_GRID_LINE_PIXELS = 1.2
_CHECKER_SQUARES = 8
_MOST_LOG_JACOBIAN = 1.5
_WHITE, _BLACK, _ORANGE = (255, 255, 255), (0, 0, 0), (255, 165, 0)
_CYAN = np.array([0.0, 1.0, 1.0])
# Growing and shrinking tissue: the ends of the colour map RdBu, turned around.
_RED, _BLUE = np.array([0.70, 0.09, 0.17]), np.array([0.13, 0.40, 0.67])

Colours = Float[np.ndarray, "_ _ 3"]


def write_overview(registration: Registration, path: Path) -> None:
    """Write a PNG: fixed, every tweening frame, checkerboard, deformed grid, Jacobian.

    Three planes through the middle of the fixed image, R, A and S to the right or up.
    """
    columns = dict(_columns(registration, display_grid(registration.fixed.grid)))
    picture = _mosaic(_title(registration), columns)
    with whole_file(path) as partial:
        picture.save(partial, format="png", compress_level=1)


def tweening_picture(
    title: str, frames: dict[str, Float[np.ndarray, "i j k"]]
) -> UInt8[np.ndarray, "height width 3"]:
    """Middle sections of volumes in RAS order, 0 to 1: a column with heading each."""
    longest = max(next(iter(frames.values())).shape)
    size = max(1, LONGEST_SIDE_VOXELS // longest)  # pixels a voxel
    columns = {
        heading: [
            _grey(plane.section(volume).repeat(size, axis=0).repeat(size, axis=1))
            for plane in PLANES
        ]
        for heading, volume in frames.items()
    }
    return np.asarray(_mosaic(title, columns))


def _columns(
    registration: Registration, grid: Grid
) -> Iterator[tuple[str, list[Colours]]]:
    """Heading and the three planes of every column of the picture."""
    fixed = _sections(registration.fixed, Affine.identity(), grid)
    yield "fixed", [_grey(section) for section in fixed]
    moved = fixed
    for name, transform in registration.tweening.items():
        moved = _sections(registration.moving, transform, grid)
        heading = "moving, centred" if name == "before" else f"after {name}"
        yield heading, [_grey(section) for section in moved]
    pairs = zip(fixed, moved, strict=True)
    yield "fixed / moved", [_grey(np.where(_checkers(f), f, m)) for f, m in pairs]
    slabs = [plane.slab(grid, 3) for plane in PLANES]
    fields = [registration.fixed_to_moving.to_field(slab) for slab in slabs]
    triples = list(zip(PLANES, fields, moved, strict=True))
    yield "deformed grid", [_with_grid_lines(m, f, p) for p, f, m in triples]
    yield "log2 Jacobian (red > 0)", [_jacobian(f, p) for p, f, _ in triples]


def _sections(volume: Image, transform: Transform, grid: Grid) -> list[Section]:
    """The three planes of the volume on the grid, intensities from 0 to 1."""
    sections = []
    for plane in PLANES:
        slab = transform.resample(volume, onto=plane.slab(grid, 1))
        sections.append(plane.section(slab.data))
    return grey_levels(sections)


def _grey(section: Section) -> Colours:
    return np.repeat(section[..., None], 3, axis=-1)


def _checkers(section: Section) -> Bool[np.ndarray, "_ _"]:
    size = max(2, LONGEST_SIDE_VOXELS // _CHECKER_SQUARES)
    return (np.indices(section.shape) // size).sum(axis=0) % 2 == 0


def _with_grid_lines(
    section: Section, field: DisplacementField, plane: Plane
) -> Colours:
    """Lines of equal moving position: the moving image's grid on the moved image."""
    positions = field.to_flow() + np.indices(field.grid.shape)
    opacity = np.zeros(section.shape)
    for axis in {0, 1, 2} - {plane.axis}:
        lines = plane.section(positions[axis]) * (_GRID_LINES / LONGEST_SIDE_VOXELS)
        slope = np.hypot(*np.gradient(lines))
        from_line = np.abs(lines - np.rint(lines)) / slope.clip(1e-6)  # pixels
        opacity = np.maximum(opacity, _GRID_LINE_PIXELS / 2 + 0.5 - from_line)
    opacity = opacity.clip(0, 1)[..., None]
    return (1 - opacity) * _grey(section) + opacity * _CYAN


def _jacobian(field: DisplacementField, plane: Plane) -> Colours:
    """Red where the moving image's tissue is larger, blue where it is smaller."""
    determinant = plane.section(field.jacobian_determinant())
    share = np.log2(determinant.clip(2.0**-6)) / _MOST_LOG_JACOBIAN
    share = share.clip(-1, 1)[..., None]
    end = np.where(share > 0, _RED, _BLUE)
    return 1 - np.abs(share) * (1 - end)


def _mosaic(title: str, columns: dict[str, list[Colours]]) -> Picture.Image:
    """The columns side by side, with headings above and sides named within."""
    first, *_ = columns.values()
    width = max(section.shape[1] for section in first) + _GAP_PIXELS
    heights = [section.shape[0] + _GAP_PIXELS for section in first]
    top = _TITLE_PIXELS + _HEADING_PIXELS
    size = (width * len(columns) + _GAP_PIXELS, top + sum(heights))
    picture = Picture.new("RGB", size, _WHITE)
    draw = ImageDraw.Draw(picture)
    middle = size[0] / 2, _TITLE_PIXELS / 2
    draw.text(middle, title, _BLACK, ImageFont.load_default(16), anchor="mm")
    for column, (heading, sections) in enumerate(columns.items()):
        x = _GAP_PIXELS + column * width + (width - _GAP_PIXELS) // 2
        draw.text(
            (x, top - 6), heading, _BLACK, ImageFont.load_default(13), anchor="ms"
        )
        for row, section in enumerate(sections):
            corner = x - section.shape[1] // 2, top + sum(heights[:row])
            picture.paste(_picture(section), corner)
            frame = (corner[0], corner[1], *np.add(corner, section.shape[1::-1]) - 1)
            draw.rectangle(frame, outline=_BLACK)
            name_sides(draw, PLANES[row], corner, section.shape[:2])
    return picture


def _picture(colours: Colours) -> Picture.Image:
    pixels: UInt8[np.ndarray, "_ _ 3"]
    pixels = np.rint(colours * 255).astype(np.uint8)
    return Picture.fromarray(pixels)


def name_sides(
    draw: ImageDraw.ImageDraw,
    plane: Plane,
    corner: tuple[int, int],
    shape: tuple[int, int],
) -> None:
    """Write into a picture what is at the sides of a section of (height, width)."""
    (x, y), (height, width) = corner, shape
    font = ImageFont.load_default(11)
    draw.text((x + 2, y + height / 2), plane.left, _ORANGE, font, anchor="lm")
    draw.text((x + width - 2, y + height / 2), plane.right, _ORANGE, font, anchor="rm")
    draw.text((x + width / 2, y + 2), plane.top, _ORANGE, font, anchor="mt")


def _title(registration: Registration) -> str:
    correlation = registration.correlation
    return (
        f"Voltween, model {registration.model_name}: correlation "
        f"{correlation['before']:.3f} before, {correlation['after']:.3f} after; "
        f"{registration.folding_percent:.3g} % of voxels fold"
    )
