"""Jacobian determinant of x -> x + flow(x), and how much of it folds."""

from jaxtyping import Float
from torch import Tensor

from voltween.ops import native, stock


def jacobian_determinant(
    flow: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b i j k"]:
    """Determinant of the derivative of x + flow(x): local volume ratio, 1 at rest.

    Central differences, one-sided at the border; `flow` in voxels of its grid.

    Raises:
        ValueError: If an axis has fewer than 2 voxels.
    """
    if min(flow.shape[2:]) < 2:
        raise ValueError(
            f"flow needs at least 2 voxels along each axis, got {tuple(flow.shape[2:])}"
        )
    (flow,) = native.same_precision(flow)
    operations = native if native.is_native(flow) else stock
    return operations.jacobian(flow)


def folding_fraction(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, " b"]:
    """Share (0 to 1) of voxels whose Jacobian determinant is not positive."""
    return (jacobian_determinant(flow) <= 0).to(flow.dtype).mean(dim=(1, 2, 3))
