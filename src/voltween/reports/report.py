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
    is not too long.

    Raises:
        InputError: If the brain alone is to be shown, and it is not found.
    """
    if options.crop == "brain":
        pair = without_faces(pair)
    most_voxels = MOST_VOXELS
    page = _page(pair, facts, options, most_voxels)
    while len(page) > MOST_BYTES and most_voxels > _FEWEST_VOXELS:
        most_voxels *= _FEWER
        page = _page(pair, facts, options, most_voxels)
    return page


def _page(
    pair: RegisteredPair, facts: Facts, options: ReportOptions, most_voxels: float
) -> str:
    frames = Frames(pair, choose_grid(pair.fixed.grid, most_voxels))
    return render(
        "report.html",
        facts=facts,
        record=facts.record,
        panels=panels(frames),
        viewer=viewer_data(frames, facts.structures),
        is_cropped=options.crop == "brain",
        niivue=niivue_script() if options.viewer == "niivue" else None,
        spacing_mm=float(frames.grid.spacing_mm[0]),
    )
