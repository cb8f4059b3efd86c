"""The overview picture, which shows at a glance whether a registration worked.

It is painted pixel by pixel into an array; Pillow adds the text and writes the file.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from voltween.figures import (
    LONGEST_SIDE_VOXELS,
    PLANES,
    Colors,
    Plane,
    Section,
    display_grid,
    gray,
    paint_mosaic,
    sections,
)
from voltween.files import whole_file
from voltween.registration.result import Registration
from voltween.spatial import Affine, DisplacementField, Grid

_GRID_LINES = 20
_GRID_LINE_PIXELS = 1.2
_CHECKER_SQUARES = 8
_LARGEST_LOG_JACOBIAN = 1.5  # to base 2, either way: where the colors end
_CYAN = np.array([0.0, 1.0, 1.0])
# Growing and shrinking tissue: the ends of the color map RdBu, reversed.
_RED, _BLUE = np.array([0.70, 0.09, 0.17]), np.array([0.13, 0.40, 0.67])


def write_overview(registration: Registration, path: Path) -> None:
    """Writes a PNG: fixed, every tweening frame, checkerboard, deformed grid, Jacobian.

    The rows are three planes through the center of the fixed image, with R, A and S to
    the right or up.

    Raises:
        OutputError: If the file cannot be written.
    """
    columns = dict(_columns(registration, display_grid(registration.fixed.grid)))
    picture = paint_mosaic(_title(registration), columns)
    with whole_file(path) as partial:
        picture.save(partial, format="png", compress_level=1)


def _columns(
    registration: Registration, grid: Grid
) -> Iterator[tuple[str, list[Colors]]]:
    """Yields the heading and the three planes of every column of the picture."""
    fixed = sections(registration.fixed, Affine.identity(), grid)
    yield "fixed", [gray(section) for section in fixed]
    moved = fixed
    for name, transform in registration.tweening.items():
        moved = sections(registration.moving, transform, grid)
        heading = "moving, centered" if name == "before" else f"after {name}"
        yield heading, [gray(section) for section in moved]
    pairs = zip(fixed, moved, strict=True)
    yield "fixed / moved", [gray(np.where(_checkerboard(f), f, m)) for f, m in pairs]
    slabs = [plane.slab(grid, 3) for plane in PLANES]
    fields = [registration.fixed_to_moving.to_field(slab) for slab in slabs]
    triples = list(zip(PLANES, fields, moved, strict=True))
    yield "deformed grid", [_draw_grid_lines(m, f, p) for p, f, m in triples]
    yield "log2 Jacobian (red > 0)", [_color_jacobian(f, p) for p, f, _ in triples]


def _checkerboard(section: Section) -> Bool[np.ndarray, "_ _"]:
    size = max(2, LONGEST_SIDE_VOXELS // _CHECKER_SQUARES)
    return (np.indices(section.shape) // size).sum(axis=0) % 2 == 0


def _draw_grid_lines(
    section: Section, field: DisplacementField, plane: Plane
) -> Colors:
    """Draws lines of equal moving position: the moving grid on the moved image."""
    positions = field.to_flow() + np.indices(field.grid.shape)
    opacity = np.zeros(section.shape)
    for axis in {0, 1, 2} - {plane.axis}:
        lines = plane.section(positions[axis]) * (_GRID_LINES / LONGEST_SIDE_VOXELS)
        slope = np.hypot(*np.gradient(lines))
        pixels_away = np.abs(lines - np.rint(lines)) / slope.clip(1e-6)
        opacity = np.maximum(opacity, _GRID_LINE_PIXELS / 2 + 0.5 - pixels_away)
    opacity = opacity.clip(0, 1)[..., None]
    return (1 - opacity) * gray(section) + opacity * _CYAN


def _color_jacobian(field: DisplacementField, plane: Plane) -> Colors:
    """Colors red where the moving image's tissue is larger, blue where smaller."""
    determinant = plane.section(field.jacobian_determinant())
    share = np.log2(determinant.clip(2.0**-6)) / _LARGEST_LOG_JACOBIAN
    share = share.clip(-1, 1)[..., None]
    end = np.where(share > 0, _RED, _BLUE)
    return 1 - np.abs(share) * (1 - end)


def _title(registration: Registration) -> str:
    correlation = registration.correlation
    return (
        f"Voltween, model {registration.model_name}: correlation "
        f"{correlation['before']:.3f} before, {correlation['after']:.3f} after; "
        f"{registration.folding_percent:.3g} % of voxels fold"
    )
