"""What a cohort is: where it comes from, how it lies on disk, what is done to it."""

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
    """A case as it was read, nothing done to it."""

    image: Image
    labels: LabelMap | None = None
    points: Points | None = None
    remarks: tuple[str, ...] = ()
    """What is to be said of it in the log."""


@dataclass(frozen=True)
class SourceCase:
    """A case of a download, not yet read."""

    name: str
    person: str
    """Scans of one person never part between train and val."""
    sources: tuple[Callable[[], dict[str, Any]], ...]
    """Of all it is made from: name, size in bytes and SHA-256."""
    load: Callable[[], LoadedCase]
    split: str | None = None
    """What the download itself says, if it does."""


@dataclass(frozen=True)
class Contents:
    """The cases of a download that are whole, and what is wrong with the others."""

    cases: tuple[SourceCase, ...]
    faults: tuple[str, ...]
    pairs: tuple[Pair, ...] = ()
    """Pairs that the download itself asks to be registered."""


@dataclass(frozen=True)
class Download:
    """The recipe that turns a download into a manifest."""

    name: str
    title: str
    origin: str
    """Where it is, and what has to be done to get it."""
    disk: tuple[str, ...]
    """How it looks on disk, a line each."""
    find: Callable[[Source], Contents]
    region: Region
    intensity_rule: IntensityRule
    split: Literal["train", "test"]
    """Of cases of which the download does not say."""
    one_label: dict[int, int] = field(default_factory=dict)
    """Labels that become another."""
    remark: str = ""
    """What is assumed, for the log of every case."""
