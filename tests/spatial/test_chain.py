"""The compiled kernels against NumPy and SciPy, on any grid, by any threads."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from support.native import needs_native
from support.scans import (
    label_blocks,
    oblique_grid,
    smooth_field,
    smooth_image,
    smooth_spline,
    some_affine,
)
from voltween.errors import InputError
from voltween.spatial import (
    Affine,
    DisplacementField,
    Grid,
    Image,
    LabelMap,
    SplineField,
    chain,
    resample_smoothly,
)
from voltween.spatial.native import native as _native

FIELD_GRID = oblique_grid((13, 12, 11), spacing_mm=(2.0, 2.5, 3.0))


def around(grid, *, shape, shear=0.0, flips=(1, 1, 1)):
    """A grid around the middle of another, sheared or with flipped axes."""
    directions = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    if shear == 0:
        directions = grid.affine[:3, :3] / grid.spacing_mm
    directions = directions @ np.array([[1, shear, 0], [0, 1, shear], [0, 0, 1]])
    return Grid.centered(
        shape,
        center_mm=grid.center_mm,
        spacing_mm=(1.9, 2.2, 2.7),
        directions=directions * flips,
    )


def turned(grid, *order):
    """The grid with its axes in another order."""
    i, j, k = order
    return Grid(
        (grid.shape[i], grid.shape[j], grid.shape[k]), grid.affine[:, [*order, 3]]
    )


def finer(grid, times):
    """A grid of the same extent with smaller voxels along its last axis."""
    affine = grid.affine.copy()
    affine[:3, 2] /= times
    return Grid((*grid.shape[:2], grid.shape[2] * times), affine)


GRIDS = {
    "as the field": FIELD_GRID.pad(1),
    "along the first axis": finer(turned(FIELD_GRID.pad(2), 2, 1, 0), 7),
    "along the second axis": finer(turned(FIELD_GRID.pad(1), 0, 2, 1), 3),
    "coarser": turned(
        Grid((3, 12, 11), FIELD_GRID.affine @ np.diag([4, 1, 1, 1])), 2, 1, 0
    ),
    "oblique": around(FIELD_GRID, shape=(14, 11, 15)),
    "flipped": around(FIELD_GRID, shape=(9, 13, 7), flips=(-1, 1, -1)),
    "sheared": around(FIELD_GRID, shape=(11, 7, 13), shear=0.3),
    "one plane": around(FIELD_GRID, shape=(1, 9, 70)),
}
TRANSFORMS = {
    "affine": Affine(np.diag([1.1, 0.9, 1.0, 1.0])),
    "field": smooth_field(FIELD_GRID, sigma=2.0, largest_voxels=1.5),
    "spline": smooth_spline(FIELD_GRID, 0, 1.5, 1.5),
    "both": some_affine(1)
    @ smooth_spline(FIELD_GRID, 1, 1.0, 1.5)
    @ smooth_field(FIELD_GRID, seed=3),
}
each_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
each_transform = pytest.mark.parametrize(
    "transform", TRANSFORMS.values(), ids=TRANSFORMS
)


def mapped_by_scipy(transform, positions_mm):
    """Positions (n, 3) through all parts, by NumPy and SciPy alone."""
    for part in reversed(transform.parts()):
        if isinstance(part, Affine):
            positions_mm = positions_mm @ part.matrix[:3, :3].T + part.matrix[:3, 3]
            continue
        voxels = part.grid.world_to_voxel(positions_mm)
        sizes = np.array(part.grid.shape)
        if isinstance(part, SplineField):
            inside = ((voxels >= 1) & (voxels <= sizes - 2)).all(axis=1)
            numbers, order = part.coefficients_mm, 3
        else:
            inside = ((voxels >= -0.5) & (voxels < sizes - 0.5)).all(axis=1)
            numbers, order = part.vectors_mm, 1
        moves = [
            map_coordinates(
                component, voxels.T, order=order, prefilter=False, mode="nearest"
            )
            for component in np.moveaxis(numbers, -1, 0)
        ]
        positions_mm = positions_mm + np.where(inside, moves, 0).T
    return positions_mm


def voxels_of(grid):
    return grid.voxel_centers_mm().reshape(-1, 3)


def moving_around(transform):
    """A scan around where a transform maps the middle of the fields' grid."""
    center_mm = mapped_by_scipy(transform, FIELD_GRID.center_mm[None])[0]
    grid = oblique_grid((16, 14, 12), seed=7, spacing_mm=(2.0, 2.0, 2.5))
    affine = grid.affine.copy()
    affine[:3, 3] += center_mm - grid.center_mm + [0.3, 0.2, 0.1]  # no ties
    return Grid(grid.shape, affine)


