"""A case of a cohort as scans: image, labels and landmarks read from its files."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from voltween import io
from voltween.cohorts.manifest_row import Case
from voltween.errors import InputError
from voltween.spatial import (
    Affine,
    Image,
    LabelMap,
    Points,
    check_labels_on_scan,
    check_points_on_scan,
)


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan of a cohort with its ground truth for measurements."""

    name: str
    image: Image
    labels: LabelMap | None
    """On the image's grid."""
    points: Points | None
    """Landmarks, RAS+ mm."""
    label_names: Mapping[int, str] = field(default_factory=dict)
    """Names of labels, as far as the label file states them."""


def read_scan(case: Case, *, is_masked: bool = False) -> Scan:
    """Reads a case's image, labels and landmarks.

    If `is_masked`, the image is 0 outside its labels.

    Raises:
        InputError: If a file cannot be read, no label lies on the image, or there are
            no labels to mask by.
    """
    image, labels = load_case(case)
    if is_masked:
        if labels is None:
            raise InputError(
                about=case.name,
                expected="labels to mask the image by",
                got="none in the manifest",
                advice="add them to the manifest, or use the image without a mask",
            )
        image = mask_by_labels(image, labels)
    points = io.read_points(case.points) if case.points else None
    if points is not None:
        check_points_on_scan(points, image.grid, name=case.points)
    names = {label.number: label.name for label in case.named_labels}
    return Scan(case.name, image, labels, points, names)


def load_case(case: Case) -> tuple[Image, LabelMap | None]:
    """Reads the case's image and, if it has one, its label map on the image's grid.

    Raises:
        InputError: If a file cannot be read, or no label lies on the image.
    """
    image = io.read(case.image)
    labels = read_case_labels(case)
    if labels is None:
        return image, None
    check_labels_on_scan(labels, image.grid, name=case.labels)
    if not labels.grid.is_close(image.grid):
        labels = Affine.identity().resample(labels, onto=image.grid)
    return image, labels


def read_case_labels(case: Case) -> LabelMap | None:
    """Reads the case's label map, if it has one, with the numbers of `named_labels`.

    Raises:
        InputError: If the file cannot be read.
    """
    if case.labels is None:
        return None
    return io.renumber(io.read_labels(case.labels), case.named_labels)


def check_scans(
    cases: Iterable[Case], on_case: Callable[[str], None] = lambda name: None
) -> None:
    """Checks that all cases can be read and that their labels lie on their scans.

    Args:
        cases: The cases.
        on_case: Called with the name of every case before it is read.

    Raises:
        InputError: If a file cannot be read, or no label lies on its image.
    """
    for case in cases:
        on_case(case.name)
        load_case(case)


def mask_by_labels(image: Image, labels: LabelMap) -> Image:
    """Sets the image to 0 outside all labels, which strips the skull of a head."""
    return Image(np.where(labels.data > 0, image.data, 0), image.grid)
