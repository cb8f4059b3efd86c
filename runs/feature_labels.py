"""Labels of structures as the training of features needs them."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

GROUPS = 16
NEAR = 12  # voxels between structures
FINER = 2  # fine voxels of the labels per voxel of the scan, along each axis


def index_of(labels: Tensor, values: np.ndarray) -> Tensor:
    """The place of every label in the sorted values; unknown ones are background."""
    places = np.searchsorted(values, labels.numpy()).clip(0, len(values) - 1)
    return torch.from_numpy(np.where(values[places] == labels.numpy(), places, 0))


def in_cubes(labels: Tensor, side: int) -> Tensor:
    """The labels of every cube of voxels: (i, j, k, side^3)."""
    i, j, k = (length // side for length in labels.shape)
    cubes = labels.reshape(i, side, j, side, k, side)
    return cubes.permute(0, 2, 4, 1, 3, 5).reshape(i, j, k, side**3)


def to_blocks(labels: Tensor) -> Tensor:
    """The labels of the eight voxels of every block: (i, j, k, 8, fine voxels)."""
    voxels = in_cubes(labels, FINER)
    i, j, k, count = voxels.shape
    blocks = voxels.reshape(i // 2, 2, j // 2, 2, k // 2, 2, count)
    return blocks.permute(0, 2, 4, 1, 3, 5, 6).reshape(i // 2, j // 2, k // 2, 8, count)


def shares_of(labels: Tensor, structures: int) -> Tensor:
    """The share of every structure in every voxel, of its fine voxels: (n, structures).

    The fine voxels are the last axis of the labels.
    """
    rows = labels.flatten(0, -2)
    shares = torch.zeros(len(rows), structures)
    return shares.scatter_add_(
        1, rows, torch.full(rows.shape, 1 / rows.shape[1], dtype=torch.float32)
    )


def label_counts(labels: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The labels of all scans, sorted, and their numbers of voxels."""
    counts = sum(np.bincount(each.flatten().numpy(), minlength=256) for each in labels)
    values = np.flatnonzero(counts)
    return values, counts[values]


def mirror_of(values: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """The place of the structure on the other side, for the place of each."""
    place = {names.get(int(v), str(v)): n for n, v in enumerate(values)}
    mirrored = [place[other_side(name)] for name in place]
    return np.array(mirrored)


def other_side(name: str) -> str:
    """The name of the structure on the other side; the same one in the middle."""
    for right, left in (("_R", "_L"), ("right ", "left ")):
        if right in name:
            return name.replace(right, left)
        if left in name:
            return name.replace(left, right)
    return name


def kept_groups(
    path: Path, labels: list[Tensor], values: np.ndarray
) -> tuple[int, ...]:
    """The group of every structure, from a file if it was found before."""
    if not path.exists():
        path.write_text(json.dumps(far_groups(labels, values)), encoding="utf-8")
    return tuple(json.loads(path.read_text(encoding="utf-8")))


def far_groups(labels: list[Tensor], values: np.ndarray) -> tuple[int, ...]:
    """A group per structure, such that those of one group lie far apart.

    Those with many neighbors choose first; the background has group 0 alone.
    """
    distances = np.full((len(values), len(values)), np.inf)
    for each in labels[::4]:
        points, owners = coarse_points(each[0].numpy(), values)
        trees = {n: cKDTree(points[owners == n]) for n in np.unique(owners)}
        for a in trees:
            near = trees[a].data
            for b in trees:
                if b > a:
                    nearest = trees[b].query(near)[0].min()
                    distances[a, b] = min(distances[a, b], nearest)
    distances = np.minimum(distances, distances.T)
    order = np.argsort(-(distances < NEAR).sum(axis=1), kind="stable")
    groups = np.full(len(values), -1)
    groups[0] = 0
    for number in order:
        if number == 0:
            continue
        free = [
            distances[number, groups == g].min(initial=np.inf) for g in range(1, GROUPS)
        ]
        groups[number] = 1 + int(np.argmax(free))
    apart = [
        distances[a, b]
        for a in range(len(values))
        for b in range(a)
        if groups[a] == groups[b]
    ]
    least = min(apart, default=math.inf)
    print(f"structures of a group are at least {least:.1f} voxels apart")
    return tuple(groups.tolist())


def coarse_points(labels: np.ndarray, values: np.ndarray) -> tuple:
    """Every other voxel of the structures, and the place of its label."""
    step = 2 * FINER
    thin = labels[::step, ::step, ::step]
    points = np.argwhere(thin > 0)
    return 2.0 * points, np.searchsorted(values, thin[tuple(points.T)])
