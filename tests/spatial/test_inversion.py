"""The inverse of whole fields: against analytic inverses, on any grid, and in folds."""

import os
import subprocess
import sys

import numpy as np
import pytest

from support.scans import oblique_grid, smooth_field, smooth_spline, some_affine
from voltween.spatial import DisplacementField, Grid, SplineField, chain

TOLERANCE_VOXELS = 1e-3
OBLIQUE = oblique_grid((26, 21, 19), spacing_mm=(2.0, 2.5, 3.0))


def flipped(grid):
    return Grid(grid.shape, grid.affine @ np.diag([-1, 1, -1, 1]))


def turned(grid):
    return Grid(grid.shape[::-1], grid.affine[:, [2, 1, 0, 3]])


GRIDS = {
    "oblique": OBLIQUE,
    "flipped": flipped(OBLIQUE),
    "turned": turned(OBLIQUE),
    "thin voxels": Grid((31, 9, 40), np.diag([0.8, 4.0, 0.5, 1.0])),
    "few voxels": Grid((3, 2, 5), np.diag([2.0, 3.0, 1.0, 1.0])),
    "one plane": Grid((12, 1, 17), np.diag([2.0, 3.0, 1.0, 1.0])),
}
each_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
each_kind = pytest.mark.parametrize("kind", [DisplacementField, SplineField])


def residuals_mm(field, inverse):
    """|T(T^-1(y)) - y| at the voxels, in double precision, by the public maps."""
    voxels_mm = field.grid.voxel_centers_mm().reshape(-1, 3)
    origins_mm = voxels_mm + inverse.vectors_mm.reshape(-1, 3)
    errors_mm = np.linalg.norm(field.map_positions(origins_mm) - voxels_mm, axis=1)
    return errors_mm.reshape(field.grid.shape), origins_mm


def lies_inside(field, origins_mm, margin=0.0):
    voxels = field.grid.world_to_voxel(origins_mm)
    top = np.array(field.grid.shape) - 1 - margin
    inside = ((voxels >= margin) & (voxels <= top)).all(axis=1)
    return inside.reshape(field.grid.shape)


def some_field(grid, make):
    if min(grid.shape) > 8:
        return make(grid, 4, 1.5, 2.0)
    kind = SplineField if make is smooth_spline else DisplacementField
    vectors_mm = np.random.default_rng(0).normal(size=(*grid.shape, 3))
    return kind(grid, 0.1 * vectors_mm)


@each_grid
@pytest.mark.parametrize("make", [smooth_field, smooth_spline])
def test_residuals_are_those_of_the_maps_themselves(grid, make):
    field = some_field(grid, make)
    inverse, residuals = field.inverse_with_residuals()
    errors_mm, origins_mm = residuals_mm(field, inverse)
    inside = lies_inside(field, origins_mm)
    np.testing.assert_allclose(residuals[inside], errors_mm[inside], atol=2e-5)
    if min(grid.shape) > 8:
        assert residuals.max() <= TOLERANCE_VOXELS * grid.spacing_mm.max()
        assert np.abs(inverse.vectors_mm + field.vectors_mm).max() > 0.05


@each_kind
def test_a_shift_is_inverted_exactly_where_it_comes_from_inside(kind):
    shift_mm = np.array([1.25, -2.5, 3.125])
    field = kind(OBLIQUE, np.broadcast_to(shift_mm, (*OBLIQUE.shape, 3)).copy())
    inverse, _ = field.inverse_with_residuals()
    origins_mm = OBLIQUE.voxel_centers_mm().reshape(-1, 3) - shift_mm
    # A spline rings at the border, where there are no coefficients beyond.
    inside = lies_inside(field, origins_mm, margin=6)
    assert inside.sum() > 500
    errors_mm = np.abs(inverse.vectors_mm[inside] + shift_mm)
    assert errors_mm.max() < 3e-3


@each_kind
def test_a_linear_map_has_its_matrix_inverse(kind):
    """u(x) = M (x - center), of which both ways to read a field are exact inside."""
    matrix = np.array([[0.2, -0.1, 0.0], [0.15, -0.3, 0.1], [0.0, 0.1, 0.1]])
    centers_mm = OBLIQUE.voxel_centers_mm() - OBLIQUE.center_mm
    field = kind(OBLIQUE, centers_mm @ matrix.T)
    expected = centers_mm @ (np.linalg.inv(np.eye(3) + matrix) - np.eye(3)).T
    inverse, _ = field.inverse_with_residuals()
    origins_mm = (OBLIQUE.voxel_centers_mm() + expected).reshape(-1, 3)
    inside = lies_inside(field, origins_mm, margin=5)
    assert inside.sum() > 500
    np.testing.assert_allclose(inverse.vectors_mm[inside], expected[inside], atol=5e-3)


