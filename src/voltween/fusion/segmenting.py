"""The segmentation of a scan by labeled scans that are registered to it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voltween import io
from voltween.batches import (
    RefinementOptions,
    Registered,
    Registering,
    RegistrationOptions,
    check_registration,
    register_cases,
)
from voltween.cohorts import Case, load_case
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.fusion.candidates import Atlas
from voltween.fusion.fusing import Fusion, fuse_labels
from voltween.registration import AUTO
from voltween.spatial import Image, LabelMap
from voltween.storage import content_digest

_SHOWN = 9  # labels in one line


@dataclass(frozen=True)
class SegmentationOptions:
    """Choices of how a scan is segmented."""

    fusion: Fusion = "weighted"
    """Way in which the labels of the atlases become one: majority, every atlas with one
    vote per voxel; weighted, with votes by local similarity to the scan; or staple."""
    model: str = AUTO
    """Shipped model (see `voltween models`) or model file; auto takes the shipped model
    that learned from such scans, or none. With none, transforms are optimized alone."""
    refinement: RefinementOptions = field(default_factory=RefinementOptions)

    def __post_init__(self) -> None:
        if self.refinement.guide_by_labels:
            raise InputError(
                about="--guide-by-labels",
                expected="a scan with labels",
                got="one that is to be labeled",
            )

    @property
    def registration(self) -> RegistrationOptions:
        """The registrations of the atlases: the transforms alone are kept."""
        return RegistrationOptions(
            model=self.model, outputs="transform", refinement=self.refinement
        )


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The labels of a scan, and where they come from."""

    labels: LabelMap
    """On the scan's grid."""
    verdicts: Mapping[str, str]
    """Grades of the registrations of the atlases that were fused, by name."""
    left_out: Mapping[str, str]
    """Reasons why atlases were not used, by name."""


def segment_scan(
    scan: Path,
    atlases: Sequence[Case],
    folder: Path,
    options: SegmentationOptions,
    registering: Registering,
) -> Segmentation:
    """Registers atlases to a scan and fuses their labels.

    Left out are atlases without labels, those that cannot be read or registered, and
    those whose registration has the verdict failed. An atlas that is the scan itself
    does not take part. A `SuspiciousInputWarning` names labels that only some atlases
    have. The labels of all atlases are checked before the first one is registered.

    Args:
        scan: The scan to label.
        atlases: The labeled scans.
        folder: The folder of the registrations; those that it has are kept.
        options: How the scan is segmented.
        registering: Registers the atlases.

    Raises:
        InputError: If no atlas can be used, one has no label in common with the others,
            or the scan cannot be read.
        OutputError: If the folder cannot be written to.
    """
    check_registration(options.registration)
    image = io.read(scan)
    labeled, left_out = _labeled(scan, atlases)
    usable = _readable(labeled, left_out)
    registered = register_cases(
        usable,
        scan,
        folder,
        options.registration,
        registering,
        is_one_contrast=False,
    )
    left_out |= registered.left_out
    by_name = _read_atlases(usable, registered)
    if not by_name:
        name, reason = next(iter(left_out.items()))
        raise InputError(
            about=scan,
            expected="an atlas that can be registered to it",
            got=f"none ({name}: {reason})",
        )
    # Those that were left out may be what the others had in common.
    _check_labels({name: atlas.labels.labels for name, atlas in by_name.items()})
    labels = fuse_labels(image, [*by_name.values()], options.fusion)
    verdicts = {name: registered.verdicts[name] for name in by_name}
    return Segmentation(labels, verdicts, left_out)


def _labeled(scan: Path, atlases: Sequence[Case]) -> tuple[list[Case], dict[str, str]]:
    """The atlases that have labels, and the reasons why others are left out."""
    labeled, left_out, digest = [], {}, content_digest(scan)
    for case in atlases:
        if case.labels is None:
            left_out[case.name] = "it has no labels"
        elif not _is_same(case.image, digest):
            labeled.append(case)
    if not labeled:
        name, reason = next(iter(left_out.items()), ("none", "there is no atlas"))
        raise InputError(
            about="--atlases",
            expected="a scan with labels, other than the scan to be labeled",
            got=f"none ({name}: {reason})",
            advice="give a manifest (CSV) with the column labels",
        )
    return labeled, left_out


def _is_same(path: Path, digest: str) -> bool:
    try:
        return content_digest(path) == digest
    except (InputError, OSError):  # its registration says what is wrong
        return False


def _readable(cases: Sequence[Case], left_out: dict[str, str]) -> list[Case]:
    """The atlases that can be read; the others are added to those left out.

    Raises:
        InputError: If the labels of one are not those of the others.
    """
    labels: dict[str, Sequence[int]] = {}
    for case in cases:
        try:
            labels[case.name] = _read_labeled(case)[1].labels
        except InputError as error:
            left_out[case.name] = str(error)
    _check_labels(labels)
    _tell_of_missing_labels(labels)
    return [case for case in cases if case.name in labels]


def _read_labeled(case: Case) -> tuple[Image, LabelMap]:
    image, labels = load_case(case)
    assert labels is not None  # else the case is not labeled
    return image, labels


def _read_atlases(cases: Sequence[Case], registered: Registered) -> dict[str, Atlas]:
    """The registered atlases, by name."""
    atlases = {}
    for case in cases:
        if case.name not in registered.transforms:
            continue
        image, labels = _read_labeled(case)
        transform = io.read_transform(registered.transforms[case.name])
        atlases[case.name] = Atlas(image, labels, transform)
    return atlases


def _check_labels(labels: Mapping[str, Sequence[int]]) -> None:
    """Checks that atlases have the same labels.

    Raises:
        InputError: If an atlas shares no label with the others, or none has any.
    """
    for name, own in labels.items():
        others = set().union(*(set(v) for n, v in labels.items() if n != name))
        if not own or (len(labels) > 1 and not others & set(own)):
            raise InputError(
                about=f"labels of {name}",
                expected=f"labels of the same structures: {_text(others)}",
                got=_text(own),
                advice="leave it out, or give it the same numbers",
            )


def _tell_of_missing_labels(labels: Mapping[str, Sequence[int]]) -> None:
    """Warns of labels that some atlases lack."""
    everything = set().union(*labels.values())
    if missing := sorted(everything - everything.intersection(*labels.values())):
        text = (
            f"only some atlases have the labels {_text(missing)}: the others vote for "
            "something else there"
        )
        warnings.warn(text, SuspiciousInputWarning, stacklevel=4)


def _text(labels: Sequence[int] | set[int]) -> str:
    ordered = [str(label) for label in sorted(labels)]
    more = ", ..." if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more or "none"
