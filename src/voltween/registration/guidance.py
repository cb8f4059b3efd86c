"""Guidance of a refinement beyond the two images, all in scanner space (RAS+ mm)."""

import warnings
from dataclasses import dataclass, field, replace

from voltween.errors import InputError, SuspiciousInputWarning, check_type
from voltween.metrics import corresponding_landmarks
from voltween.spatial import Image, LabelMap, Points, Transform, labels_in_common

_LABELS_ADVICE = "read_labels reads a file; LabelMap(array, grid) takes an array"
_KINDS: tuple[tuple[str, type, str], ...] = (
    ("mask", LabelMap, _LABELS_ADVICE),
    ("labels", LabelMap, _LABELS_ADVICE),
    ("points", Points, "read_points reads a file; Points(array) takes positions"),
)


@dataclass(frozen=True, eq=False)
class Side:
    """Guidance from one scan of a pair: mask, structures, landmarks, further channels.

    Each may have a grid of its own, in the same world as the scan.

    Raises:
        InputError: If one of them is of another type.
    """

    mask: LabelMap | None = None
    """Voxels > 0 count when images are compared; without a mask all count."""
    labels: LabelMap | None = None
    """Structures to be aligned with those of the same number in the other scan."""
    points: Points | None = None
    """Landmarks to be aligned with those of the other scan.

    By name if both sides have names, else in their order.
    """
    channels: tuple[Image, ...] = ()
    """Further images of the session, such as T2, in the same order on both sides."""

    def __post_init__(self) -> None:
        for name, kind, advice in _KINDS:
            if (value := getattr(self, name)) is not None:
                expected = f"{kind.__name__} or None"
                check_type(value, kind, about=name, expected=expected, advice=advice)
        _check_is_channel(self.channels, (tuple, list))
        for channel in self.channels:
            _check_is_channel(channel, Image)

    @property
    def is_empty(self) -> bool:
        """Whether there is no guidance."""
        return all(not value for value in vars(self).values())


@dataclass(frozen=True, eq=False)
class Guidance:
    """Guidance from both scans of a pair.

    Masks may be of one side alone. Of labels, points and channels, each side needs what
    the other has. Landmarks with names on both sides are paired by name, and sorted
    into the order of the fixed side (see `corresponding_landmarks`).

    Raises:
        InputError: If one side has labels, points or channels that the other lacks, or
            the label maps have no label in common, or the landmarks do not correspond.
    """

    fixed: Side = field(default_factory=Side)
    moving: Side = field(default_factory=Side)
    initial: Transform | None = None
    """Transform, fixed to moving mm, from which the search starts."""

    def __post_init__(self) -> None:
        fixed, moving = self.fixed, self.moving
        for side in (fixed, moving):
            check_type(
                side,
                Side,
                about="guidance",
                expected="a Side of each scan",
                advice="such as Guidance(fixed=Side(mask=mask))",
            )
        if self.initial is not None:
            check_type(
                self.initial,
                Transform,
                about="initial",
                expected="a transform from fixed to moving mm",
                advice="read_transform reads a file; Affine(matrix) takes a matrix",
            )
        _check_on_both_sides("labels", fixed.labels, moving.labels)
        _check_on_both_sides("points", fixed.points, moving.points)
        _check_equal_number("channels", len(fixed.channels), len(moving.channels))
        if fixed.labels is not None and moving.labels is not None:
            labels_in_common(fixed.labels, moving.labels)  # raises if there is none
        if fixed.points is not None and moving.points is not None:
            pairs = corresponding_landmarks(fixed.points, moving.points)
            object.__setattr__(self, "fixed", replace(fixed, points=pairs[0]))
            object.__setattr__(self, "moving", replace(moving, points=pairs[1]))

    @property
    def is_empty(self) -> bool:
        """Whether neither side has guidance; an initial transform is none."""
        return self.fixed.is_empty and self.moving.is_empty


def _check_is_channel(value: object, kinds: type | tuple[type, ...]) -> None:
    check_type(
        value,
        kinds,
        about="channels",
        expected="a tuple of images",
        advice="also of one: (image,)",
    )


def _check_on_both_sides(
    kind: str, fixed: object | None, moving: object | None
) -> None:
    if (fixed is None) != (moving is None):
        raise InputError(
            about="guidance",
            expected=f"{kind} of both scans",
            got=f"only those of the {'moving' if fixed is None else 'fixed'} scan",
            advice="give those of the other scan as well, or none",
        )


def _check_equal_number(kind: str, fixed: int, moving: int) -> None:
    if fixed != moving:
        raise InputError(
            about="guidance",
            expected=f"as many {kind} of the fixed as of the moving scan",
            got=f"{fixed} and {moving}",
        )


def check_masks_meet(guidance: Guidance, fixed_to_moving: Transform) -> None:
    """Warns if the masks have no voxel in common after the registration.

    Nothing was compared then, where both scans have a mask.
    """
    fixed, moving = guidance.fixed.mask, guidance.moving.mask
    if fixed is None or moving is None:
        return
    moved = fixed_to_moving.resample(moving, onto=fixed.grid)
    if not ((fixed.data > 0) & (moved.data > 0)).any():
        warnings.warn(
            "masks: no voxel of the fixed mask lies in the moving mask after the "
            "registration, so that nothing could be compared: are these the masks of "
            "these scans?",
            SuspiciousInputWarning,
            stacklevel=3,
        )