@each_grid
@each_transform
def test_images_and_labels_are_read_where_scipy_reads_them(grid, transform):
    own = moving_around(transform)
    image, labels = smooth_image(own), label_blocks(own)
    voxels = own.world_to_voxel(mapped_by_scipy(transform, voxels_of(grid)))
    sizes = np.array(own.shape)
    inside = ((voxels >= -0.5) & (voxels < sizes - 0.5)).all(axis=1)
    values = map_coordinates(
        image.data.astype(float), voxels.T, order=1, mode="nearest"
    )
    expected = np.where(inside, values, image.outside_value).reshape(grid.shape)
    got = transform.resample(image, onto=grid).data
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-4)
    nearest = np.rint(voxels).astype(int).clip(0, sizes - 1)
    expected = np.where(inside, labels.data[tuple(nearest.T)], 0).reshape(grid.shape)
    assert np.array_equal(transform.resample(labels, onto=grid).data, expected)
    assert inside.any()


@each_grid
@each_transform
def test_displacements_lengths_and_determinants(grid, transform):
    positions = voxels_of(grid)
    moves = mapped_by_scipy(transform, positions) - positions
    got = transform.to_field(grid).vectors_mm.reshape(-1, 3)
    np.testing.assert_allclose(got, moves, atol=1e-9)
    lengths = np.linalg.norm(moves, axis=1).reshape(grid.shape)
    for where in (np.ones(grid.shape, bool), lengths > np.median(lengths)):
        np.testing.assert_allclose(
            transform.lengths_mm(grid, where), lengths[where], rtol=1e-6, atol=1e-6
        )
    mapped = transform.map_positions(positions)
    np.testing.assert_allclose(mapped - positions, moves, atol=1e-9)
    if min(grid.shape) > 1:
        flow = (moves @ np.linalg.inv(grid.affine[:3, :3]).T).reshape(*grid.shape, 3)
        slopes = np.stack([np.gradient(flow[..., c]) for c in range(3)])
        matrices = np.moveaxis(slopes, (0, 1), (-2, -1)) + np.eye(3)
        np.testing.assert_allclose(
            transform.determinants(grid), np.linalg.det(matrices), atol=1e-5
        )


