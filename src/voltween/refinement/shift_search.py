"""The best shift of one image after each of many rotations, by Fourier transforms.

References:
    Padfield 2012, Masked object registration in the Fourier domain,
    doi:10.1109/TIP.2011.2181402.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.nn import functional

from voltween.ops import affine_flow, warp
from voltween.refinement.pair_tensors import PairTensors, SideTensors
from voltween.refinement.pose_similarity import seen_shares

_VANISHING = 1e-4
_BATCH = 32  # fits into a cache


class Shifts(NamedTuple):
    """The best shift of each rotation."""

    score: Float[Tensor, " n"]
    """Squared correlation over what both scans see, 0 to 1."""
    translation: Float[Tensor, "n 3"]
    """b of the rigid map R x + b, in voxels, with x from the grid's center."""


class ShiftSearch:
    """A pair on a cubic grid, with all its shifts by up to half of the grid's side."""

    def __init__(self, pair: PairTensors) -> None:
        side = max(pair.shape)
        self._reach = side // 2
        self._transforms = _Transforms(side, self._reach)
        fixed = _moments(pair.fixed)
        self._fixed = self._transforms.spectra(fixed[None])[0].conj()
        self._moving = functional.pad(_moments(pair.moving), [1] * 6)[None]
        self._contrast = fixed[2].sum(), self._moving[0, 2].sum()

    def run(self, rotations: Float[Tensor, "n 3 3"]) -> Shifts:
        """Finds the best shift after every rotation."""
        batches = [self._run(batch) for batch in rotations.split(_BATCH)]
        return Shifts(*(torch.cat(parts) for parts in zip(*batches, strict=True)))

    def _run(self, rotations: Float[Tensor, "n 3 3"]) -> Shifts:
        scores = self._score_shifts(self._correlate(rotations))
        best, place = scores.flatten(1).max(1)
        width = scores.shape[-1]
        indices = [place // width**2, place // width % width, place % width]
        shift = torch.stack(indices, dim=1) - self._reach
        shift = shift.to(rotations.dtype)
        return Shifts(best, (rotations @ shift[..., None])[..., 0])

    def _correlate(
        self, rotations: Float[Tensor, "n 3 3"]
    ) -> Float[Tensor, "n 6 s s s"]:
        """Sums of 1, f, f f, m, m m and f m over what both see, for every shift."""
        count = len(rotations)
        matrix = (rotations - torch.eye(3, dtype=rotations.dtype)).float()
        flow = affine_flow(matrix, matrix.new_zeros(count, 3), self._moving.shape[2:])
        turned = warp(self._moving.expand(count, -1, -1, -1, -1).contiguous(), flow)
        turned = turned[..., 1:-1, 1:-1, 1:-1]
        one, first, second = self._fixed
        seen, value, square = self._transforms.spectra(turned).unbind(1)
        products = [one * seen, first * seen, second * seen]
        products += [one * value, one * square, first * value]
        return self._transforms.at_shifts(torch.stack(products, dim=1))

    def _score_shifts(
        self, sums: Float[Tensor, "n 6 s s s"]
    ) -> Float[Tensor, "n s s s"]:
        count, f, f_f, m, m_m, f_m = sums.unbind(1)
        shares = f_f / self._contrast[0], m_m / self._contrast[1]
        count = count.clamp_min(1)
        f, m = f / count, m / count
        variance_f = (f_f / count - f.square()).clamp_min(_VANISHING)
        variance_m = (m_m / count - m.square()).clamp_min(_VANISHING)
        squared = (f_m / count - f * m).square() / (variance_f * variance_m)
        return squared * torch.maximum(*shares).clamp(0, 1)


class _Transforms:
    """Fourier transforms of small cubes, as products with matrices along each axis.

    For so few voxels, this is quicker than fast Fourier transforms: the zeros around
    the cube and the shifts that nobody asks for are never computed.
    """

    def __init__(self, side: int, reach: int) -> None:
        size = side + reach  # so that no shift meets the cube's other end
        waves = torch.arange(size)
        half = waves[: size // 2 + 1]
        voxels, shifts = torch.arange(side), torch.arange(-reach, reach + 1)
        self._forward = _turns(voxels, waves, -size)
        self._forward_half = torch.view_as_real(_turns(voxels, half, -size)).flatten(1)
        self._backward = _turns(waves, shifts, size) / size
        # The other half of the waves is conjugate: it doubles the real part.
        weights = torch.where((half == 0) | (2 * half == size), 1, 2) / size
        # Products of real and imaginary parts with these add up to the real part.
        parts = torch.view_as_real(weights[:, None] * _turns(half, shifts, -size))
        self._backward_half = parts.transpose(1, 2).flatten(0, 1)

    def spectra(
        self, images: Float[Tensor, "n c i j k"]
    ) -> Complex[Tensor, "n c _ _ _"]:
        """Spectra, with the axes in the order j, k (half of it), i."""
        rows = torch.view_as_complex(
            (images @ self._forward_half).unflatten(-1, (-1, 2))
        )
        rows = rows.movedim(-1, -3).contiguous() @ self._forward
        return rows.movedim(-1, -3).contiguous() @ self._forward

    def at_shifts(
        self, spectra: Complex[Tensor, "n c _ _ _"]
    ) -> Float[Tensor, "n c s s s"]:
        """Transforms back, at shifts from the most negative to the most positive."""
        rows = (spectra @ self._backward).movedim(-3, -1)
        rows = (rows.contiguous() @ self._backward).movedim(-3, -1)
        return torch.view_as_real(rows.contiguous()).flatten(-2) @ self._backward_half


def _turns(
    rows: Int[Tensor, " n"], columns: Int[Tensor, " m"], size: int
) -> Complex[Tensor, "n m"]:
    """exp(2 pi i n m / size), in single precision."""
    angles = 2 * math.pi / size * (rows[:, None] * columns)
    return torch.polar(torch.ones_like(angles), angles)


def _moments(side: SideTensors) -> Float[Tensor, "3 i j k"]:
    """Returns, where the scan sees: 1, its intensity less the mean, and its square."""
    seen, image = seen_shares(side), side.image[:, :1]
    contrast = image - (seen * image).sum() / seen.sum().clamp_min(_VANISHING)
    return torch.cat([seen * contrast**n for n in range(3)], dim=1)[0]
