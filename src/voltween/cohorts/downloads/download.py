"""The recipe of a cohort: its origin, its layout on disk, and its preparation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from voltween.cohorts.downloads.sources import Source
from voltween.cohorts.pairs import Pair
from voltween.spatial import Image, LabelMap, Points

Region = Literal["liver", "head", "whole"]
IntensityRule = Literal["Hounsfield units, matched", "foreground to 0..1", "as stored"]


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case as it was read, without any processing."""

    image: Image
    labels: LabelMap | None = None
    points: Points | None = None
    remarks: tuple[str, ...] = ()
    """Remarks for the log."""


@dataclass(frozen=True)
class SourceCase:
    """A case of a download that has not been read yet."""

    name: str
    person: str
    """Scans of one person are never divided between train and val."""
    sources: tuple[Callable[[], dict[str, Any]], ...]
    """Functions that return the name, size in bytes and SHA-256 of each source."""
    load: Callable[[], LoadedCase]
    split: str | None = None
    """The download's own split, if it defines one."""


@dataclass(frozen=True)
class Contents:
    """The complete cases of a download, and the faults of the others."""

    cases: tuple[SourceCase, ...]
    faults: tuple[str, ...]
    pairs: tuple[Pair, ...] = ()
    """Pairs that the download itself defines for registration."""


@dataclass(frozen=True)
class Download:
    """The recipe that turns a downloaded cohort into a manifest."""

    name: str
    title: str
    origin: str
    """Address of the download, and the steps to get it."""
    disk: tuple[str, ...]
    """The layout on disk, one line per entry."""
    find: Callable[[Source], Contents]
    region: Region
    intensity_rule: IntensityRule
    split: Literal["train", "test"]
    """Split of the cases for which the download defines none."""
    one_label: dict[int, int] = field(default_factory=dict)
    """Labels to be replaced, with the label that replaces each."""
    remark: str = ""
    """An assumption of the recipe, for the log of every case."""
