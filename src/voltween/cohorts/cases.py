"""A case of a cohort as scans: image, labels and landmarks read from its files."""

from dataclasses import dataclass

import numpy as np

from voltween import io
from voltween.cohorts.manifest import Case
from voltween.spatial import Affine, Image, LabelMap, Points


def load_case(case: Case) -> tuple[Image, LabelMap | None]:
    """The case's image and, if it has one, its label map on the image's grid."""
    image = io.read(case.image)
    if case.labels is None:
        return image, None
    labels = io.read_labels(case.labels)
    if not labels.grid.is_close(image.grid):
        labels = Affine.identity().resample(labels, onto=image.grid)
    return image, labels


def mask_by_labels(image: Image, labels: LabelMap) -> Image:
    """The image with 0 wherever there is no label, such as a skull-stripped brain."""
    return Image(np.where(labels.data > 0, image.data, 0), image.grid)


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan of a cohort with what can be measured on it."""

    name: str
    image: Image
    labels: LabelMap | None
    points: Points | None
