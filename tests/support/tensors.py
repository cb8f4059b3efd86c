"""Random tensors for tests of losses and operations, in double precision."""

import torch


def random_images(seed=0, shape=(2, 1, 6, 5, 7)):
    """Independent uniform intensities from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)
