"""Fusion of label maps by STAPLE, as SimpleITK has it."""

import numpy as np
import SimpleITK as sitk
from jaxtyping import Shaped

_MOST_ITERATIONS = 100
_THRESHOLD = 1e-5  # of the change of the estimated rates at which it ends


def staple(labels: Shaped[np.ndarray, "n i j k"]) -> Shaped[np.ndarray, "i j k"]:
    """The labels that are most probable if every map errs at rates of its own.

    The rates, by which a map takes one label for another, are estimated with the
    labels. Where SimpleITK does not decide, the smallest label of the maps is taken.

    References:
        Rohlfing et al. 2003, Expectation maximization strategies for multi-atlas
        multi-label segmentation, doi:10.1007/978-3-540-45087-0_18.
    """
    # Rates are a table of all labels up to the largest, so that they are numbered.
    names, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape).astype(np.uint16)
    undecided = len(names)
    found = sitk.GetArrayFromImage(
        sitk.MultiLabelSTAPLE(
            [sitk.GetImageFromArray(each) for each in numbers],
            undecided,
            _THRESHOLD,
            _MOST_ITERATIONS,
        )
    )
    found = np.where(found == undecided, numbers.min(axis=0), found)
    return names[found].astype(labels.dtype)
