"""The recipe of a cohort: its origin, its layout on disk, and its preparation."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from itertools import groupby
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
    mask: LabelMap | None = None
    """The part to be kept of an image that is to be stripped."""
    remarks: tuple[str, ...] = ()
    """Remarks for the log."""
    points_remark: str = ""
    """Origin of the points, for the log."""


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
    """Faults that belong to no single case, one line each."""
    pairs: tuple[Pair, ...] = ()
    """Pairs that the download itself defines for registration."""
    broken: dict[str, str] = field(default_factory=dict)
    """Faults of the cases that are incomplete, by name."""
    expected: tuple[str, ...] = ()
    """Names of all cases of the whole download, in order, if that is known."""
    left_out: frozenset[str] = frozenset()
    """Cases that the user leaves out, which are not missing."""

    @property
    def names(self) -> set[str]:
        """Names of all cases, also of incomplete, missing and left-out ones."""
        complete = {case.name for case in self.cases}
        return complete | set(self.broken) | set(self.expected) | self.left_out

    @property
    def all_faults(self) -> tuple[str, ...]:
        """All faults, each one line; the last one names the missing cases."""
        present = {case.name for case in self.cases} | set(self.broken)
        missing = _missing_ranges(self.expected, present | self.left_out)
        line = [f"missing: {', '.join(missing)}"] if missing and present else []
        return (*self.faults, *self.broken.values(), *line)


def _missing_ranges(expected: Sequence[str], present: Container[str]) -> list[str]:
    """Missing names; consecutive ones as 'first to last'."""
    runs = groupby(expected, key=lambda name: name in present)
    missing = [list(run) for is_present, run in runs if not is_present]
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in missing]


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
    is_open: bool = False
    """Whether the user chooses region and intensity rule."""
    remark: str = ""
    """An assumption of the recipe, for the log of every case."""
