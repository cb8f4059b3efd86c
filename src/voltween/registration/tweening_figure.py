"""Three-dimensional figure of a cascade, as figures 1 and 7 of the VTN paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from voltween.errors import InputError
from voltween.figures import (
    STRUCTURE_COLORS,
    Pixels,
    Scene,
    import_pyvista,
    render_lines,
    render_scan,
    render_volume,
)
from voltween.registration.result import Registration
from voltween.spatial import Affine, Grid, LabelMap, Transform

Style = Literal["surface", "volume"]
_PANEL_INCHES = 2.4
_LINES = 9
_POINTS_PER_LINE = 60


@dataclass(frozen=True, eq=False)
class Structures:
    """Labels of both scans to be shown as colored surfaces.

    Raises:
        InputError: If too few or too many labels are chosen, or neither scan has one.
    """

    fixed: LabelMap
    moving: LabelMap
    chosen: tuple[int, ...]
    """Labels that are shown: at most six."""

    def __post_init__(self) -> None:
        absent = set(self.chosen) - set(self.fixed.labels + self.moving.labels)
        if absent or not 0 < len(self.chosen) <= len(STRUCTURE_COLORS):
            raise InputError(
                about="structures",
                expected=f"1 to {len(STRUCTURE_COLORS)} labels that the scans have",
                got=list(self.chosen),
                advice="choose some with --structures",
            )


@dataclass(frozen=True, eq=False)
class DeformedGrid:
    """Grid lines of the moving scan, mapped into fixed space."""

    lines_mm: list[Float[np.ndarray, "n 3"]]
    """Positions along each line, fixed mm."""
    displacements_mm: list[Float[np.ndarray, " n"]]
    """Distance of each point from its position in the initial alignment, mm."""


def tweening_figure(
    registration: Registration,
    structures: Structures | None = None,
    *,
    style: Style = "surface",
) -> Figure:
    """Draws fixed, moving, the moving scan after each stage, and its grid, in a row.

    Scans are surfaces with an octant cut away, or transparent volumes as in the paper.

    Raises:
        MissingPackageError: If PyVista is not installed.
    """
    import_pyvista()  # raises before any work is done
    scene = Scene.around(registration.fixed)
    shown = _Shown(registration, structures, style)
    panels = {"fixed": shown.render(scene, None)}
    for name, transform in registration.tweening.items():
        heading = "moving" if name == "before" else f"after {name}"
        panels[heading] = shown.render(scene, transform)
    mesh = deformed_grid(registration, scene.grid)
    largest_mm = max(float(max(values.max() for values in mesh.displacements_mm)), 1e-3)
    panels["deformed grid"] = render_lines(
        scene,
        mesh.lines_mm,
        mesh.displacements_mm,
        most=largest_mm,
        is_dimetric=style == "volume",
    )
    return _draw_row(panels, largest_mm, structures, registration)


def deformed_grid(registration: Registration, grid: Grid) -> DeformedGrid:
    """Maps lines that are straight in the moving scan into fixed space.

    In the initial alignment they are lines of `grid`, which is in fixed space.
    """
    before_mm = [grid.voxel_to_world(line) for line in _straight_lines(grid)]
    after_mm = [
        registration.moving_to_fixed.map_positions(
            registration.before.map_positions(line)
        )
        for line in before_mm
    ]
    pairs = zip(before_mm, after_mm, strict=True)
    moves = [np.linalg.norm(after - before, axis=1) for before, after in pairs]
    return DeformedGrid(after_mm, moves)


def _straight_lines(grid: Grid) -> list[Float[np.ndarray, "n 3"]]:
    """Lines along the axes of the three central planes, in voxels."""
    last = np.array(grid.shape) - 1.0
    lines = []
    for cut in range(3):
        one, other = (axis for axis in range(3) if axis != cut)
        for along, across in ((one, other), (other, one)):
            for share in np.linspace(0, 1, _LINES):
                line = np.empty((_POINTS_PER_LINE, 3))
                line[:, cut] = last[cut] / 2
                line[:, across] = share * last[across]
                line[:, along] = np.linspace(0, last[along], _POINTS_PER_LINE)
                lines.append(line)
    return lines


@dataclass(frozen=True, eq=False)
class _Shown:
    """The scans of a figure, and the style in which they are rendered."""

    registration: Registration
    structures: Structures | None
    style: Style

    def render(self, scene: Scene, transform: Transform | None) -> Pixels:
        """Renders the moving scan under a transform; without one, the fixed scan."""
        render = render_volume if self.style == "volume" else render_scan
        scans = self.registration
        image = scans.moving if transform else scans.fixed
        shown = (transform or Affine.identity()).resample(image, onto=scene.grid)
        if self.structures is None:
            return render(scene, shown)
        labels = self.structures.moving if transform else self.structures.fixed
        moved = (transform or Affine.identity()).resample(labels, onto=scene.grid)
        return render(scene, shown, moved, self.structures.chosen)


def _draw_row(
    panels: dict[str, Pixels],
    largest_mm: float,
    structures: Structures | None,
    registration: Registration,
) -> Figure:
    size = (_PANEL_INCHES * len(panels) + 0.8, _PANEL_INCHES + 0.7)
    figure = Figure(figsize=size, layout="constrained", dpi=140)
    axes: Sequence = figure.subplots(1, len(panels))
    for panel, (heading, pixels) in zip(axes, panels.items(), strict=True):
        panel.imshow(pixels)
        panel.set_title(heading, fontsize=10)
        panel.set_axis_off()
    colors = ScalarMappable(Normalize(0, largest_mm), "viridis")
    figure.colorbar(colors, ax=axes[-1], label="displacement, mm", shrink=0.7)
    figure.suptitle(f"Volume tweening, model {registration.model_name}", fontsize=10)
    if structures is not None:
        pairs = zip(structures.chosen, STRUCTURE_COLORS, strict=False)
        handles = [Patch(color=c, label=f"structure {label}") for label, c in pairs]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=6, frameon=False
        )
    return figure
