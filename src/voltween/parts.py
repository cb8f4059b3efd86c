"""What a transform between two grids of one shape is made of: affine after dense."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from voltween.networks.cascade import Stage
from voltween.warp import compose_affine


class Parts(NamedTuple):
    """x -> (I + A)(x + dense_flow(x)) + b, x from the grid's centre (eq. 11, 19).

    In voxels; fixed to moving.
    """

    matrix: Float[Tensor, "1 3 3"]
    """A."""
    translation: Float[Tensor, "1 3"]
    """b."""
    dense_flow: Float[Tensor, "1 3 i j k"]
    velocity: Float[Tensor, "1 3 i j k"] | None = None
    """What the dense flow is the exponential of, where it is known to be one."""

    @classmethod
    def of_stage(cls, stage: Stage) -> "Parts":
        """Those of a network's stage, as copies that gradients can be taken of."""
        return cls(
            stage.matrix.clone(), stage.translation.clone(), stage.dense_flow.clone()
        )

    @classmethod
    def at_rest(cls, image: Float[Tensor, "1 c i j k"]) -> "Parts":
        """Those of the identity on an image's grid."""
        zeros = image.new_zeros(1, 4, 3)
        dense_flow = image.new_zeros(1, 3, *image.shape[2:])
        return cls(zeros[:, :3], zeros[:, 3], dense_flow)

    @property
    def flow(self) -> Float[Tensor, "1 3 i j k"]:
        """All of it as one flow, in voxels."""
        return compose_affine(self.matrix, self.translation, self.dense_flow)
