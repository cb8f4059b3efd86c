"""The mean shape of scans, from the transforms of a template to each of them.

Every transform, template to scan in RAS+ mm, is divided into the affine map nearest to
it over the template's foreground and the displacements that are left:
T_i = A_i o (identity + u_i).
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm, logm, polar

from voltween.errors import InputError
from voltween.spatial import Affine, Composite, DisplacementField, Grid, Transform

Positions = Float[np.ndarray, "n 3"]
Position = Float[np.ndarray, " 3"]
Tensor = Float[np.ndarray, "3 3"]
Vectors = Float[np.ndarray, "i j k 3"]
Symmetrizing = Callable[[Tensor, Vectors, Grid], tuple[Tensor, Vectors]]

_MARGIN = 0.125  # of the template's sides, so that no displacement ends within it
_MOST_VOXELS = 2_000_000  # of a mean field, 24 bytes each
_TOLERANCE, _MOST_ITERATIONS = 1e-12, 50
_LARGEST_STEP = 1e-6  # of the last iteration: 0.001 mm where scans lie 1 m apart
_ADVICE = "give an image to start from (--start), whose pose is then kept"


def nearest_affine(transform: Transform, positions_mm: Positions) -> Affine:
    """The affine map nearest to a transform at some positions, by least squares."""
    mapped = transform.map_positions(positions_mm)
    middle, mapped_middle = positions_mm.mean(axis=0), mapped.mean(axis=0)
    linear, *_ = np.linalg.lstsq(
        positions_mm - middle, mapped - mapped_middle, rcond=None
    )
    return _about(linear.T, middle, mapped_middle)


def mean_log_stretch(affines: Sequence[Affine]) -> Tensor:
    """The mean of the logarithms of the stretches of affine maps, which are symmetric.

    An affine map is a stretch of the space it maps from, followed by a rotation and a
    shift, which say where its scan lies and nothing about its shape.

    References:
        Arsigny et al. 2006, Log-Euclidean metrics for fast and simple calculus on
        diffusion tensors, doi:10.1002/mrm.20965.
    """
    logarithms = [_log_symmetric(polar(a.matrix[:3, :3])[1]) for a in affines]
    return np.mean(logarithms, axis=0)


def mean_affine(affines: Sequence[Affine]) -> Affine:
    """The mean of affine maps in the sense of their logarithms.

    The mean M is that for which the logarithms of M^-1 A_i add up to zero. It depends
    neither on the order of the maps nor on the coordinates of either space, and the
    mean of the inverses is its inverse.

    Raises:
        InputError: If two maps are turned against one another by half a turn or more,
            or if the maps are so far apart that no mean is found.

    References:
        Pennec and Arsigny 2013, Exponential barycenters of the canonical Cartan
        connection and invariant means on Lie groups, doi:10.1007/978-3-642-30232-9_7.
    """
    mean, size = affines[0].matrix, np.inf
    scale = max(1.0, *(np.abs(affine.matrix).max() for affine in affines))
    for _ in range(_MOST_ITERATIONS):
        inverse = np.linalg.inv(mean)
        step = np.mean([_logarithm(inverse @ a.matrix) for a in affines], axis=0)
        mean = mean @ expm(step)
        size = np.abs(step).max() / scale
        if size < _TOLERANCE:
            break
    if size > _LARGEST_STEP:
        raise InputError(
            about="mean of the scans' poses",
            expected="scans whose poses have a mean that can be found",
            got=f"poses so far apart that it moves by {size:.1g} of their distance "
            f"after {_MOST_ITERATIONS} iterations",
            advice=_ADVICE,
        )
    return Affine(mean)


def power_of(affine: Affine, exponent: float) -> Affine:
    """The power of an affine map: with the exponent 0.5, half of the way.

    Raises:
        InputError: If it is half a turn.
    """
    return Affine(expm(exponent * _logarithm(affine.matrix)))


def mean_displacements(
    transforms: Collection[Transform], affines: Sequence[Affine], grid: Grid
) -> Vectors:
    """The mean of the displacements u_i in mm, at the voxels of a grid, RAS+."""
    total = np.zeros((*grid.shape, 3))
    for transform, affine in zip(transforms, affines, strict=True):
        total += (affine.inverse() @ transform).displacements_mm(grid)
    return total / len(transforms)


def field_grid(template: Grid) -> Grid:
    """The grid of mean displacements: that of a template, and a margin around it.

    Its voxels are wider where this would give more than two millions.
    """
    sides = np.array(template.shape) * (1 + 2 * _MARGIN)
    widening = max(1.0, float(np.cbrt(sides.prod() / _MOST_VOXELS)))
    i, j, k = (int(n) for n in np.ceil(sides / widening))
    x, y, z = (template.spacing_mm * widening).tolist()
    return Grid.centered(
        (i, j, k),
        center_mm=template.center_mm,
        spacing_mm=(x, y, z),
        directions=template.affine[:3, :3] / template.spacing_mm,
    )


def shape_update(
    transforms: Collection[Transform],
    positions_mm: Positions,
    grid: Grid,
    *,
    step: float = 1.0,
    symmetrize: Symmetrizing | None = None,
) -> Transform:
    """The transform from a template of the mean shape to the template as it is.

    It is the inverse of the mean of the transforms without rotations and shifts, so
    that the template keeps its pose. A transform T from the template to a scan becomes
    T @ update.

    Args:
        transforms: From the template to every scan, in mm; gone through twice.
        positions_mm: Positions in the template's foreground.
        grid: The template's grid.
        step: Share of the way to the mean shape that is gone.
        symmetrize: Makes the mean stretch and the mean displacements symmetric.

    References:
        Avants et al. 2010, The optimal template effect in hippocampus studies of
        diseased populations, doi:10.1016/j.neuroimage.2009.09.062.
    """
    affines = [nearest_affine(transform, positions_mm) for transform in transforms]
    stretch, field = mean_log_stretch(affines), field_grid(grid)
    vectors_mm = mean_displacements(transforms, affines, field)
    if symmetrize is not None:
        stretch, vectors_mm = symmetrize(stretch, vectors_mm, field)
    middle = positions_mm.mean(axis=0)
    mean = _about(expm(step * stretch), middle, middle)
    dense = DisplacementField(field, step * vectors_mm)
    return Composite((dense.inverse(), mean.inverse()))


def lengths_of(update: Transform, positions_mm: Positions) -> Float[np.ndarray, " n"]:
    """Distances in mm by which an update moves positions."""
    moved_mm = update.map_positions(positions_mm) - positions_mm
    return np.linalg.norm(moved_mm, axis=1)


def mean_pose(from_base: Sequence[Affine], centers_mm: Positions) -> Affine:
    """The affine map from the mean pose and size of scans to one of them, the base.

    World position 0 of the mean pose is the middle of the scans' foregrounds, so that
    it does not matter where the scanner's zero was.

    Args:
        from_base: From the base to every scan, in mm; the identity for the base.
        centers_mm: Middle of the foreground of every scan, in its own world.

    Raises:
        InputError: As `mean_affine`.
    """
    centered = [
        Affine(_about(np.eye(3), center, np.zeros(3)).matrix @ affine.matrix)
        for affine, center in zip(from_base, centers_mm, strict=True)
    ]
    return mean_affine(centered).inverse()


def _about(linear: Tensor, middle: Position, mapped_middle: Position) -> Affine:
    """The affine map of a linear part that maps one position to another."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = mapped_middle - linear @ middle
    return Affine(matrix)


def _log_symmetric(stretch: Tensor) -> Tensor:
    values, vectors = np.linalg.eigh(stretch)
    return (vectors * np.log(values)) @ vectors.T


def _logarithm(matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    logarithm = logm(matrix)
    if np.iscomplexobj(logarithm):
        raise InputError(
            about="mean of the scans' poses",
            expected="scans that are turned by less than half a turn",
            got="two that are upside down or mirrored to one another",
            advice=_ADVICE,
        )
    return logarithm
