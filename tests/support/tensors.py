"""Random tensors of a fixed seed: images from 0 to 1 and flows in voxels."""

import torch


def random_numbers(*shape, seed=0, dtype=torch.float64):
    """Uniform numbers from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=dtype)


def random_flow(shape, batch=1, size=4.0, seed=3):
    """Uniform vectors of up to `size` voxels per axis; many lead out of the grid."""
    return (random_numbers(batch, 3, *shape, seed=seed) - 0.5) * 2 * size


def random_images(seed=0, shape=(2, 1, 6, 5, 7)):
    """A batch of images with independent intensities from 0 to 1."""
    return random_numbers(*shape, seed=seed)


def random_volumes(count=2, shape=(2, 1, 7, 6, 8), dtype=torch.float64):
    """Several batches of images with independent intensities from 0 to 1."""
    return random_numbers(count, *shape, dtype=dtype).unbind(0)
