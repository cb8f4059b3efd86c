"""The cascade in three dimensions: figures 1 and 7 of the VTN paper."""

from collections.abc import Sequence
from dataclasses import dataclass

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
)
from voltween.registration.result import Registration
from voltween.spatial import Affine, Grid, LabelMap, Transform

_PANEL_INCHES = 2.4
_LINES = 9
_POINTS_A_LINE = 60


@dataclass(frozen=True, eq=False)
class Structures:
    """Labels of both scans to be shown as colored surfaces."""

    fixed: LabelMap
    moving: LabelMap
    chosen: tuple[int, ...]
    """At most six labels."""

    def __post_init__(self) -> None:
        absent = set(self.chosen) - set(self.fixed.labels + self.moving.labels)
        if absent or not 0 < len(self.chosen) <= len(STRUCTURE_COLORS):
            raise InputError(
                f"expected 1 to {len(STRUCTURE_COLORS)} structures that the scans "
                f"have, got {list(self.chosen)}: choose some with --structures"
            )


@dataclass(frozen=True, eq=False)
class DeformedGrid:
    """Lines of the moving scan carried into fixed space."""

    lines_mm: list[Float[np.ndarray, "n 3"]]
    """Fixed world mm."""
    displacements_mm: list[Float[np.ndarray, " n"]]
    """How far the registration took each point from where it came in, fixed mm."""


def tweening_figure(
    registration: Registration, structures: Structures | None = None
) -> Figure:
    """Fixed, moving, the moving scan after each stage, and its grid, in a row.

    Raises:
        MissingPackageError: If PyVista is not installed.
    """
    import_pyvista()  # says at once what is missing
    scene = Scene.around(registration.fixed)
    panels = {"fixed": _panel(scene, registration, None, structures)}
    for name, transform in registration.tweening.items():
        heading = "moving" if name == "before" else f"after {name}"
        panels[heading] = _panel(scene, registration, transform, structures)
    mesh = deformed_grid(registration, scene.grid)
    most = max(float(max(values.max() for values in mesh.displacements_mm)), 1e-3)
    panels["deformed grid"] = render_lines(
        scene, mesh.lines_mm, mesh.displacements_mm, most=most
    )
    return _row(panels, most, structures, registration)


def deformed_grid(registration: Registration, grid: Grid) -> DeformedGrid:
    """The lines that are straight in the moving scan, where they are in fixed space.

    Before the registration they are the lines of `grid`, in fixed space.
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
    """Lines along each axis, on the three middle planes, in voxels."""
    top = np.array(grid.shape) - 1.0
    lines = []
    for cut in range(3):
        one, other = (axis for axis in range(3) if axis != cut)
        for along, across in ((one, other), (other, one)):
            for share in np.linspace(0, 1, _LINES):
                line = np.empty((_POINTS_A_LINE, 3))
                line[:, cut] = top[cut] / 2
                line[:, across] = share * top[across]
                line[:, along] = np.linspace(0, top[along], _POINTS_A_LINE)
                lines.append(line)
    return lines


def _panel(
    scene: Scene,
    registration: Registration,
    transform: Transform | None,
    structures: Structures | None,
) -> Pixels:
    """The moving scan under a transform, or the fixed one."""
    image = registration.moving if transform else registration.fixed
    shown = (transform or Affine.identity()).resample(image, onto=scene.grid)
    if structures is None:
        return render_scan(scene, shown)
    labels = structures.moving if transform else structures.fixed
    moved = (transform or Affine.identity()).resample(labels, onto=scene.grid)
    return render_scan(scene, shown, moved, structures.chosen)


def _row(
    panels: dict[str, Pixels],
    most: float,
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
    colors = ScalarMappable(Normalize(0, most), "viridis")
    figure.colorbar(colors, ax=axes[-1], label="displacement, mm", shrink=0.7)
    figure.suptitle(f"Volume tweening, model {registration.model_name}", fontsize=10)
    if structures is not None:
        pairs = zip(structures.chosen, STRUCTURE_COLORS, strict=False)
        handles = [Patch(color=c, label=f"structure {label}") for label, c in pairs]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=6, frameon=False
        )
    return figure
