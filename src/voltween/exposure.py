"""Intensities of one cohort made alike."""

import numpy as np

from voltween.volume import Image


def matched_histogram(image: Image, reference: Image) -> Image:
    """The image with the histogram of the reference, as for CT."""
    _, inverse, counts = np.unique(image.data, return_inverse=True, return_counts=True)
    share = (counts.cumsum() - counts / 2) / image.data.size
    known, known_counts = np.unique(reference.data, return_counts=True)
    known_share = (known_counts.cumsum() - known_counts / 2) / reference.data.size
    matched = np.interp(share, known_share, known)
    return Image(matched[inverse].reshape(image.data.shape), image.grid)


def normalized_foreground(image: Image) -> tuple[Image, tuple[float, float]]:
    """The image from 0 to 1, and the two intensities that became 0 and 1, as for MR."""
    darkest = image.data.min()
    foreground = image.data[image.data > darkest]
    low, high = (float(v) for v in np.percentile(foreground, (0.5, 99.5)))
    data = ((image.data - low) / max(high - low, 1e-6)).clip(0, 1)
    return Image(data, image.grid), (low, high)
