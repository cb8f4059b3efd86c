"""A small U-Net that tells the structures of a scan, as features to register by.

The scan lies on the grid of a template, so that the place of a voxel says much: the
network corrects how often each structure is there in the training scans. The
probabilities of many structures are added up in a few groups, one channel each.
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
_SLAB = 4  # planes of blocks whose probabilities are in memory at once
_NORMALIZED = 8  # groups of channels that are normalized together
_PLACE_LEVEL = 1  # of the features to which the place is added
_PLACE_VOXELS = 4  # per axis, of the grid, for one voxel of the place


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
    channels: tuple[int, ...] = (32, 64, 96)
    """Channels after every halving of the grid, two or more."""
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

    prior: Tensor
    """Logarithm of how often the structures are in every block of 4^3 voxels."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        inputs = (_BLOCK**3, *config.channels)
        self.down = nn.ModuleList(
            _block(before, after, after)
            for before, after in zip(inputs, config.channels, strict=False)
        )
        pairs = list(zip(config.channels, config.channels[1:], strict=False))
        self.reduce = nn.ModuleList(nn.Linear(wide, n) for n, wide in pairs)
        self.up = nn.ModuleList(_block(n, n) for n, _ in pairs)
        structures = len(config.groups)
        self.voxels = nn.Linear(config.channels[0], _BLOCK**3 * config.embedding)
        self.structures = nn.Linear(config.embedding, structures)
        nn.init.zeros_(self.structures.weight)  # what is common comes first
        self.place = nn.Linear(structures, config.channels[_PLACE_LEVEL])
        coarse = [side // _PLACE_VOXELS for side in config.shape]
        self.register_buffer("prior", torch.zeros(*coarse, structures))

    def forward(
        self, image: Float[Tensor, "1 1 i j k"]
    ) -> Float[Tensor, "i2 j2 k2 channels"]:
        """Returns the channels of every block of 2^3 voxels.

        Args:
            image: Intensities from 0 to 1, on the network's grid.
        """
        levels: list[Tensor] = []
        x = _to_blocks(image)
        for number, block in enumerate(self.down):
            x = block(functional.avg_pool3d(x, 2) if levels else x)
            if number == _PLACE_LEVEL:
                x = x + self.place(self.prior)[None].movedim(-1, 1)
            levels.append(x)
        x = levels.pop()
        for reduce, up in zip(reversed(self.reduce), reversed(self.up), strict=True):
            narrow = reduce(x.movedim(1, -1)).movedim(-1, 1)
            wider = functional.interpolate(narrow, scale_factor=2, mode="trilinear")
            x = up(levels.pop() + wider)
        return x[0].movedim(0, -1)

    def scores(
        self,
        blocks: Float[Tensor, "*n channels"],
        prior: Float[Tensor, "*n structures"],
    ) -> Float[Tensor, "*n 8 structures"]:
        """Logarithms of the structures' probabilities, up to a constant per voxel.

        The eight voxels of a block are in array order.

        Args:
            blocks: Channels of blocks.
            prior: What `block_prior` says of them.
        """
        voxels = functional.leaky_relu(self.voxels(blocks), LEAK)
        changes: Tensor = self.structures(voxels.unflatten(-1, (_BLOCK**3, -1)))
        return changes + prior[..., None, :]

    def block_prior(self) -> Float[Tensor, "i2 j2 k2 structures"]:
        """Logarithm of how often the structures are in every block."""
        coarse = self.prior.movedim(-1, 0)[None]
        factor = _PLACE_VOXELS // _BLOCK
        fine = functional.interpolate(coarse, scale_factor=factor, mode="trilinear")
        return fine[0].movedim(0, -1)

    def describe(
        self, image: Float[Tensor, "1 1 i j k"]
    ) -> Float[Tensor, "1 groups i j k"]:
        """The probability of every group of structures; they add up to 1."""
        shares = functional.one_hot(torch.tensor(self.config.groups)).to(image)
        slabs = zip(
            self(image).split(_SLAB), self.block_prior().split(_SLAB), strict=True
        )
        voxels = [
            _to_voxels(self.scores(blocks, prior).softmax(-1) @ shares)
            for blocks, prior in slabs
        ]
        return torch.cat(voxels).movedim(-1, 0)[None].contiguous()


def _block(inputs: int, *outputs: int) -> nn.Sequential:
    """Convolutions, each with a normalization and a LeakyReLU."""
    layers: list[nn.Module] = []
    for before, after in zip((inputs, *outputs), outputs, strict=False):
        layers += [
            LinearConvolution(before, after),
            nn.GroupNorm(_NORMALIZED, after),
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
