"""The content of a report: a registered pair of scans, and the figures about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from voltween.errors import InputError
from voltween.spatial import Image, LabelMap, Transform

Crop = Literal["none", "brain"]
Viewer = Literal["planes", "niivue"]


@dataclass(frozen=True, eq=False)
class RegisteredPair:
    """Two scans, the transform between them after every stage, and labels, if any."""

    fixed: Image
    moving: Image
    tweening: Mapping[str, Transform]
    """Fixed to moving mm, by the names of the stages; before any stage first."""
    moved: Image
    """The moving image after the last stage, on any grid in the fixed scan's world."""
    jacobian: Image
    """Local volume in moving space over that in fixed space, on the fixed grid."""
    fixed_labels: LabelMap | None = None
    moving_labels: LabelMap | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of quality, and what is normal for it."""

    name: str
    value: str
    normal: str
    is_normal: bool


@dataclass(frozen=True)
class Facts:
    """The text of a report."""

    grade: str
    """good, doubtful or failed."""
    reasons: Sequence[str]
    figures: Sequence[Figure]
    dice: Mapping[str, float] = field(default_factory=dict)
    """Mean Dice by the names of the stages, if there are labels."""
    structures: Mapping[int, str] = field(default_factory=dict)
    """Names of structures by label."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """The content of registration.json: inputs, command, versions, warnings, ..."""


@dataclass(frozen=True)
class ReportOptions:
    """Choices of a report.

    Raises:
        InputError: If a choice is unknown.
    """

    crop: str = "none"
    """A `Crop`. With brain, nothing away from the brain is shown, such as the face."""
    viewer: str = "planes"
    """A `Viewer`. With niivue, the page holds NiiVue too, which renders volumes."""

    def __post_init__(self) -> None:
        for name, kinds in (("crop", Crop), ("viewer", Viewer)):
            got, known = getattr(self, name), get_args(kinds)
            if got not in known:
                raise InputError(
                    about=f"report's {name}",
                    expected=" or ".join(known),
                    got=repr(got),
                )
