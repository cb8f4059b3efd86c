"""A flow between two grids of one shape as a dense part followed by an affine part."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from voltween.ops.affine import compose_affine


class FlowParts(NamedTuple):
    """The map x -> (I + A)(x + dense_flow(x)) + b, with x from the grid's center.

    Everything is in voxels and maps fixed to moving (eq. 11, 19).
    """

    matrix: Float[Tensor, "b 3 3"]
    """A, without unit."""
    translation: Float[Tensor, "b 3"]
    """b, in voxels."""
    dense_flow: Float[Tensor, "b 3 i j k"]
    velocity: Float[Tensor, "b 3 i j k"] | None = None
    """Stationary velocity, in voxels, whose exponential is the dense flow, if known."""

    @classmethod
    def at_rest(cls, image: Float[Tensor, "b c i j k"]) -> "FlowParts":
        """Returns the identity on an image's grid, in new tensors."""
        return cls.dense(image.new_zeros(len(image), 3, *image.shape[2:]))

    @classmethod
    def dense(cls, flow: Float[Tensor, "b 3 i j k"]) -> "FlowParts":
        """Returns a dense flow without an affine part."""
        zeros = flow.new_zeros(len(flow), 4, 3)
        return cls(zeros[:, :3], zeros[:, 3], flow)

    def clone(self) -> "FlowParts":
        """Returns copies that can require gradients, even of inference tensors."""
        velocity = None if self.velocity is None else self.velocity.clone()
        return FlowParts(
            self.matrix.clone(),
            self.translation.clone(),
            self.dense_flow.clone(),
            velocity,
        )

    @property
    def flow(self) -> Float[Tensor, "b 3 i j k"]:
        """Both parts composed into one flow, in voxels."""
        return compose_affine(self.matrix, self.translation, self.dense_flow)