@pytest.mark.parametrize("threads", ["1", "2", "3", "7", "1000"])
def test_the_number_of_threads_makes_no_difference(monkeypatch, threads):
    # Planes that are shared unevenly, and more threads than planes.
    transform, grid = TRANSFORMS["both"], GRIDS["sheared"]
    image, labels = (
        make(moving_around(transform)) for make in (smooth_image, label_blocks)
    )

    def results():
        return [
            transform.resample(image, onto=grid).data,
            transform.resample(labels, onto=grid).data,
            transform.to_field(grid).vectors_mm,
            transform.lengths_mm(grid, np.ones(grid.shape, bool)),
            transform.determinants(grid),
            resample_smoothly(image, onto=oblique_grid((5, 6, 4))).data,
            TRANSFORMS["spline"].coefficients_mm,
            *(
                part
                for name in ("spline", "field")
                for inverse, residuals_mm in [TRANSFORMS[name].inverse_with_residuals()]
                for part in (inverse.vectors_mm, residuals_mm)
            ),
        ]

    whole = results()
    monkeypatch.setattr(chain, "_FEW_VOXELS", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert all(np.array_equal(*pair) for pair in zip(whole, results(), strict=True))


@each_grid
def test_slabs_of_a_grid_are_parts_of_the_whole(grid):
    transform = TRANSFORMS["both"]
    image = smooth_image(moving_around(transform))
    whole = transform.resample(image, onto=grid).data
    field = transform.to_field(grid).vectors_mm
    for first, stop in chain.slabs(grid.shape, 3 * grid.shape[1] * grid.shape[2]):
        slab = grid.planes(first, stop)
        part = transform.resample(image, onto=slab).data
        np.testing.assert_allclose(part, whole[first:stop], rtol=1e-5, atol=1e-3)
        vectors = transform.to_field(slab).vectors_mm
        np.testing.assert_allclose(vectors, field[first:stop], atol=1e-9)


def test_slabs_cover_all_planes_once():
    assert chain.slabs((7, 4, 5), 60) == [(0, 3), (3, 6), (6, 7)]
    assert chain.slabs((2, 400, 500), 60) == [(0, 1), (1, 2)]


def test_of_two_voxels_at_one_distance_the_later_is_taken_as_by_itk():
    labels = LabelMap(np.arange(6).reshape(6, 1, 1), Grid((6, 1, 1), np.eye(4)))
    affine = np.diag([2.0, 1, 1, 1])
    affine[0, 3] = 0.5
    onto = Grid((3, 1, 1), affine)
    moved = Affine.identity().resample(labels, onto=onto)
    assert moved.data.ravel().tolist() == [1, 3, 5]


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u4", "i8", ">u8"])
def test_labels_keep_their_bits(dtype):
    info = np.iinfo(dtype)
    data = np.zeros((4, 5, 6), dtype)
    data[1, 2, 3], data[3, 4, 5] = info.max, info.min
    labels = LabelMap(data, Grid(data.shape, np.eye(4)))
    moved = Affine.identity().resample(labels, onto=labels.grid)
    assert moved.data.dtype == data.dtype.newbyteorder("=")
    assert np.array_equal(moved.data, data)


def test_smoothing_is_scipys():
    data = np.random.default_rng(0).normal(size=(7, 1, 1100)).astype(np.float32)
    for shape in ((7, 11, 100), (1, 7, 1100), (77, 100, 1)):
        image, sigmas = data.reshape(shape), (1.3, 0.0, 4.2)
        expected = gaussian_filter(image, sigmas, mode="nearest", truncate=2.5)
        got = chain.smooth(image, sigmas, reach=2.5)
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_the_edge_of_a_smooth_image_is_soft():
    image = Image(np.full((3, 4, 5), 8.0), Grid((3, 4, 5), np.eye(4)))
    onto = image.grid.pad(2)
    padded = Image(np.pad(image.data, 1), image.grid.pad(1))
    finer = np.diag([0.5, 0.5, 0.5, 1.0])
    onto = Grid((17, 19, 21), onto.affine @ finer)
    expected = Affine.identity().resample(padded, onto=onto).data
    assert np.array_equal(resample_smoothly(image, onto=onto).data, expected)


def test_an_axis_of_one_voxel_reaches_half_a_voxel():
    field = DisplacementField(Grid((1, 1, 1), np.eye(4)), np.ones((1, 1, 1, 3)))
    moved = field.map_positions(np.array([[0.4, -0.4, 0], [0.6, 0, 0]]))
    np.testing.assert_array_equal(moved, [[1.4, 0.6, 1], [0.6, 0, 0]])


def test_no_positions_are_mapped_to_none():
    assert TRANSFORMS["both"].map_positions(np.zeros((0, 3))).shape == (0, 3)


def test_determinants_of_a_single_plane_are_refused():
    with pytest.raises(InputError, match="at least 2 voxels along each axis"):
        TRANSFORMS["both"].determinants(GRIDS["one plane"])


SINGLES, DOUBLES = np.zeros((3, 4, 5), np.float32), np.zeros((3, 4, 5))
MASK = np.zeros((3, 4, 5), np.uint8)
ENDS = np.array([[0, 3], [0, 4], [0, 5]])
LINK = _native.Chain(np.eye(4)[:3].copy())


def lone_field():
    made = _native.Chain(np.eye(4)[:3].copy())
    made.add(np.eye(4)[:3].copy(), np.zeros((2, 2, 2, 3)), np.eye(3), "linear")
    return made


WRONG_CALLS = {
    "image of doubles": lambda: _native.sample(LINK, DOUBLES, 0.0, False, SINGLES, 1),
    "result of doubles": lambda: _native.lengths(LINK, np.eye(3), MASK, DOUBLES, 1),
    "result not contiguous": lambda: _native.lengths(
        LINK, np.eye(3), MASK[..., ::2], SINGLES[..., ::2], 1
    ),
    "mask of another shape": lambda: _native.lengths(
        LINK, np.eye(3), MASK[1:], SINGLES.copy(), 1
    ),
    "labels of two types": lambda: _native.pick(
        *(LINK, np.zeros((3, 4, 5), np.uint8), ENDS),
        *(np.zeros((3, 4, 5), np.uint16), 1),
    ),
    "box beyond the result": lambda: _native.pick(
        LINK, MASK, np.add(ENDS, [[0, 0], [0, 0], [0, 1]]), MASK.copy(), 1
    ),
    "image without voxels": lambda: _native.sample(
        LINK, SINGLES[:0], 0.0, False, SINGLES.copy(), 1
    ),
    "results of another number": lambda: _native.map(
        LINK, np.zeros((3, 4)), np.zeros((3, 5)), 1
    ),
    "inverse of another shape": lambda: _native.invert_field(
        lone_field(), np.zeros((2, 2, 2, 3)), np.eye(3), 1e-3, 5, DOUBLES, SINGLES, 1
    ),
    "residuals of another shape": lambda: _native.invert_field(
        *(lone_field(), np.zeros((2, 2, 2, 3)), np.eye(3), 1e-3, 5),
        *(np.zeros((2, 2, 2, 3)), SINGLES, 1),
    ),
    "inverse of no field": lambda: _native.invert_field(
        *(LINK, np.zeros((3, 4, 5, 3)), np.eye(3), 1e-3, 5),
        *(np.zeros((3, 4, 5, 3)), SINGLES, 1),
    ),
    "spline without voxels": lambda: _native.solve_splines(np.zeros((2, 0, 2, 4)), 1),
    "errors of another number": lambda: _native.invert(
        LINK, np.zeros((3, 4)), 1e-3, 5, np.zeros((3, 4)), np.zeros((3, 3)), 1
    ),
    "field of four components": lambda: LINK.add(
        np.eye(4)[:3].copy(), np.zeros((2, 2, 2, 4)), np.eye(3), "linear"
    ),
    "spline of three components": lambda: LINK.add(
        np.eye(4)[:3].copy(), np.zeros((2, 2, 2, 3)), np.eye(3), "spline"
    ),
    "field without voxels": lambda: LINK.add(
        np.eye(4)[:3].copy(), np.zeros((2, 0, 2, 3)), np.eye(3), "linear"
    ),
    "unknown reading": lambda: LINK.add(
        np.eye(4)[:3].copy(), np.zeros((2, 2, 2, 3)), np.eye(3), "cubic"
    ),
    "determinants of one plane": lambda: _native.determinants(LINK, SINGLES[:1], 1),
    "smoothed of another shape": lambda: _native.smooth(
        SINGLES, *[np.ones(1, np.float32)] * 3, SINGLES[:2], 1
    ),
    "kernel without a middle": lambda: _native.smooth(
        SINGLES, *[np.ones(0, np.float32)] * 3, SINGLES.copy(), 1
    ),
    "smoothed in place": lambda: _native.smooth(
        SINGLES, *[np.ones(1, np.float32)] * 3, SINGLES, 1
    ),
}


@needs_native
@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_bindings_refuse_arrays_that_a_kernel_cannot_use(call):
    with pytest.raises((TypeError, ValueError)):
        call()


def test_read_only_volumes_are_read():
    image = smooth_image(GRIDS["oblique"])
    assert not image.data.flags.writeable
    assert Affine.identity().resample(image, onto=image.grid).data.any()


def test_a_fork_after_the_kernels_have_run_works():
    code = (
        "import numpy as np, os\n"
        "from voltween.spatial import Affine, Grid, Image\n"
        "image = Image(np.ones((64, 64, 64)), Grid((64, 64, 64), np.eye(4)))\n"
        "resample = lambda: Affine.identity().resample(image, onto=image.grid)\n"
        "resample()\n"
        "child = os.fork()\n"
        "resample()\n"
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
