"""Simulated individuals of one template, with a known true transform between them.

An individual is the template after a random smooth deformation and pose, with its own
contrast, noise, shading and storage (axes, spacing, tilt).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.polynomial.polynomial import polygrid3d
from scipy.ndimage import gaussian_filter

from voltween.spatial import Affine, DisplacementField, Grid, Image, LabelMap, Transform

_FIELD_SPACING_MM = 4.0
_FIELD_MARGIN_MM = 40.0
_BACKGROUND = 0.01  # of the brightest voxel


@dataclass(frozen=True)
class Individuality:
    """Differences of an individual from the template, and the storage of its scan."""

    seed: int
    axes: str
    """Direction of each stored array axis, such as 'PSR'."""
    spacing_mm: tuple[float, float, float]
    """Voxel size along the stored axes."""
    tilt_degrees: tuple[float, float, float]
    """Rotation of the head in the scanner, about R, A and S."""
    offset_mm: tuple[float, float, float]
    """Shift of the head in the scanner."""
    gamma: float = 1.0
    """Exponent of the intensities, which changes the contrast."""
    scan_tilt_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Rotation of the scan's grid in the scanner, for an oblique scan."""
    scan_offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Shift of the scan's center from the head's, for an off-center field of view."""
    largest_displacement_mm: float = 8.0
    smoothness_mm: float = 18.0
    noise: float = 0.02
    """Standard deviation of the noise, as a share of the brightest voxel."""
    shading: float = 0.15
    """Largest logarithm of the smooth shading across the scan."""


@dataclass(frozen=True, eq=False)
class Individual:
    """A scan of an individual, and its transform to the template."""

    image: Image
    labels: LabelMap
    to_template: Transform
    """Individual's world mm to template world mm."""


def make_individual(
    template: Image, labels: LabelMap, character: Individuality
) -> Individual:
    """Makes an individual; intensities are interpolated linearly, labels by nearest."""
    rng = np.random.default_rng(character.seed)
    to_template, grid = draw_geometry(template.grid, character, rng)
    clean = to_template.resample(template, onto=grid).data
    image = Image(_simulate_scanner(clean, character, rng), grid)
    return Individual(image, to_template.resample(labels, onto=grid), to_template)


def draw_geometry(
    template: Grid, character: Individuality, rng: np.random.Generator
) -> tuple[Transform, Grid]:
    """Draws an individual's transform to the template, and the grid of its scan."""
    to_template = random_field(template, character, rng) @ _pose(character)
    return to_template, _scan_grid(template, character)


def random_field(
    around: Grid, character: Individuality, rng: np.random.Generator
) -> DisplacementField:
    """Draws a smooth random field over the grid's field of view that fades at its edge.

    Its longest vector is `largest_displacement_mm`.
    """
    extent_mm = np.ptp(around.corners_mm(), axis=0) + 2 * _FIELD_MARGIN_MM
    sizes = np.ceil(extent_mm / _FIELD_SPACING_MM).astype(int)
    grid = Grid.centered(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        center_mm=around.center_mm,
        spacing_mm=(_FIELD_SPACING_MM,) * 3,
        directions=np.eye(3),
    )
    sigma = character.smoothness_mm / _FIELD_SPACING_MM
    inside = np.zeros(grid.shape)
    margin = int(_FIELD_MARGIN_MM / 2 / _FIELD_SPACING_MM)
    inside[margin:-margin, margin:-margin, margin:-margin] = 1
    fade = gaussian_filter(inside, margin / 3)
    vectors = np.stack(
        [fade * gaussian_filter(rng.standard_normal(grid.shape), sigma) for _ in "ras"],
        axis=-1,
    )
    vectors *= (
        character.largest_displacement_mm / np.linalg.norm(vectors, axis=-1).max()
    )
    return DisplacementField(grid, vectors)


def true_fixed_to_moving(fixed: Individual, moving: Individual) -> Transform:
    """The true transform of two individuals of one template, through the template."""
    return moving.to_template.inverse() @ fixed.to_template


def _pose(character: Individuality) -> Affine:
    """Pose of the individual: its world mm to template world mm, undeformed."""
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(character.tilt_degrees).T
    matrix[:3, 3] = -matrix[:3, :3] @ np.array(character.offset_mm)
    return Affine(matrix)


def _scan_grid(template: Grid, character: Individuality) -> Grid:
    """The grid of the individual's scan, around its head."""
    columns = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    axes = [columns[code] for code in character.axes]
    signs = [1 if code in "RAS" else -1 for code in character.axes]
    directions = np.eye(3)[:, axes] * signs
    extent_mm = np.ptp(template.corners_mm(), axis=0)[axes]
    sizes = np.ceil(extent_mm / character.spacing_mm).astype(int)
    head_mm = _pose(character).inverse().map_positions(template.center_mm[None])[0]
    return Grid.centered(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        center_mm=head_mm + character.scan_offset_mm,
        spacing_mm=character.spacing_mm,
        directions=_rotation(character.scan_tilt_degrees) @ directions,
    )


def _simulate_scanner(
    clean: Float[np.ndarray, "i j k"],
    character: Individuality,
    rng: np.random.Generator,
) -> Float[np.ndarray, "i j k"]:
    """Adds contrast, shading and noise of a scanner; the skull stays stripped."""
    brightest = float(clean.max())
    contrast = (clean / brightest).clip(0) ** character.gamma
    low = rng.uniform(-1, 1, (3, 3, 3))
    i, j, k = (np.linspace(-1, 1, n) for n in clean.shape)
    shading = polygrid3d(i, j, k, low)
    shading *= character.shading / np.abs(shading).max()
    # Magnitude images are never negative: the noise has two channels.
    noise = rng.normal(0, character.noise, (2, *clean.shape))
    scanned = np.hypot(contrast * np.exp(shading) + noise[0], noise[1])
    return 1000 * np.where(clean > _BACKGROUND * brightest, scanned, 0)


def _rotation(degrees: tuple[float, float, float]) -> Float[np.ndarray, "3 3"]:
    from scipy.spatial.transform import Rotation  # slow to import, rarely needed

    return np.asarray(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())
