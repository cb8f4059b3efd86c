"""Volumes, fields and tiny models for tests: oblique and anisotropic on purpose."""

from itertools import permutations, product

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from voltween.models import FeatureModel, Model
from voltween.networks import (
    CascadeConfig,
    FeatureConfig,
    FeatureNetwork,
    VolumeTweeningNetwork,
)
from voltween.preprocessing import Preprocessing
from voltween.spatial import (
    Affine,
    DisplacementField,
    Grid,
    Image,
    LabelMap,
    SplineField,
)

STORAGE_ORDERS = [
    (axes, flips)
    for axes in permutations(range(3))
    for flips in product((False, True), repeat=3)
]


def oblique_grid(shape=(15, 12, 10), seed=0, spacing_mm=(1.1, 1.7, 2.3)):
    """A tilted, anisotropic grid far from the origin."""
    rng = np.random.default_rng(seed)
    return Grid.centered(
        shape,
        center_mm=rng.uniform(-80, 80, 3),
        spacing_mm=spacing_mm,
        directions=Rotation.from_rotvec(rng.uniform(-0.35, 0.35, 3)).as_matrix(),
    )


def smooth_image(grid, seed=0, sigma=1.5):
    """Smooth positive intensities without symmetry."""
    noise = np.random.default_rng(seed).standard_normal(grid.shape)
    data = gaussian_filter(noise, sigma)
    return Image((data - data.min()) * 1000, grid)


def label_blocks(grid):
    """Four labels in blocks, background around them."""
    data = np.zeros(grid.shape, np.int16)
    i, j, _ = (n // 2 for n in grid.shape)
    data[2:i, 2:j, 2:-2], data[2:i, j:-2, 2:-2] = 1, 2
    data[i:-2, 2:j, 2:-2], data[i:-2, j:-2, 2:-2] = 7, 40
    return LabelMap(data, grid)


def smooth_field(grid, seed=0, largest_voxels=1.0, sigma=4.0):
    """A smooth displacement field that does not fold, 0 at its border."""
    rng = np.random.default_rng(seed)
    flow = np.stack(
        [gaussian_filter(rng.standard_normal(grid.shape), sigma) for _ in "ijk"]
    )
    fade = np.zeros(grid.shape)
    fade[2:-2, 2:-2, 2:-2] = 1
    flow *= gaussian_filter(fade, 1.5)
    flow[:, [0, -1]] = flow[:, :, [0, -1]] = flow[:, :, :, [0, -1]] = 0
    return DisplacementField.from_flow(flow * largest_voxels / np.abs(flow).max(), grid)


def smooth_spline(grid, seed=0, largest_voxels=1.0, sigma=3.0):
    """The same as a cubic spline, 0 at its two outermost voxels."""
    inner = smooth_field(grid.pad(-1), seed, largest_voxels, sigma)
    edges = [(1, 1), (1, 1), (1, 1), (0, 0)]
    return SplineField(grid, np.pad(inner.vectors_mm, edges))


def some_affine(seed=0):
    """An affine map with shear, scale, rotation and a large shift."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] += rng.uniform(-0.2, 0.2, (3, 3))
    matrix[:3, 3] = rng.uniform(-30, 30, 3)
    return Affine(matrix)


def stored(volume, order):
    """The same volume in the same place, with its axes stored in another order."""
    axes, flips = order
    data = np.transpose(volume.stored, axes)
    affine = volume.grid.affine[:, [*axes, 3]]
    for axis, is_flipped in enumerate(flips):
        if is_flipped:
            data = np.flip(data, axis)
            affine = affine @ _flip_matrix(axis, data.shape[axis])
    return type(volume)(np.ascontiguousarray(data), Grid(data.shape, affine))


def tiny_model(stages="ADD", shape=(16, 16, 16), seed=0, strength=1.0):
    """A model with random weights whose flows are smooth-ish and far from zero."""
    torch.manual_seed(seed)
    network = VolumeTweeningNetwork(CascadeConfig(stages, shape, channels=4))
    with torch.no_grad():
        if network.affine is not None:
            network.affine.head.weight.normal_(0, 0.3 * strength)
        for dense in network.dense:
            dense.flow.weight.normal_(0, 0.3 * strength)
    preprocessing = Preprocessing(shape, (1.5, 1.5, 1.5))
    return Model("tiny", network.eval(), preprocessing, {})


def tiny_features(fingerprint=None, shape=(16, 16, 16)):
    """A network of features with random weights, for heads."""
    torch.manual_seed(0)
    config = FeatureConfig(shape, groups=(0, 1, 2, 1), channels=(8, 16), embedding=4)
    network = FeatureNetwork(config).eval()
    torch.nn.init.normal_(network.structures.weight, std=5.0)
    grid = oblique_grid(shape, spacing_mm=(12.0, 12.0, 12.0))
    template = smooth_image(oblique_grid((20, 18, 16), spacing_mm=(10.0,) * 3))
    return FeatureModel("tiny", network, template, grid, {}, fingerprint)


# A pair of scans that overlap nowhere in particular.
FIXED = smooth_image(oblique_grid((18, 16, 14), seed=1), seed=1)
MOVING = smooth_image(
    oblique_grid((17, 19, 13), seed=2, spacing_mm=(1.4, 0.9, 2.0)), seed=2
)
TO_MOVING = Affine(MOVING.grid.affine @ np.linalg.inv(FIXED.grid.affine))


def random_points_mm(grid, count=200, seed=0):
    """Points inside the grid, RAS+ mm."""
    voxels = np.random.default_rng(seed).uniform(0, 1, (count, 3))
    return grid.voxel_to_world(voxels * (np.array(grid.shape) - 1))


def _flip_matrix(axis, size):
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, size - 1
    return matrix
