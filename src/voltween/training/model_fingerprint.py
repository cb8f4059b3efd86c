"""Measures the training scans of a cohort for the fingerprint of the trained model."""

from collections.abc import Iterator, Sequence

import numpy as np

from voltween.cohorts import Case, cases_of_split, load_case, mask_by_labels
from voltween.models import ModelFingerprint
from voltween.spatial import Image

_MOST_SCANS = 40


def measure_training_scans(
    cases: Sequence[Case], *, is_ct: bool, is_masked: bool
) -> ModelFingerprint | None:
    """Measures at most 40 of the `train` scans, spread evenly over the cohort.

    Args:
        cases: The cohort.
        is_ct: Whether the preprocessing takes Hounsfield units.
        is_masked: Whether the training also shows the scans masked by their labels.

    Raises:
        InputError: If there are fewer than two `train` cases, or one cannot be read.
    """
    train = cases_of_split(cases, "train")
    count = min(len(train), _MOST_SCANS)
    few = [train[n] for n in np.linspace(0, len(train) - 1, count).round().astype(int)]
    masked = _masked_scans(few) if is_masked else ()
    return ModelFingerprint.of(_scans(few), masked=masked, is_ct=is_ct)


def _scans(cases: Sequence[Case]) -> Iterator[Image]:
    for case in cases:
        yield load_case(case)[0]


def _masked_scans(cases: Sequence[Case]) -> Iterator[Image]:
    """The scans, dark where there is no label; scans without labels are left out."""
    for case in cases:
        image, labels = load_case(case)
        if labels is not None:
            yield mask_by_labels(image, labels)