def test_a_steep_bump_has_the_inverse_of_its_formula():
    """x + a sin(x): solved by bisection in each place."""
    size, amplitude = 64, 3.2
    grid = Grid((4, 5, size), np.diag([1.0, 1.0, 2.0, 1.0]))
    x = np.linspace(0, 2 * np.pi, size)
    vectors_mm = np.zeros((*grid.shape, 3))
    vectors_mm[..., 2] = 2 * amplitude * np.sin(2 * x)
    field = DisplacementField(grid, vectors_mm)
    assert 0 < field.jacobian_determinant().min() < 0.4
    inverse, residuals = field.inverse_with_residuals()
    positions = np.arange(size) + amplitude * np.sin(2 * x)
    expected = np.interp(np.arange(size), positions, np.arange(size)) - np.arange(size)
    np.testing.assert_allclose(
        inverse.vectors_mm[..., 2], np.broadcast_to(2 * expected, grid.shape), atol=1e-2
    )
    assert residuals.max() <= 2 * TOLERANCE_VOXELS


@each_kind
def test_residuals_tell_the_truth_in_folds(kind):
    flow = np.zeros((3, *OBLIQUE.shape))
    flow[0, 10:12, 8:13, 6:12] = 5.0
    flow[2, 14:17, 8:13, 6:12] = -4.0
    field = kind.from_flow(flow, OBLIQUE)
    assert field.folding_percent() > 0
    inverse, residuals = field.inverse_with_residuals()
    errors_mm, _ = residuals_mm(field, inverse)
    np.testing.assert_allclose(residuals, errors_mm, atol=2e-5)
    assert np.isfinite(residuals).all()


def test_enormous_vectors_have_residuals_as_they_are():
    grid = Grid((9, 8, 7), np.eye(4))
    vectors_mm = np.random.default_rng(0).normal(size=(*grid.shape, 3)) * 1e8
    inverse, residuals = DisplacementField(grid, vectors_mm).inverse_with_residuals()
    assert np.isfinite(residuals).all()
    assert np.isfinite(inverse.vectors_mm).all()


def test_the_unchecked_inverse_is_the_inverse_and_does_not_warn():
    transform = some_affine(1) @ smooth_spline(OBLIQUE, 4, 1.5, 2.0)
    positions_mm = OBLIQUE.voxel_centers_mm().reshape(-1, 3)
    unchecked, checked = transform.unchecked_inverse(), transform.inverse()
    np.testing.assert_array_equal(
        unchecked.map_positions(positions_mm), checked.map_positions(positions_mm)
    )
    flow = np.zeros((3, *OBLIQUE.shape))
    flow[0, 10:12, 8:13, 6:12] = 5.0
    DisplacementField.from_flow(flow, OBLIQUE).unchecked_inverse()  # folds


@pytest.mark.parametrize("make", [smooth_field, smooth_spline])
@pytest.mark.parametrize("threads", ["1", "2", "3", "50"])
def test_threads_make_no_difference(monkeypatch, make, threads):
    field = make(OBLIQUE, 2, 3.0, 2.0)
    inverse, residuals = field.inverse_with_residuals()
    whole = inverse.vectors_mm.tobytes(), residuals.tobytes()
    monkeypatch.setattr(chain, "_FEW_VOXELS", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    inverse, residuals = field.inverse_with_residuals()
    assert (inverse.vectors_mm.tobytes(), residuals.tobytes()) == whole


def test_a_fork_after_an_inverse_can_invert():
    code = (
        "import numpy as np, os\n"
        "from voltween.spatial import Grid, SplineField\n"
        "grid = Grid((24, 24, 24), np.eye(4))\n"
        "field = SplineField(grid, np.ones((24, 24, 24, 3)))\n"
        "field.unchecked_inverse()\n"
        "child = os.fork()\n"
        "field.unchecked_inverse()\n"
        "os._exit(0) if child == 0 else print(os.waitpid(child, 0)[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "0"
