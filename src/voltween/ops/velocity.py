"""Stationary velocity fields: exponential and logarithm.

A velocity v, in voxels of its grid, moves a point along dx/dt = v(x) from t = 0 to 1.
A point that starts at x ends at x + flow(x). For a smooth v this map does not fold, and
its inverse is the flow of -v.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.warping import compose, warp

# The first step is 1/128 of the velocity. It folds only if neighboring velocities
# differ by some 128 voxels. It neglects the change of velocity along the step, which
# adds up to about 0.01 voxels for smooth velocities of 6 voxels.
_SQUARINGS = 7
_LOGARITHM_ROUNDS = 10  # further rounds gain thousandths of a voxel


def exponential(velocity: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b 3 i j k"]:
    """Flow, in voxels, of following a velocity for one unit of time. Differentiable.

    Scaling and squaring: 1/128 of the velocity serves as a flow, which is composed with
    itself seven times. Beyond the border, the velocity is the one at the border.

    Flows are interpolated linearly between voxels. Therefore exponential(-v) is the
    inverse only to about a tenth of a voxel, and is less accurate where the velocity
    changes direction within a few voxels; there the flow may rarely fold.

    Raises:
        ValueError: If the velocity is not of shape (B, 3, I, J, K).

    References:
        Arsigny et al. 2006, doi:10.1007/11866565_113 (scaling and squaring); Ashburner
        2007, doi:10.1016/j.neuroimage.2007.07.007; Dalca et al. 2018,
        doi:10.1007/978-3-030-00928-1_82 (as a layer of a network).
    """
    flow = velocity / 2**_SQUARINGS
    for _ in range(_SQUARINGS):
        flow = compose(flow, flow)
    return flow


@torch.no_grad()
def logarithm(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b 3 i j k"]:
    """Velocity, in voxels, whose exponential is the flow; without gradient.

    Starts from 0. Each round adds the difference between the flow and the exponential
    to the velocity, at the middle of each point's path: the error at the end of the
    path accumulates along all of it, on average at its middle.

    For smooth flows of up to about 6 voxels, the exponential of the result equals the
    flow to a few hundredths of a voxel, or to about a tenth under strong compression.
    Flows that fold, tear or rotate by half a turn have no logarithm; for them, compare
    the exponential of the result with the flow.

    Raises:
        ValueError: If the flow is not of shape (B, 3, I, J, K).
    """
    velocity = torch.zeros_like(flow)
    for _ in range(_LOGARITHM_ROUNDS):
        missing = flow - exponential(velocity)
        velocity = velocity + warp(missing, exponential(-velocity / 2))
    return velocity
