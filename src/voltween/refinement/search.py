"""Instance optimization: the transform of one pair, by gradient descent on the pair.

The search starts from a network's transform or from the identity. It optimizes the
affine part first, then the dense part: a smooth update of the flow (or of the velocity
whose exponential is the flow) that makes the images more similar without folding. Both
parts go from coarse to fine in two ways: from wide to narrow voxels, and from distant
to close control points.
"""

import torch

from voltween.ops import FlowParts, exponential, logarithm
from voltween.refinement.affine_search import AffineSearch
from voltween.refinement.dense_search import DenseSearch
from voltween.refinement.problem import Problem


def find_transform(problem: Problem, start: FlowParts | None) -> FlowParts:
    """Finds the transform of a pair, from a network's transform or from the identity.

    The start must be on the pair's grid, and the sides of this grid must be multiples
    of the refinement's largest shrink factor. The same pair gives the same transform,
    unless the time limit ends the search.
    """
    return find_dense_part(problem, find_affine_part(problem, start))


def find_affine_part(problem: Problem, start: FlowParts | None) -> FlowParts:
    """Optimizes the affine part; the dense part stays.

    Without a start, several shifts and rotations are tried on the widest voxels, and
    the best one is continued. If the transform is not to be deformable, the start's
    affine part becomes the affine map nearest to the whole start, and the dense part 0.
    """
    parts = start or FlowParts.at_rest(problem.pair.moving.image)
    if problem.refinement.transform != "deformable":
        parts = _without_dense_part(parts)
    for number, level in enumerate(problem.refinement.affine_levels, 1):
        search = AffineSearch(problem, parts, level)
        is_open = start is None and number == 1
        matrix, translation = search.run(number, is_open=is_open)
        parts = parts._replace(matrix=matrix, translation=translation)
    return parts


def find_dense_part(problem: Problem, parts: FlowParts) -> FlowParts:
    """Optimizes the dense part; the affine part stays."""
    if not problem.refinement.levels:
        return parts
    is_velocity = problem.refinement.diffeomorphic
    field = logarithm(parts.dense_flow) if is_velocity else parts.dense_flow
    for number, level in enumerate(problem.refinement.levels, 1):
        field = field + DenseSearch(problem, parts, field, level).run(number)
    if is_velocity:
        return parts._replace(dense_flow=exponential(field), velocity=field)
    return parts._replace(dense_flow=field)


def _without_dense_part(parts: FlowParts) -> FlowParts:
    """The affine map with the least squared distance to the transform."""
    if not parts.dense_flow.any():
        return parts._replace(velocity=None)
    flow = parts.flow.double()
    columns = []
    for axis in (2, 3, 4):
        size = flow.shape[axis]
        place = torch.arange(size, dtype=flow.dtype, device=flow.device)
        place = (place - (size - 1) / 2).view(-1, *[1] * (4 - axis))
        columns.append((flow * place).mean((2, 3, 4)) / place.square().mean())
    matrix = torch.stack(columns, dim=2).to(parts.matrix)
    translation = flow.mean((2, 3, 4)).to(parts.matrix)
    return FlowParts(matrix, translation, torch.zeros_like(parts.dense_flow))
