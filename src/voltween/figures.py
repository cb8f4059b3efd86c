"""The picture by which one sees whether a registration worked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voltween.files import whole_file
from voltween.jacobian import jacobian_determinant
from voltween.register import Registration
from voltween.space import Grid, directions_to_ras
from voltween.transform import Affine, DisplacementField
from voltween.volume import Image

_LONGEST_SIDE_VOXELS = 192
_GRID_LINES = 20
_CHECKER_SQUARES = 8

# For each plane of a volume in RAS order: the axis cut, and what is at the left, right,
# bottom and top of the picture.
_PLANES = {
    "axial": (2, "L", "R", "P", "A"),
    "coronal": (1, "L", "R", "I", "S"),
    "sagittal": (0, "P", "A", "I", "S"),
}


@dataclass(frozen=True, eq=False)
class _Panel:
    title: str
    volume: Float[np.ndarray, "i j k"]
    kind: str = "grey"  # or "overlay", "jacobian"


def write_overview(registration: Registration, path: Path) -> None:
    """Write a PNG: fixed, every tweening frame, checkerboard, deformed grid, Jacobian.

    Three planes through the middle of the fixed image, R, A and S to the right or up.
    """
    grid = display_grid(registration.fixed.grid)
    field = registration.fixed_to_moving.to_field(grid)
    fixed = _shown(registration.fixed, grid)
    frames = {
        name: _scaled(transform.resample(registration.moving, onto=grid).data)
        for name, transform in registration.tweening.items()
    }
    *_, moved = frames.values()
    panels = [
        _Panel("fixed", fixed),
        *(_Panel(_frame_title(name), frame) for name, frame in frames.items()),
        _Panel("fixed / moved", np.where(_checkers(grid.shape), fixed, moved)),
        _Panel("deformed grid", moved, "grid"),
        _Panel("log2 Jacobian (red > 0)", _log_jacobian(field), "jacobian"),
    ]
    figure = _draw(panels, field, _title(registration))
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=100, facecolor="white")


def display_grid(grid: Grid) -> Grid:
    """Cubic voxels in RAS order over the field of view of a grid."""
    directions = directions_to_ras(grid)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(grid.shape) - 1.0)
    extent_mm = np.ptp(
        (grid.voxel_to_world(corners) - grid.centre_mm) @ directions, axis=0
    )
    spacing_mm = max(grid.spacing_mm.min(), extent_mm.max() / _LONGEST_SIDE_VOXELS)
    sizes = np.maximum(np.round(extent_mm / spacing_mm).astype(int) + 1, 2)
    return Grid.centred(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        centre_mm=grid.centre_mm,
        spacing_mm=(float(spacing_mm),) * 3,
        directions=directions,
    )


def _frame_title(name: str) -> str:
    return "moving, centred" if name == "before" else f"after {name}"


def _draw(panels: list[_Panel], field: DisplacementField, title: str) -> Figure:
    figure = Figure(figsize=(2.1 * len(panels), 7.0), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(_PLANES), len(panels), squeeze=False)
    for row, plane in enumerate(_PLANES):
        for column, panel in enumerate(panels):
            _draw_panel(axes[row, column], panel, plane, field)
            if row == 0:
                axes[row, column].set_title(panel.title, fontsize=9)
    return figure


def _draw_panel(
    axes: Axes, panel: _Panel, plane: str, field: DisplacementField
) -> None:
    axis, left, right, _, top = _PLANES[plane]
    middle = panel.volume.shape[axis] // 2
    section = np.take(panel.volume, middle, axis=axis).T
    if panel.kind == "jacobian":
        axes.imshow(section, origin="lower", cmap="RdBu_r", vmin=-1.5, vmax=1.5)
    else:
        axes.imshow(section, origin="lower", cmap="gray", vmin=0, vmax=1)
    if panel.kind == "grid":
        _draw_grid(axes, field, axis, middle)
    style: dict[str, Any] = {
        "color": "orange",
        "fontsize": 7,
        "transform": axes.transAxes,
    }
    axes.text(0.01, 0.5, left, va="center", **style)
    axes.text(0.99, 0.5, right, va="center", ha="right", **style)
    axes.text(0.5, 0.99, top, va="top", ha="center", **style)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_grid(axes: Axes, field: DisplacementField, axis: int, middle: int) -> None:
    """Lines of equal moving position: the moving image's grid on the fixed image."""
    positions = field.to_flow() + np.indices(field.grid.shape)
    for other in {0, 1, 2} - {axis}:
        section = np.take(positions[other], middle, axis=axis).T
        step = max(field.grid.shape) / _GRID_LINES
        levels = np.arange(section.min() // step, section.max() // step + 1) * step
        axes.contour(section, levels=levels, colors="cyan", linewidths=0.5)


def _shown(image: Image, grid: Grid) -> Float[np.ndarray, "i j k"]:
    return _scaled(Affine.identity().resample(image, onto=grid).data)


def _scaled(data: Float[np.ndarray, "i j k"]) -> Float[np.ndarray, "i j k"]:
    low, high = np.percentile(data, (0.5, 99.5))
    return ((data - low) / max(high - low, np.finfo(np.float32).tiny)).clip(0, 1)


def _checkers(shape: tuple[int, int, int]) -> np.ndarray:
    size = max(2, max(shape) // _CHECKER_SQUARES)
    return (np.indices(shape) // size).sum(axis=0) % 2 == 0


def _log_jacobian(field: DisplacementField) -> Float[np.ndarray, "i j k"]:
    flow = torch.from_numpy(field.to_flow().astype(np.float32))[None]
    determinant = jacobian_determinant(flow)[0].numpy()
    return np.log2(determinant.clip(2.0**-6))


def _title(registration: Registration) -> str:
    correlation = registration.correlation
    return (
        f"Voltween, model {registration.model_name}: correlation "
        f"{correlation['before']:.3f} before, {correlation['after']:.3f} after; "
        f"{registration.folding_percent:.3g} % of voxels fold"
    )
