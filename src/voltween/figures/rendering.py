"""3D rendering of a scan, as surfaces or as a transparent volume (PyVista).

Surfaces are shown with the octant nearest to the viewer cut away.

Coordinates are in mm from the center of the fixed scan, along its axes nearest to R, A
and S: x to R, y to A, z to S. The camera looks from the right, front and top.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from voltween.figures.windowing import Window
from voltween.process import missing_package
from voltween.spatial import Affine, Grid, Image, LabelMap, directions_to_ras

_LONGEST_SIDE = 160
_PANEL_PIXELS = 460
_CAMERA = (1.6, 2.0, 1.25)
_DIMETRIC = (1.0, 1.0, 0.7)  # as far to R as to A
_ZOOM = 1.1
_LEVELS = 255.0
_MOST_OPAQUE, _OPACITY_POWER, _OPACITY_STEPS = 0.08, 3, 56
_AXES_VIEWPORT = (0.0, 0.0, 0.27, 0.27)
_MARGIN = 5
_SHELF = 0.2  # cut position of a scan without background, to show structures
_SKIN = 0.82  # gray of the surface that is not cut
_WHOLE_BOX = 0.25  # the body fills the scan if it has this share of border voxels
STRUCTURE_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00")

Pixels = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Scene:
    """The grid of cubic voxels, in RAS order, on which everything is shown."""

    grid: Grid
    is_filled: bool
    """Whether tissue extends to the borders of the scan, as in a crop."""

    @classmethod
    def around(cls, fixed: Image) -> "Scene":
        """The scene of the fixed scan's field of view."""
        grid = _cubic_grid(fixed.grid)
        data = Affine.identity().resample(fixed, onto=grid).data
        body = body_mask(data)
        border = np.concatenate(
            [np.moveaxis(body, axis, 0)[[0, -1]].ravel() for axis in range(3)]
        )
        return cls(grid, bool(border.mean() > _WHOLE_BOX))

    def place(self, positions_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Positions in RAS+ mm as mm along the scene's axes, from its center."""
        return (positions_mm - self.grid.center_mm) @ directions_to_ras(self.grid)

    @property
    def half_mm(self) -> Float[np.ndarray, " 3"]:
        """Half of the scene's extent along its axes."""
        return np.array(self.grid.shape) * self.grid.spacing_mm / 2


def body_mask(data: Float[np.ndarray, "i j k"]) -> Bool[np.ndarray, "i j k"]:
    """Mask of the largest object brighter than the background, with holes filled."""
    from scipy import ndimage  # slow to import

    smooth = ndimage.gaussian_filter(data, 1.0)
    bright = smooth > _otsu(smooth)
    parts, count = ndimage.label(bright)
    if count == 0:
        return np.ones(data.shape, bool)
    largest = np.bincount(parts.ravel())[1:].argmax() + 1
    body = parts == largest
    for axis in range(3):  # sinuses and airways open to one side only
        layers = np.moveaxis(body, axis, 0)
        for layer in layers:
            layer[:] = ndimage.binary_fill_holes(layer)
    return body


def render_scan(
    scene: Scene,
    image: Image,
    labels: LabelMap | None = None,
    structures: tuple[int, ...] = (),
) -> Pixels:
    """Renders a scan on the scene's grid with an octant cut away and its structures.

    Raises:
        MissingPackageError: If PyVista is not installed.
    """
    pyvista = import_pyvista()
    plotter = _plotter(pyvista, scene)
    is_shelf = scene.is_filled and bool(structures)
    surface = _cut_surface(pyvista, scene, image, share=_SHELF if is_shelf else 0.5)
    plotter.add_mesh(
        surface,
        scalars="gray",
        cmap="gray",
        clim=(0, 1),
        show_scalar_bar=False,
        ambient=0.35,
        diffuse=0.7,
        smooth_shading=False,
    )
    _add_structures(pyvista, plotter, scene, (labels, structures))
    return _screenshot(plotter)


def render_volume(
    scene: Scene,
    image: Image,
    labels: LabelMap | None = None,
    structures: tuple[int, ...] = (),
) -> Pixels:
    """Renders a scan as a transparent white volume on black, with its structures.

    The more intense a voxel, the more opaque it is. The projection is dimetric: the
    axes to R and A are foreshortened equally.

    Raises:
        MissingPackageError: If PyVista is not installed.
    """
    pyvista = import_pyvista()
    plotter = _plotter(pyvista, scene, is_dimetric=True)
    plotter.add_volume(
        _image_data(
            pyvista, scene, Window.of(image).gray(image.data) * _LEVELS, padding=0
        ),
        scalars="value",
        cmap=["white", "white"],
        clim=(0, _LEVELS),
        opacity=_LEVELS * _MOST_OPAQUE * np.linspace(0, 1, 256) ** _OPACITY_POWER,
        opacity_unit_distance=2 * scene.half_mm.max() / _OPACITY_STEPS,
        mapper="fixed_point",  # on the CPU, the same with and without a display
        shade=False,
        show_scalar_bar=False,
    )
    _add_structures(pyvista, plotter, scene, (labels, structures))
    return _screenshot(plotter)


def render_lines(
    scene: Scene,
    lines: list[Float[np.ndarray, "n 3"]],
    values: list[Float[np.ndarray, " n"]],
    *,
    most: float,
    is_dimetric: bool = False,
) -> Pixels:
    """Renders lines given in RAS+ mm, colored by a value per point from 0 to `most`.

    If dimetric, camera and background are those of `render_volume`.

    Raises:
        MissingPackageError: If PyVista is not installed.
    """
    pyvista = import_pyvista()
    plotter = _plotter(pyvista, scene, is_dimetric=is_dimetric)
    counts = [len(line) for line in lines]
    starts = np.cumsum([0, *counts[:-1]])
    cells = [
        [n, *range(first, first + n)] for n, first in zip(counts, starts, strict=True)
    ]
    mesh = pyvista.PolyData(
        scene.place(np.concatenate(lines)), lines=np.concatenate(cells)
    )
    mesh["value"] = np.concatenate(values)
    plotter.add_mesh(
        mesh,
        scalars="value",
        cmap="viridis",
        clim=(0, most),
        show_scalar_bar=False,
        line_width=2,
        lighting=False,
    )
    return _screenshot(plotter)


def _add_structures(
    pyvista: Any,
    plotter: Any,
    scene: Scene,
    chosen: tuple[LabelMap | None, tuple[int, ...]],
) -> None:
    """Adds the surfaces of the chosen structures of a label map, if there is one."""
    labels, structures = chosen
    if labels is None:
        return
    for n, structure in enumerate(structures):
        mask = labels.data == structure
        color = STRUCTURE_COLORS[n % len(STRUCTURE_COLORS)]
        surface = _structure_surface(pyvista, scene, mask)
        if surface.n_points:
            plotter.add_mesh(surface, color=color, smooth_shading=True)


def _cubic_grid(fixed: Grid) -> Grid:
    """The grid of cubic voxels in RAS order over a grid's field of view."""
    directions = directions_to_ras(fixed)
    extent_mm = np.ptp(fixed.corners_mm(margin_voxels=0.5) @ directions, axis=0)
    spacing_mm = float(extent_mm.max()) / _LONGEST_SIDE
    i, j, k = (max(2, round(float(n) / spacing_mm)) for n in extent_mm)
    return Grid.centered(
        (i, j, k),
        center_mm=fixed.center_mm,
        spacing_mm=(spacing_mm,) * 3,
        directions=directions,
    )


def import_pyvista() -> Any:
    """Imports PyVista and keeps its warnings about missing displays off stderr.

    Raises:
        MissingPackageError: If it is not installed.
    """
    try:
        import pyvista
        from vtkmodules.vtkCommonCore import vtkLogger, vtkObject
    except ImportError as error:
        raise missing_package(
            "pyvista", extra="figures", purpose="3D figures"
        ) from error
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    vtkObject.GlobalWarningDisplayOff()
    return pyvista


def _plotter(pyvista: Any, scene: Scene, *, is_dimetric: bool = False) -> Any:
    """An empty scene with box, axes and camera: white, or black if it is dimetric."""
    plotter = pyvista.Plotter(off_screen=True, window_size=(_PANEL_PIXELS,) * 2)
    plotter.set_background("black" if is_dimetric else "white")
    x, y, z = scene.half_mm
    plotter.add_mesh(
        pyvista.Box((-x, x, -y, y, -z, z)),
        style="wireframe",
        color="#666666" if is_dimetric else "#bbbbbb",
        line_width=1,
        lighting=False,
    )
    colors: Mapping[str, str] = {
        "x_color": "#D55E00",
        "y_color": "#009E73",
        "z_color": "#0072B2",
    }
    plotter.add_axes(
        xlabel="R",
        ylabel="A",
        zlabel="S",
        color="white" if is_dimetric else "black",
        viewport=_AXES_VIEWPORT,
        **colors,
    )
    plotter.enable_parallel_projection()
    plotter.camera_position = [
        _DIMETRIC if is_dimetric else _CAMERA,
        (0, 0, 0),
        (0, 0, 1),
    ]
    plotter.reset_camera()
    plotter.camera.zoom(_ZOOM)
    return plotter


def _screenshot(plotter: Any) -> Pixels:
    pixels = plotter.screenshot(return_img=True)
    plotter.close()
    return np.asarray(pixels)[..., :3]


def _cut_surface(pyvista: Any, scene: Scene, image: Image, *, share: float) -> Any:
    """The surface of the body, with the gray levels of the scan on the cut faces.

    The cut planes are at this share of the scene's sides.
    """
    from scipy.ndimage import gaussian_filter

    gray = Window.of(image).gray(image.data)
    inside = _block(gray.shape) if scene.is_filled else body_mask(image.data)
    body = np.pad(gaussian_filter(inside.astype(float), 0.7), 1)
    i, j, k = (round(n * share) + 1 for n in image.data.shape)
    body[i:, j:, k:] = 0
    volume = _image_data(pyvista, scene, body, padding=1)
    volume["gray"] = np.pad(gray, 1, mode="edge").ravel(order="F")
    surface = volume.contour([0.5], scalars="value")
    corner_mm = (2 * share - 1) * scene.half_mm
    points = (surface.points - corner_mm) / scene.grid.spacing_mm[0]
    is_cut = np.full(len(points), scene.is_filled)
    for axis in range(3):  # on a cut face: near its plane, within the octant
        others = [other for other in range(3) if other != axis]
        is_cut |= (np.abs(points[:, axis]) < 1.2) & (points[:, others] > -1.2).all(1)
    surface["gray"] = np.where(is_cut, surface["gray"], _SKIN)
    return surface


def _block(shape: tuple[int, ...]) -> Bool[np.ndarray, "i j k"]:
    """All voxels except a margin, where moved scans have ragged edges."""
    block = np.zeros(shape, bool)
    inner = tuple(slice(_MARGIN, n - _MARGIN) for n in shape)
    block[inner] = True
    return block


def _structure_surface(
    pyvista: Any, scene: Scene, mask: Bool[np.ndarray, "i j k"]
) -> Any:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.pad(mask, 1).astype(float), 0.8)
    return _image_data(pyvista, scene, smooth, padding=1).contour([0.5])


def _image_data(
    pyvista: Any, scene: Scene, values: Float[np.ndarray, "i j k"], *, padding: int
) -> Any:
    spacing = scene.grid.spacing_mm
    size = np.array(scene.grid.shape)
    origin = -((size - 1) / 2 + padding) * spacing
    volume = pyvista.ImageData(dimensions=values.shape, spacing=spacing, origin=origin)
    volume["value"] = values.ravel(order="F")
    return volume


def _otsu(values: Float[np.ndarray, "i j k"]) -> float:
    """The threshold that best separates the values into two classes (Otsu 1979)."""
    import SimpleITK as sitk

    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(np.ascontiguousarray(values)))
    return float(otsu.GetThreshold())
