"""The affine registration subnetwork (paper IV-B, figure 4)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voltween.networks.blocks import Encoder, level_channels, without_autocast
from voltween.networks.convolution import Padding


class AffineSubnetwork(nn.Module):
    """Predicts the twelve numbers A and b of the flow A x + b from an image pair.

    One fully connected layer reads all of the last features, so the shape of the grid
    is fixed at construction. The layer starts at 0: training starts from the identity.
    Its twelve outputs are all in voxels, those of A being displacements at the border
    of the grid. One learning rate therefore suits all of them, for any shape.
    """

    from_center_to_border: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: int,
        halvings: int,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(channels, halvings, padding)
        positions = math.prod(n // 2**halvings for n in shape)
        inputs = positions * level_channels(channels, halvings)
        self.head = nn.Linear(inputs, 12, bias=False)
        nn.init.zeros_(self.head.weight)
        # No weight, which a file would bring: it has its numbers on "meta", too.
        halves = [n / 2 for n in shape]
        from_center = torch.tensor(halves, dtype=torch.float32, device="cpu")
        self.register_buffer("from_center_to_border", from_center, persistent=False)

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b 3"]]:
        """Returns A (no unit) and b (voxels), with x from the grid's center (eq. 11).

        Raises:
            ValueError: If the images are not of the shape fixed at construction.
        """
        if tuple(fixed.shape[2:]) != self.shape:
            raise ValueError(
                f"the affine subnetwork was built for images of {self.shape} voxels, "
                f"got {tuple(fixed.shape[2:])}: resample the images onto that shape, "
                "or build the network with CascadeConfig(shape=...)"
            )
        features = self.encoder(fixed, moving)[-1].flatten(1)
        with without_autocast(features):  # bfloat16 would round by tenths of a voxel
            numbers = self.head(features.to(self.head.weight.dtype))
        at_border = numbers[:, :9].unflatten(1, (3, 3))
        return at_border / self.from_center_to_border, numbers[:, 9:]
