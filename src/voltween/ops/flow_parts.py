"""The parts of a flow between two grids of one shape: an affine after a dense part."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from voltween.ops.warping import compose_affine


class FlowParts(NamedTuple):
    """The map x -> (I + A)(x + dense_flow(x)) + b, x from the grid's center.

    All in voxels, fixed to moving (eq. 11, 19).
    """

    matrix: Float[Tensor, "b 3 3"]
    """A."""
    translation: Float[Tensor, "b 3"]
    """b, in voxels."""
    dense_flow: Float[Tensor, "b 3 i j k"]
    velocity: Float[Tensor, "b 3 i j k"] | None = None
    """The velocity whose exponential the dense flow is, where it is known."""

    @classmethod
    def at_rest(cls, image: Float[Tensor, "b c i j k"]) -> "FlowParts":
        """The identity on an image's grid, its tensors the caller's own to change."""
        return cls.dense(image.new_zeros(len(image), 3, *image.shape[2:]))

    @classmethod
    def dense(cls, flow: Float[Tensor, "b 3 i j k"]) -> "FlowParts":
        """A dense flow without an affine part."""
        zeros = flow.new_zeros(len(flow), 4, 3)
        return cls(zeros[:, :3], zeros[:, 3], flow)

    def clone(self) -> "FlowParts":
        """The same parts as copies, of which gradients can be taken."""
        velocity = None if self.velocity is None else self.velocity.clone()
        return FlowParts(
            self.matrix.clone(),
            self.translation.clone(),
            self.dense_flow.clone(),
            velocity,
        )

    @property
    def flow(self) -> Float[Tensor, "b 3 i j k"]:
        """Both parts composed to one flow, in voxels."""
        return compose_affine(self.matrix, self.translation, self.dense_flow)
