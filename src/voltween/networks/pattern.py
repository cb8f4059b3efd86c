"""The pattern that transposed convolutions leave in a flow, and its removal.

Networks that upsample by transposed convolutions can leave waves with periods of 2 and
4 voxels in all of a flow (Odena et al. 2016, "Deconvolution and Checkerboard
Artifacts"). They move nothing by much, but dominate the map of the Jacobian.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

_WINDOW_VOXELS = 3.0  # SD of the Gaussian window in which a wave is found
_REACH = 12  # voxels, 4 SD
_LEAST_PEAK = 5.0
_PEAK, _BESIDE, _BAND = 0.5, 0.44, 0.02  # waves per voxel


def remove_pattern(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b 3 i j k"]:
    """Removes the pattern from a flow in voxels; without a pattern, returns it as is.

    The waves are subtracted as they are found around each voxel. In a flow that has
    none, the same step would remove anatomy, so that the flow is left alone unless its
    spectrum has the peaks of a pattern.
    """
    if not has_pattern(flow):
        return flow
    for axis in (2, 3, 4):
        flow = _without_waves(flow, axis)
    return flow


def has_pattern(flow: Float[Tensor, "b 3 i j k"]) -> bool:
    """Tells whether waves of 2 voxels stand out of the spectrum along every axis.

    Their power is 10 to 16 times that of waves a little longer in the flows of the
    shipped brain model, 1 to 3 times in those of the others.
    """
    return all(_peak(flow, axis) > _LEAST_PEAK for axis in (2, 3, 4))


def _peak(flow: Float[Tensor, "b 3 i j k"], axis: int) -> float:
    """Power of the shortest waves along an axis over that of waves beside them."""
    size = flow.shape[axis]
    lines = flow.movedim(axis, -1) * torch.hann_window(size).to(flow)
    power = torch.fft.rfft(lines).abs().square().flatten(0, -2).mean(dim=0)
    frequencies = torch.fft.rfftfreq(size, device=flow.device)
    # At least the frequency nearest to each center: they are 1 / size apart.
    shortest, beside = (
        power[(frequencies - center).abs() <= max(_BAND, 0.51 / size)].mean().item()
        for center in (_PEAK, _BESIDE)
    )
    return shortest / max(beside, 1e-12)


def _wave_taps() -> Float[Tensor, " n"]:
    """Filter that passes waves of 2 and of 4 voxels, within a window."""
    place = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)
    window = torch.exp(-place.square() / (2 * _WINDOW_VOXELS**2))
    waves = 2 * torch.cos(math.pi * place / 2) + torch.cos(math.pi * place)
    return window / window.sum() * waves


def _without_waves(
    flow: Float[Tensor, "b 3 i j k"], axis: int
) -> Float[Tensor, "b 3 i j k"]:
    """Subtracts the waves along an axis.

    A product with one matrix for all lines is several times as fast as a convolution.
    """
    size = flow.shape[axis]
    matrix = (torch.eye(size, dtype=torch.float64) - _wave_matrix(size)).to(flow)
    if axis == 4:
        return flow @ matrix.T
    lines = flow.reshape(*flow.shape[: axis + 1], -1)  # (..., size, others behind it)
    return (matrix @ lines).view(flow.shape)


def _wave_matrix(size: int) -> Float[Tensor, "size size"]:
    """The matrix that filters a line; beyond its ends, a flow stays as it is there."""
    rows = torch.arange(size)[:, None].expand(-1, 2 * _REACH + 1)
    columns = (rows + torch.arange(-_REACH, _REACH + 1)).clamp(0, size - 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    taps = _wave_taps().expand(rows.shape)
    return matrix.index_put((rows, columns), taps, accumulate=True)
