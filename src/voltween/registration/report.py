"""The report of a registration: an HTML page with verdict, figures and a viewer."""

from collections.abc import Mapping
from typing import Any

from voltween.registration.normal_figures import normal_figures
from voltween.registration.outputs import Carried
from voltween.registration.result import Registration
from voltween.reports import Facts, RegisteredPair, ReportOptions


def paint_report(
    registration: Registration,
    record: Mapping[str, Any],
    *,
    carried: Carried,
    structures: Mapping[int, str],
    options: ReportOptions,
) -> str:
    """Returns the report as HTML; see `docs/reports.md`.

    Args:
        registration: The registration.
        record: The content of registration.json.
        carried: What comes with the scans; label maps are outlined.
        structures: Names of structures by label.
        options: Choices of the report.
    """
    from voltween.reports import report_page  # with jinja2: 0.02 s, for reports alone

    round_trip = record["round_trip_error_mm"]
    facts = Facts(
        grade=registration.verdict.grade,
        reasons=registration.verdict.reasons,
        figures=normal_figures(
            registration, None if round_trip is None else round_trip["percentile_95"]
        ),
        dice=record.get("mean_dice", {}),
        structures=structures,
        record=record,
    )
    pair = RegisteredPair(
        fixed=registration.fixed,
        moving=registration.moving,
        tweening=registration.tweening,
        moved=registration.moved,
        jacobian=registration.jacobian,
        fixed_labels=carried.fixed_labels,
        moving_labels=carried.moving_labels,
    )
    return report_page(pair, facts, options)
