"""A small U-Net that tells the structures of a scan, as features to register by.

The probabilities of many structures are added up in a few groups, one channel each.
Structures of one group lie far apart, so that nearby ones differ in their channels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from voltween.errors import InputError
from voltween.networks.blocks import LEAK, LinearConvolution, nearest_multiples

_BLOCK = 2  # voxels per axis that the first layer takes together
_SLAB = 8  # planes of blocks whose probabilities are in memory at once
_NORMALIZED = 8  # groups of channels that are normalized together


@dataclass(frozen=True)
class FeatureConfig:
    """Configuration of a network of features.

    Raises:
        InputError: If the shape cannot be halved as often as there are channels.
    """

    shape: tuple[int, int, int]
    """Shape of the network's grid, in voxels."""
    groups: tuple[int, ...]
    """The group of every structure, from 0; the first structure is the background."""
    channels: tuple[int, ...] = (32, 64, 96, 128)
    """Channels after every halving of the grid."""
    embedding: int = 24
    """Channels per voxel from which the structures are told."""

    def __post_init__(self) -> None:
        multiple = 2 ** len(self.channels)
        if len(self.shape) != 3 or any(n < 1 or n % multiple for n in self.shape):
            raise InputError(
                about="shape of a network of features",
                expected=f"three sides that are multiples of {multiple} voxels",
                got=self.shape,
                advice="the nearest legal shape is "
                f"{nearest_multiples(self.shape, multiple)}",
            )

    @property
    def group_count(self) -> int:
        """Number of groups, and channels of the features."""
        return 1 + max(self.groups)


class FeatureNetwork(nn.Module):
    """Tells the probability of every group of structures in every voxel.

    The first layer works on blocks of 2^3 voxels, the last one tells the structures of
    the eight voxels of a block apart: the layers in between cost an eighth.
    """

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        inputs = (_BLOCK**3, *config.channels)
        self.down = nn.ModuleList(
            _block(before, after)
            for before, after in zip(inputs, config.channels, strict=False)
        )
        coarsest = [side // 2 ** len(config.channels) for side in config.shape]
        self.place = nn.Parameter(torch.zeros(1, config.channels[-1], *coarsest))
        pairs = list(zip(config.channels, config.channels[1:], strict=False))
        self.reduce = nn.ModuleList(nn.Linear(wide, n) for n, wide in pairs)
        self.up = nn.ModuleList(_block(n, n) for n, _ in pairs)
        self.voxels = nn.Linear(config.channels[0], _BLOCK**3 * config.embedding)
        self.structures = nn.Linear(config.embedding, len(config.groups))

    def forward(
        self, image: Float[Tensor, "1 1 i j k"]
    ) -> Float[Tensor, "i2 j2 k2 channels"]:
        """Returns the channels of every block of 2^3 voxels.

        Args:
            image: Intensities from 0 to 1, on the network's grid.
        """
        levels: list[Tensor] = []
        x = _to_blocks(image)
        for block in self.down:
            x = block(functional.avg_pool3d(x, 2) if levels else x)
            levels.append(x)
        x = levels.pop() + self.place
        for reduce, up in zip(reversed(self.reduce), reversed(self.up), strict=True):
            narrow = reduce(x.movedim(1, -1)).movedim(-1, 1)
            wider = functional.interpolate(narrow, scale_factor=2, mode="trilinear")
            x = up(levels.pop() + wider)
        return x[0].movedim(0, -1)

    def scores(
        self, blocks: Float[Tensor, "*n channels"]
    ) -> Float[Tensor, "*n 8 structures"]:
        """Logarithms of the structures' probabilities, up to a constant per voxel.

        The eight voxels of a block are in array order.
        """
        voxels = functional.leaky_relu(self.voxels(blocks), LEAK)
        return self.structures(voxels.unflatten(-1, (_BLOCK**3, -1)))

    def describe(
        self, image: Float[Tensor, "1 1 i j k"]
    ) -> Float[Tensor, "1 groups i j k"]:
        """The probability of every group of structures; they add up to 1."""
        shares = functional.one_hot(torch.tensor(self.config.groups)).to(image)
        slabs = [
            _to_voxels(self.scores(slab).softmax(-1) @ shares)
            for slab in self(image).split(_SLAB)
        ]
        return torch.cat(slabs).movedim(-1, 0)[None].contiguous()


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, each with a normalization and a LeakyReLU."""
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        layers += [
            LinearConvolution(before, outputs),
            nn.GroupNorm(_NORMALIZED, outputs),
            nn.LeakyReLU(LEAK, inplace=True),
        ]
    return nn.Sequential(*layers)


def _to_blocks(image: Float[Tensor, "1 1 i j k"]) -> Float[Tensor, "1 8 i2 j2 k2"]:
    """The eight voxels of every block as channels, which are last in memory."""
    i, j, k = image.shape[2:]
    blocks = image.reshape(i // 2, 2, j // 2, 2, k // 2, 2)
    return blocks.permute(0, 2, 4, 1, 3, 5).flatten(3)[None].movedim(-1, 1)


def _to_voxels(blocks: Float[Tensor, "i2 j2 k2 8 n"]) -> Float[Tensor, "i j k n"]:
    """The eight voxels of every block in their places."""
    i, j, k, _, n = blocks.shape
    voxels = blocks.reshape(i, j, k, 2, 2, 2, n).permute(0, 3, 1, 4, 2, 5, 6)
    return voxels.reshape(2 * i, 2 * j, 2 * k, n)
