"""The picture of a measured pair, and its report where one is asked for."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voltween.cohorts import Case, Scan
from voltween.evaluation.methods import Answer, Method
from voltween.evaluation.records import Record, kept_report, kept_thumbnail
from voltween.evaluation.report.summaries import UNREGISTERED
from voltween.evaluation.scores import PairScore
from voltween.figures import write_thumbnail
from voltween.registration import (
    Carried,
    Origin,
    Registration,
    TweeningStage,
    paint_report,
    versions,
)
from voltween.reports import Crop, ReportOptions, scans_to_show
from voltween.spatial import Affine
from voltween.storage import output_folder, whole_file

Reports = Literal["none", "doubtful", "all"]
_BEFORE, _AFTER = "before", "registered"
_ROLES = ("fixed", "moving")


@dataclass(frozen=True)
class Pictures:
    """Choice of the pictures of measured pairs, and the folder that gets them."""

    folder: Path
    reports: Reports = "none"
    crop: Crop = "none"

    def wants_report(self, score: PairScore) -> bool:
        """Whether the pair gets a report, by its verdict."""
        if self.reports == "doubtful":
            return score.verdict != "good" and score.method not in UNREGISTERED
        return self.reports == "all"

    def lacks_report(self, score: PairScore) -> bool:
        """Whether a measured pair should have a report, and has none."""
        return self.wants_report(score) and not self._report(score).exists()

    def draw(self, pair: "Measured") -> None:
        """Writes the thumbnail of the index; none where nothing may be shown.

        Raises:
            OutputError: If it cannot be written.
        """
        names = (pair.fixed.name, pair.moving.name)
        path = kept_thumbnail(self.folder, pair.record.pair.method, names)
        output_folder(path.parent)
        scans = pair.fixed.image, pair.moving.image
        labels = pair.fixed.labels, pair.moving.labels
        shown = scans_to_show(scans, labels, self.crop)
        if shown.are_blank:
            path.unlink(missing_ok=True)
            return
        transform = pair.answer.fixed_to_moving
        write_thumbnail(shown.fixed, shown.moving, path, fixed_to_moving=transform)

    def report(
        self, method: Method, cases: tuple[Case, Case], pair: "Measured"
    ) -> None:
        """Writes the report if it is wanted; deletes that of an earlier answer if not.

        Raises:
            InputError: If a file of the cases cannot be read.
            OutputError: If it cannot be written.
        """
        path = self._report(pair.record.pair)
        if not self.wants_report(pair.record.pair):
            path.unlink(missing_ok=True)
            return
        page = paint_report(
            _registration(method, pair),
            _facts(method, cases, pair.record),
            carried=Carried(pair.fixed.labels, pair.moving.labels),
            structures={**pair.moving.label_names, **pair.fixed.label_names},
            options=ReportOptions(self.crop),
        )
        output_folder(path.parent)
        with whole_file(path) as partial:
            partial.write_text(page, encoding="utf-8")

    def _report(self, score: PairScore) -> Path:
        return kept_report(self.folder, score.method, (score.fixed, score.moving))


@dataclass(frozen=True, eq=False)
class Measured:
    """A pair with a method's answer and its scores."""

    fixed: Scan
    moving: Scan
    answer: Answer
    record: Record


def _registration(method: Method, pair: Measured) -> Registration:
    """The answer as `register` returns its own."""
    answer, criterion = pair.answer, method.criterion
    named = dict(answer.stages) or {_AFTER: answer.fixed_to_moving}
    before = named.pop(_BEFORE, Affine.identity())
    return Registration(
        pair.fixed.image,
        pair.moving.image,
        criterion.model_name,
        before,
        tuple(TweeningStage(name, transform) for name, transform in named.items()),
        seconds={},
        refinement=criterion.refinement,
    )


def _facts(method: Method, cases: tuple[Case, Case], record: Record) -> dict[str, Any]:
    """The text of the report, in the words of registration.json."""
    inputs = {role: [case.image] for role, case in zip(_ROLES, cases, strict=True)}
    stages = {stage.stage: stage.dice for stage in record.stages}
    dice = stages or {_AFTER: record.pair.dice}
    return {
        "method": " ".join((method.name, *method.facts.values())),
        "round_trip_error_mm": None,
        "mean_dice": {name: n for name, n in dice.items() if not math.isnan(n)},
        "warnings": [record.pair.note] if record.pair.note else [],
        **Origin(inputs).facts(),
        "versions": versions(),
    }
