"""Command: label a scan by atlases."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.batches import PAIRS, read_cases
from voltween.cli.console import console, error_console
from voltween.cli.engine import EngineOptions
from voltween.cli.exit_codes import EXIT_SOME_FAILED
from voltween.cli.interrupts import KEPT
from voltween.cli.results import give_result, report_written
from voltween.cli.works import cases_in, registering
from voltween.fusion import SegmentationOptions, segment_scan
from voltween.storage import (
    alone_in,
    check_is_no_input,
    check_suffix,
    folder_of,
    workspace,
)


@dataclass(frozen=True)
class Segment:
    """Carry the labels of several atlases to a scan, and fuse them.

    Every labeled scan of --atlases is registered to SCAN, and the labels are fused on
    SCAN's own voxels. Atlases without labels, those that cannot be registered and those
    whose registration has the verdict failed are left out and listed, and make the exit
    code 1. An atlas that is SCAN itself does not take part.
    """

    scan: Annotated[Positional[Path], tyro.conf.arg(metavar="SCAN")]
    """Scan to label."""
    atlases: Path
    """Manifest of labeled scans."""
    out: Path
    """Label map to write."""
    split: str | None = None
    """Only atlases of this split: train, val or test."""
    registrations: Path | None = None
    """Folder in which the registrations of the atlases are kept and found again, to
    continue, or to try another --fusion."""
    options: Annotated[SegmentationOptions, tyro.conf.arg(name="")] = field(
        default_factory=SegmentationOptions
    )
    engine: EngineOptions = field(default_factory=EngineOptions)

    def run(self) -> None:
        """Register, fuse, write."""
        check_is_no_input(self.out)
        check_suffix(self.out, io.IMAGE_SUFFIXES, "a label map")
        atlases = cases_in(read_cases(self.atlases), self.split)
        with folder_of(self.out), self._folder() as folder:
            segmentation = segment_scan(
                self.scan, atlases, folder, self.options, registering(self.engine)
            )
            io.write(segmentation.labels, self.out)
        for name, grade in segmentation.verdicts.items():
            console.print(f"{name}: verdict {grade}")
        for name, reason in segmentation.left_out.items():
            error_console.print(f"voltween: {name}: left out: {reason}")
        count = len(segmentation.verdicts)
        give_result(verdicts=segmentation.verdicts, left_out=segmentation.left_out)
        report_written(self.out, f"the fused labels of {count} atlases")
        if segmentation.left_out:
            sys.exit(EXIT_SOME_FAILED)

    @property
    def left(self) -> str:
        """The sentence after an interrupt, about the registrations so far."""
        if self.registrations is None:
            return "nothing is kept: give --registrations DIR to continue next time"
        return KEPT

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """The folder of the registrations, which is deleted if it has no name."""
        if self.registrations is None:
            with workspace(self.out.parent) as folder:
                yield folder
            return
        place = self.registrations
        with folder_of(place / PAIRS), alone_in(place, work="segmentation"):
            yield place
