"""The kernels of NumPy and SciPy against the compiled ones.

Positions agree within 1e-12 voxels, values within rounding of single precision, and
inverses within what their tolerance of 1e-3 voxels leaves open.
"""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from support.native import compiled
from voltween import spatial
from voltween.spatial import stock

native = compiled("spatial")

READINGS = ["linear", "continued", "spline"]
SHAPE, ONTO = (9, 11, 13), (12, 14, 70)
DIRECTIONS = np.array([[2.0, 0.3, 0], [0, -1.5, 0.2], [0.1, 0, 3]])
each_reading = pytest.mark.parametrize("reading", READINGS)


def rng():
    return np.random.default_rng(7)


def field_of(reading, shape=SHAPE, size=0.6):
    field = size * rng().normal(size=(*shape, 4 if reading == "spline" else 3))
    field[..., 3:] = 0
    return field


def chain_of(kernels, reading):
    """A rotated grid's voxels through two fields; some end beyond all grids."""
    turn = np.linalg.qr(rng().normal(size=(3, 3)))[0]
    first = np.column_stack([0.9 * turn, 6 - 0.9 * turn @ [6, 7, 35]])
    chain = kernels.Chain(np.eye(3, 4) + 0.2)
    chain.add(first, field_of(reading), np.linalg.inv(DIRECTIONS), reading)
    chain.add(
        np.eye(3, 4) * [1, -1, 1, 0] + 0.1, field_of(reading), DIRECTIONS, reading
    )
    return chain


def results_of(reading, name, *arguments, like):
    """Returns the results of a function of both modules for the same chain."""
    results = []
    for kernels, threads in ((native, 1), (stock, 2)):
        result = np.zeros_like(like)
        chain = chain_of(kernels, reading)
        getattr(kernels, name)(chain, *arguments, result, threads)
        results.append(result)
    assert np.unique(results[0]).size > 20
    return results


def test_there_is_a_stock_form_of_every_compiled_function():
    stub = Path(spatial.__file__).with_name("_native.pyi").read_text("utf-8")
    nodes = {node.name: node for node in ast.parse(stub).body if hasattr(node, "name")}
    for name, node in nodes.items():
        if isinstance(node, ast.FunctionDef) and name != "instruction_set":
            parameters = inspect.signature(getattr(stock, name)).parameters
            assert list(parameters) == [one.arg for one in node.args.posonlyargs], name
    assert "Chain" in nodes


@each_reading
def test_positions_are_the_same(reading):
    positions = rng().uniform(-4, 40, size=(3, 70_000))  # more than one part
    results = results_of(reading, "map", positions, like=positions)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-12)


def test_what_is_not_a_number_stays_so():
    positions = np.full((3, 2), np.nan)
    for reading in ("linear", "spline"):
        mapped = np.zeros_like(positions)
        stock.map(chain_of(stock, reading), positions, mapped, 1)
        assert np.isnan(mapped).all()


@each_reading
@pytest.mark.parametrize("is_soft", [False, True])
def test_images_are_the_same(reading, is_soft):
    image = rng().normal(size=SHAPE).astype(np.float32)
    like = np.zeros(ONTO, np.float32)
    results = results_of(reading, "sample", image, -2.0, is_soft, like=like)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-5)


@each_reading
@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_labels_are_the_same_within_a_box(reading, dtype):
    labels = rng().integers(0, 200, size=SHAPE).astype(dtype)
    box = np.array([(1, 9), (0, 14), (3, 66)])
    results = results_of(reading, "pick", labels, box, like=np.zeros(ONTO, dtype))
    np.testing.assert_array_equal(*results)
    assert not results[1][0].any()


@each_reading
def test_displacements_and_lengths_are_the_same(reading):
    vectors = np.zeros((*ONTO, 3))
    results = results_of(reading, "displacements", DIRECTIONS, like=vectors)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-12)
    where = (rng().random(ONTO) < 0.3).astype(np.uint8)
    like = np.zeros(ONTO, np.float32)
    results = results_of(reading, "lengths", DIRECTIONS, where, like=like)
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


@each_reading
def test_determinants_are_the_same(reading):
    results = results_of(reading, "determinants", like=np.zeros(ONTO, np.float32))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


def waves(shape, steepness):
    """A smooth field that is at rest at the border; above 1, it folds."""
    i, j, k = np.meshgrid(*(np.linspace(0, np.pi, n) for n in shape), indexing="ij")
    bump = np.sin(i) ** 2 * np.sin(j) ** 2 * np.sin(k) ** 2
    side = np.array(shape) / np.pi
    shifts = [side[0] * np.sin(2 * i), side[1] * np.sin(2 * j), side[2] * np.sin(k)]
    return steepness / 2 * bump[..., None] * np.stack(shifts, axis=-1)


def inverse_of(kernels, field, reading):
    step = field
    if reading == "spline":
        step = np.zeros((*field.shape[:3], 4))
        step[..., :3] = field
        kernels.solve_splines(step, 1)
    chain = kernels.Chain(np.eye(3, 4))
    chain.add(np.eye(3, 4), step, np.linalg.inv(DIRECTIONS), reading)
    inverse, residuals = np.empty(field.shape), np.empty(field.shape[:3], np.float32)
    kernels.invert_field(chain, field, DIRECTIONS, 1e-3, 60, inverse, residuals, 2)
    return inverse, residuals


@pytest.mark.parametrize("reading", ["continued", "spline"])
def test_inverses_are_the_same_within_their_tolerance(reading):
    field = waves((14, 15, 16), 0.8) @ DIRECTIONS.T
    (expected, _), (inverse, residuals) = (
        inverse_of(kernels, field, reading) for kernels in (native, stock)
    )
    longest_mm = np.linalg.norm(DIRECTIONS, 2)
    assert residuals.max() <= 1e-3 * longest_mm
    assert np.abs(inverse).max() > 2
    np.testing.assert_allclose(inverse, expected, rtol=0, atol=1e-2 * longest_mm)


def test_origins_are_those_of_the_same_steps():
    """Even where the map folds and there may be none."""
    field = waves((14, 15, 16), 2.5) @ DIRECTIONS.T
    positions = rng().uniform(0, 14, size=(3, 400))
    results = []
    for kernels in (native, stock):
        chain = kernels.Chain(np.eye(3, 4))
        chain.add(np.eye(3, 4), field, np.linalg.inv(DIRECTIONS), "continued")
        origins, errors = positions.copy(), np.empty_like(positions)
        kernels.invert(chain, positions, 1e-3, 60, origins, errors, 1)
        results.append(np.concatenate([origins, errors]))
    assert np.abs(results[0][3:]).max() > 0.1
    np.testing.assert_allclose(*results, rtol=0, atol=1e-6)


def test_splines_are_the_same():
    values, expected = (field_of("spline", (5, 6, 7)) for _ in range(2))
    native.solve_splines(expected, 1)
    stock.solve_splines(values, 1)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)


def test_gaussians_are_the_same():
    image = rng().normal(size=SHAPE).astype(np.float32)
    weights = [
        np.array(half, np.float32) for half in ([0.5, 0.2, 0.05], [1], [0.6, 0.2])
    ]
    results = [np.empty_like(image) for _ in range(2)]
    native.smooth(image, *weights, results[0], 1)
    stock.smooth(image, *weights, results[1], 1)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-6)
