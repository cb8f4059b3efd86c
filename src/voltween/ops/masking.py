"""Weights of the voxels that both masks of a pair hold, under a flow."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool3d, pad

from voltween.ops.arguments import check_flow, check_shape, lay_out
from voltween.ops.native import native


class MaskWeights:
    """1 where the fixed mask and the moved one are above a share, else 0.

    One item; compiled only (`runs_compiled`). A mask that is None holds all voxels.
    """

    def __init__(
        self,
        fixed: Float[Tensor, "1 1 i j k"] | None,
        moving: Float[Tensor, "1 1 i j k"] | None,
        least: float,
    ) -> None:
        """Prepares the masks: shares of the voxels that count, 0 to 1."""
        self._least = least
        self._fixed, self._moving = (
            None if mask is None else lay_out(mask.float())[0]
            for mask in (fixed, moving)
        )
        cells = None if moving is None else _classes_of_cells(moving > least)
        self._cells = None if cells is None else lay_out(cells)[0]

    def at(
        self, numbers: Float[Tensor, "1 12"], inner: Float[Tensor, "1 3 i j k"]
    ) -> Float[Tensor, "1 1 i j k"]:
        """Returns the weights; the moving mask is read at A x + b after `inner`.

        Raises:
            ValueError: If a shape does not fit.
        """
        check_flow("inner flow", inner)
        check_shape("affine numbers", numbers, 1, 12)
        for mask in (self._fixed, self._moving):
            if mask is not None:
                check_shape("mask", mask, 1, 1, *inner.shape[2:])
        numbers, inner = lay_out(numbers.float(), inner.float())
        weights = inner.new_empty(1, 1, *inner.shape[2:])
        native.mask_weights(
            self._fixed,
            self._moving,
            self._cells,
            numbers,
            inner,
            self._least,
            weights,
            torch.get_num_threads(),
        )
        return weights


def _classes_of_cells(
    inside: Bool[Tensor, "1 1 i j k"],
) -> Float[Tensor, "1 1 i j k"]:
    """1 where a voxel and its next ones are all inside, 0 where none is, else 0.5."""
    window = [min(2, side) for side in inside.shape[2:]]
    ends = [value for side in reversed(window) for value in (0, side - 1)]
    some, lacking = (
        max_pool3d(pad(each.float(), ends, value=0.0), window, stride=1)
        for each in (inside, ~inside)
    )
    return (some + 1 - lacking) / 2
