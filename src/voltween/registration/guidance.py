"""What is known of a pair beyond its two images, all in scanner space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voltween.errors import InputError
from voltween.spatial import Image, LabelMap, Points, labels_in_common


@dataclass(frozen=True, eq=False)
class Guidance:
    """Masks, structures, landmarks and further images of a pair, for its refinement.

    Label maps, points and images may have grids of their own; they belong to the same
    world as the image of their side.

    Raises:
        InputError: If one side has structures, landmarks or further images that the
            other has not.
    """

    fixed_mask: LabelMap | None = None
    """Voxels > 0 count when images are compared; without it all count."""
    moving_mask: LabelMap | None = None
    fixed_labels: LabelMap | None = None
    """Structures to lay on those of the same number in the moving image."""
    moving_labels: LabelMap | None = None
    fixed_points: Points | None = None
    """Landmarks: by name if both sides have the same names, else in the same order."""
    moving_points: Points | None = None
    fixed_channels: tuple[Image, ...] = ()
    """Further images of the same scanning session, such as T2, in the same order."""
    moving_channels: tuple[Image, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("labels", "points"):
            sides = [getattr(self, f"{side}_{kind}") for side in ("fixed", "moving")]
            if (sides[0] is None) != (sides[1] is None):
                raise InputError(
                    f"guidance needs {kind} of both scans, got those of one: give the "
                    "other's, too, or none"
                )
        if len(self.fixed_channels) != len(self.moving_channels):
            raise InputError(
                "guidance needs as many further images of the fixed as of the moving "
                f"scan, got {len(self.fixed_channels)} and {len(self.moving_channels)}"
            )
        if self.fixed_labels is not None and self.moving_labels is not None:
            labels_in_common(self.fixed_labels, self.moving_labels)  # are there any?
        if self.fixed_points is not None and self.moving_points is not None:
            object.__setattr__(
                self, "moving_points", _ordered(self.fixed_points, self.moving_points)
            )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return all(not value for value in vars(self).values())


def _ordered(fixed: Points, moving: Points) -> Points:
    """The moving landmarks in the order of the fixed ones."""
    if len(fixed.mm) != len(moving.mm):
        raise InputError(
            "landmarks of both scans must be as many, got "
            f"{len(fixed.mm)} and {len(moving.mm)}"
        )
    if not _is_named_alike(fixed.names, moving.names):
        return moving
    order = [moving.names.index(name) for name in fixed.names]
    return Points(moving.mm[np.array(order, int)], fixed.names)


def _is_named_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether names say which landmark is which."""
    return len(set(one)) == len(one) > 0 and sorted(one) == sorted(other)
