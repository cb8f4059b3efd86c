"""A registration on disk: images, transforms, figures, and an overview picture."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.metrics import corresponding_landmarks
from voltween.models import features_digest
from voltween.registration.origin import Origin, recording_warnings, versions
from voltween.registration.outputs import (
    FILES,
    OUTPUTS,
    RECORD,
    REPORT,
    Carried,
    LabeledResult,
    Output,
    choose_outputs,
    write_outputs,
)
from voltween.registration.report import paint_report
from voltween.registration.result import Registration, means
from voltween.registration.timing import Seconds, begin_part
from voltween.registration.writing_behind import writing_behind
from voltween.reports import Crop, ReportOptions
from voltween.storage import PathLike, check_result_folder, whole_folder

_NOT_SAID, _NOTHING, _USUAL = Origin(), Carried(), ReportOptions()


def write_registration(
    registration: Registration,
    out: PathLike,
    *,
    outputs: Sequence[str] | None = None,
    carried: Carried = _NOTHING,
    origin: Origin = _NOT_SAID,
    report: ReportOptions = _USUAL,
) -> dict[str, Any]:
    """Writes the results into a folder; returns the content of registration.json.

    The folder is one result. Its files appear together or not at all, registration.json
    last, and all files of an earlier result are deleted: those named in `outputs.FILES`
    in a folder with a registration.json. Other files stay as they are.

    Args:
        registration: The registration.
        out: The folder; made if missing.
        outputs: Names of the files to write, of `OUTPUTS`; by default all but the
            Jacobian determinant and the displacement field. What is not wanted is not
            computed.
            registration.json is always written.
        carried: Label maps and points of the two scans, which are carried from one to
            the other. With both label maps, the overlap is measured.
        origin: The files and the command that the result comes from.
        report: Choices of the report.

    Raises:
        OutputError: If the folder cannot be written to, or has files of these names
            without a registration.json.
        InputError: If a name of an output is unknown or needs what is not carried, the
            label maps have no label in common, or one of the files is an input of the
            command.
    """
    result = LabeledResult(registration, carried, cast(Crop, report.crop))
    chosen = choose_outputs(outputs, has=carried.names)
    with whole_folder(out, names=FILES, last=RECORD) as folder:
        with recording_warnings() as texts, writing_behind() as writer:
            first = {name: out for name, out in chosen.items() if name != REPORT}
            seconds = write_outputs(first, result, folder, writer)
            begin_part("figures")
            figures = _figures(result, chosen, seconds, origin)
            figures["warnings"] = _all_warnings(origin, texts)
            if REPORT in chosen:
                painted = _with_report(result, figures, origin, report)
                seconds = write_outputs(
                    {REPORT: OUTPUTS[REPORT]}, painted, folder, writer
                )
                for clock, parts in _by_clock(seconds).items():
                    figures["seconds"][clock].update(parts)
            begin_part("files")
        figures["warnings"] = _all_warnings(origin, texts)
        (folder / RECORD).write_text(json.dumps(figures, indent=1))
    return figures


def _all_warnings(origin: Origin, texts: Sequence[str]) -> list[str]:
    """All warnings once: a command records those of the writing as well."""
    return list(dict.fromkeys([*origin.warnings, *texts]))


def _with_report(
    result: LabeledResult,
    figures: Mapping[str, Any],
    origin: Origin,
    options: ReportOptions,
) -> LabeledResult:
    """The result with the report of the figures."""
    paint = partial(
        paint_report,
        result.registration,
        figures,
        carried=result.carried,
        structures=origin.structures,
        options=options,
    )
    return replace(result, report=paint)


def check_registration_folder(out: PathLike) -> None:
    """Checks that a registration may be written to a folder, before it is made.

    Raises:
        OutputError, InputError: As `write_registration`.
    """
    check_result_folder(Path(out), names=FILES, last=RECORD)


def _figures(
    result: LabeledResult,
    outputs: Mapping[str, Output],
    seconds: dict[str, Seconds],
    origin: Origin,
) -> dict[str, Any]:
    """The content of registration.json: figures first, and the long lists last."""
    registration = result.registration
    refinement = registration.refinement
    dice, distances = _dice(result, origin), _landmark_error_mm(result)
    return {
        "verdict": asdict(registration.verdict),
        "correlation": registration.correlation,
        **({"mean_dice": means(dice)} if dice else {}),
        **({"landmark_error_mm": distances} if distances else {}),
        "folding_percent": registration.folding_percent,
        "round_trip_error_mm": (
            registration.round_trip_error_mm if "inverse" in outputs else None
        ),
        "warnings": [],
        "model": registration.model_name,
        "model_reason": registration.model_reason,
        "model_sha256": origin.model_digest,
        "refinement": refinement and refinement.facts(),
        "features": _features(registration.features_name),
        "cut": registration.cut,
        **origin.facts(),
        "outputs": [output.file for output in outputs.values()],
        "seconds": _by_clock({**registration.seconds, **seconds}),
        "versions": versions(),
        **({"dice": dice} if dice else {}),
    }


def _features(name: str | None) -> dict[str, str] | None:
    """Name and SHA-256 of the learned features; None if none were compared."""
    return None if name is None else {"name": name, "sha256": features_digest(name)}


def _dice(result: LabeledResult, origin: Origin) -> dict[str, dict[str, float]]:
    """Dice of every structure after each stage; nothing without labels."""
    fixed, moving = result.carried.fixed_labels, result.carried.moving_labels
    if fixed is None or moving is None:
        return {}
    dice = result.registration.dice(fixed, moving)
    return {
        stage: {origin.structure_name(n): value for n, value in per_label.items()}
        for stage, per_label in dice.items()
    }


def _landmark_error_mm(result: LabeledResult) -> dict[str, float]:
    """Mean distance of mapped fixed to moving points after each stage, moving mm.

    Nothing without points in both scans. A `SuspiciousInputWarning` says if they do not
    correspond: points that are only carried need not.
    """
    fixed, moving = result.carried.fixed_points, result.carried.moving_points
    if fixed is None or moving is None:
        return {}
    try:
        fixed, moving = corresponding_landmarks(fixed, moving)
    except InputError as error:
        text = f"their distance was not measured: {error}"
        warnings.warn(text, SuspiciousInputWarning, stacklevel=2)
        return {}
    if not len(fixed.mm):  # files without a point: their mean would be NaN
        return {}
    return {
        stage: float(
            np.linalg.norm(t.map_positions(fixed.mm) - moving.mm, axis=1).mean()
        )
        for stage, t in result.registration.tweening.items()
    }


def _by_clock(seconds: Mapping[str, Seconds]) -> dict[str, dict[str, float]]:
    """Wall and processor seconds of every part."""
    return {
        "wall": {name: both.wall for name, both in seconds.items()},
        "processor": {name: both.processor for name, both in seconds.items()},
    }
