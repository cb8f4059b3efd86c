"""The page of one registered pair: verdict, figures, and a viewer."""

from voltween.reports.crop import without_faces
from voltween.reports.display import MOST_VOXELS, choose_grid
from voltween.reports.frames import Frames, viewer_data
from voltween.reports.niivue import niivue_script
from voltween.reports.pages import render
from voltween.reports.pair import Facts, RegisteredPair, ReportOptions
from voltween.reports.panels import panels

MOST_BYTES = 4_000_000
"""Size of a report at most."""
_FEWER = 0.6  # voxels, where a report is too large
_FEWEST_VOXELS = 2e4


def report_page(pair: RegisteredPair, facts: Facts, options: ReportOptions) -> str:
    """Returns the report of a registered pair as HTML, at most `MOST_BYTES` long.

    The scans are shown on a grid of about a million voxels, or of so few that the page
    is not too long. If the brain alone is to be shown, and a scan has neither labels
    nor a head that is recognized, no scan is shown.
    """
    shown = without_faces(pair) if options.crop == "brain" else pair
    if shown is None:
        return _render(None, facts, options)
    most_voxels = MOST_VOXELS
    page = _render(_frames(shown, most_voxels), facts, options)
    while len(page) > MOST_BYTES and most_voxels > _FEWEST_VOXELS:
        most_voxels *= _FEWER
        page = _render(_frames(shown, most_voxels), facts, options)
    return page


def _frames(pair: RegisteredPair, most_voxels: float) -> Frames:
    return Frames(pair, choose_grid(pair.fixed.grid, most_voxels))


def _render(frames: Frames | None, facts: Facts, options: ReportOptions) -> str:
    has_niivue = frames is not None and options.viewer == "niivue"
    return render(
        "report.html",
        facts=facts,
        record=facts.record,
        panels=panels(frames) if frames else [],
        viewer=viewer_data(frames, facts.structures) if frames else None,
        is_cropped=options.crop == "brain",
        niivue=niivue_script() if has_niivue else None,
        spacing_mm=float(frames.grid.spacing_mm[0]) if frames else 0.0,
    )
