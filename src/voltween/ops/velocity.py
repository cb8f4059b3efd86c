"""Stationary velocities: their flows, which do not fold, and the way back.

A velocity v, in voxels of its grid, moves a point along dx/dt = v(x) from t = 0 to 1.
Where the point that starts at x ends is x + flow(x): a smooth map with a smooth
inverse, which is the flow of -v.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.warping import compose, warp

# The first step is 1/128 of the velocity. It folds only if velocities differ by some
# 128 voxels from one voxel to the next, and what it neglects, the change of velocity
# along the step, adds up to about 0.01 voxels for smooth velocities of 6 voxels.
_SQUARINGS = 7
_LOGARITHM_ROUNDS = 10  # later ones gain thousandths of a voxel


def exponential(velocity: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b 3 i j k"]:
    """Flow, in voxels, of following a velocity for one unit of time. Differentiable.

    By scaling and squaring: 1/128 of the velocity is taken for a flow and seven times
    composed with itself. Beyond the border the velocity is that at the border.

    Flows are read linearly between voxels, so that exponential(-v) is the inverse to
    about a tenth of a voxel, and to less where a velocity turns within a few voxels.
    There the flow can fold after all, if seldom.

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

    In rounds, from 0: what the exponential lacks to the flow is added to the velocity,
    half the way along: what a point lacks at its end it missed on its whole way, and on
    average in the middle of it.

    For smooth flows of up to about 6 voxels the exponential of the result is the flow
    to a few hundredths of a voxel, where it compresses much to about a tenth. Not every
    flow has a logarithm: one that folds or tears has none, nor has one that turns by
    half a turn. What is found for them is not their logarithm; compare its exponential.

    Raises:
        ValueError: If the flow is not of shape (B, 3, I, J, K).
    """
    velocity = torch.zeros_like(flow)
    for _ in range(_LOGARITHM_ROUNDS):
        missing = flow - exponential(velocity)
        velocity = velocity + warp(missing, exponential(-velocity / 2))
    return velocity
