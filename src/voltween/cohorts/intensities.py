"""Comparable intensities for the scans of a cohort: CT by histogram, MR by foreground.

The paper prepares its cohorts in this way (section V-A 2). Shipped models need neither:
their own preprocessing has Hounsfield windows and percentiles.
"""

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.preprocessing import check_has_contrast, foreground_range
from voltween.spatial import Image

_BINS = 1024
_MATCH_POINTS = 64
_PERCENTILES = (0.5, 99.5)


def match_histogram(image: Image, reference: Image) -> Image:
    """Maps the image's intensities so that its histogram matches the reference's.

    The map is monotonic: brighter voxels stay brighter. Only voxels above the mean of
    each image count, because most of a CT is air, in an amount that depends on the
    field of view.

    Raises:
        InputError: If either image is constant.

    References:
        Nyul, Udupa, Zhang 2000, doi:10.1109/42.836373, as implemented in ITK.
    """
    for volume in (image, reference):
        check_has_contrast(volume)
    matched = sitk.HistogramMatching(
        sitk.GetImageFromArray(image.data),
        sitk.GetImageFromArray(reference.data),
        numberOfHistogramLevels=_BINS,
        numberOfMatchPoints=_MATCH_POINTS,
        thresholdAtMeanIntensity=True,
    )
    return Image(sitk.GetArrayFromImage(matched), image.grid)


def histogram_distance(image: Image, reference: Image) -> float:
    """Earth mover's distance between the two histograms, in units of intensity.

    It is the mean distance of matching quantiles of the voxels above the mean; 0 if
    the histograms are equal.
    """
    from scipy.stats import wasserstein_distance  # takes 0.6 s, only needed here

    return float(wasserstein_distance(_above_mean(image), _above_mean(reference)))


def normalize_foreground(image: Image) -> tuple[Image, tuple[float, float]]:
    """Scales the image to 0..1; also returns the intensities that became 0 and 1.

    These are the 0.5th and 99.5th percentiles of the foreground; values beyond them
    are clipped.

    Raises:
        InputError: If the image is constant.
    """
    check_has_contrast(image)
    low, high = foreground_range(image, _PERCENTILES)
    scaled = ((image.data - low) / (high - low)).clip(0, 1)
    return Image(scaled, image.grid), (low, high)


def _above_mean(image: Image) -> Float[np.ndarray, " n"]:
    return image.data[image.data > image.data.mean()].astype(float)
