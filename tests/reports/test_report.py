"""A report: what it says, how large it is, and that it asks for nothing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from support.reports import FACTS, GRID, HOSTILE, read_sprite, registered_pair
from voltween.errors import InputError
from voltween.reports import ReportOptions, report, report_page
from voltween.reports.report import MOST_BYTES
from voltween.reports.sprites import Sprite
from voltween.spatial import Affine, Grid, Image, LabelMap


@pytest.fixture(scope="module", name="page")
def page_fixture():
    return report_page(registered_pair(), FACTS, ReportOptions())


def viewer_of(page):
    """The values that the script of the viewer reads."""
    pattern = r'<script type="application/json" id="viewer-data">(.*?)</script>'
    return json.loads(re.search(pattern, page, re.DOTALL)[1])


def sprite_of(values):
    """The sprite of the values that the script reads."""
    return Sprite(**{**values, "shape": tuple(values["shape"])})


def test_the_verdict_figures_command_and_versions_are_said(page):
    for text in (
        *("doubtful", "the deformation is rough", "0.30 before, 0.60 after"),
        *("above 0.5", "at most 0.5 %", FACTS.record["command"], "voltween 0.1.0"),
    ):
        assert text in page
    assert page.count("look at it") == 1
    assert page.count(">normal</span>") == 1


def test_without_scripts_there_are_pictures_of_every_stage(page):
    pictures = re.findall(
        r'<img src="data:image/jpeg;base64,[^"]*" alt="([^"]*)"', page
    )
    assert [alt.split(":")[0] for alt in pictures] == [
        *("fixed", "moving, before", "after affine", "after dense 1"),
        *("fixed and moved", "volume change"),
    ]
    assert '<section id="viewer" aria-labelledby="viewer-title" hidden>' in page


def test_nothing_is_asked_for(page):
    addresses = re.findall(r"""<[a-z][^<>]*\s(?:src|href)=["']?([^"'>\s]*)""", page)
    assert len(addresses) == 6
    assert all(address.startswith("data:image/jpeg;") for address in addresses)
    assert not re.search(r"https?://|url\(|@import|type=.module", page)


def test_hostile_names_are_shown_and_not_obeyed(page):
    names = {1: HOSTILE}
    for text in (
        page,
        report_page(
            registered_pair(), replace(FACTS, structures=names), ReportOptions()
        ),
    ):
        assert "<img src=x" not in text
        assert text.count("</script>") == 2
        assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in text
        assert "\u202e" not in text


def test_the_stages_are_those_of_the_tweening(page):
    viewer = viewer_of(page)
    assert [stage["name"] for stage in viewer["stages"]] == [
        *("before", "affine", "dense 1")
    ]
    assert viewer["structures"] == ["ball"]
    assert viewer["shape"] == [40, 36, 30]
    without = viewer_of(
        report_page(registered_pair(has_labels=False), FACTS, ReportOptions())
    )
    assert without["structures"] == []
    assert without["stages"][0]["labels"] is None


def test_noise_that_compresses_badly_stays_below_the_limit(monkeypatch):
    monkeypatch.setattr(report, "MOST_BYTES", 260_000)
    grid = Grid((36, 36, 36), np.eye(4))
    noise = Image(np.random.default_rng(0).normal(size=grid.shape), grid)
    pair = replace(
        registered_pair(has_labels=False), fixed=noise, moving=noise, moved=noise
    )
    page = report_page(pair, FACTS, ReportOptions())
    assert 80_000 < len(page) <= 260_000
    assert max(viewer_of(page)["shape"]) < 36


def test_a_report_of_many_stages_is_small():
    tweening = {name: Affine.identity() for name in ("before", *"abcdefgh")}
    pair = replace(registered_pair(), tweening=tweening)
    assert len(report_page(pair, FACTS, ReportOptions())) < MOST_BYTES / 8


def test_niivue_comes_with_its_license_if_it_is_asked_for(page):
    assert "niivue" not in page
    with_niivue = report_page(registered_pair(), FACTS, ReportOptions(viewer="niivue"))
    assert 'id="open-volume"' in with_niivue
    assert "Copyright (c) 2021, Niivue" in with_niivue
    assert len(with_niivue) - len(page) < 1.2e6


def test_outlines_are_those_of_the_labels_and_empty_maps_have_none():
    pair = registered_pair()
    numbers = np.where(pair.fixed_labels.data > 0, 900, 0)
    numbers[0, 0, :3] = 7
    pair = replace(pair, fixed_labels=LabelMap(numbers, GRID))
    viewer = viewer_of(report_page(pair, FACTS, ReportOptions()))
    assert viewer["structures"] == ["900", "7"]
    shown = read_sprite(sprite_of(viewer["fixed_labels"]))
    # The scan's first axis runs to the left, that of the page to the right.
    codes = np.select([numbers == 900, numbers == 7], [1, 2])
    assert np.array_equal(shown, codes[::-1])
    empty = LabelMap(numbers * 0, GRID)
    pair = replace(pair, fixed_labels=empty, moving_labels=empty)
    viewer = viewer_of(report_page(pair, FACTS, ReportOptions()))
    assert viewer["structures"] == []
    assert viewer["fixed_labels"] is None


@pytest.mark.parametrize("options", [{"crop": "face"}, {"viewer": "slicer"}])
def test_options_that_are_unknown_are_refused(options):
    with pytest.raises(InputError, match="report's"):
        ReportOptions(**options)


def test_positions_of_the_viewer_are_those_of_the_scan(page):
    viewer = viewer_of(page)
    matrix = np.array(viewer["voxel_to_mm"])
    corner = matrix @ [0, 0, 0, 1]
    assert corner == pytest.approx(GRID.corners_mm().min(axis=0))
    assert np.diag(matrix[:, :3]) == pytest.approx([2, 2, 2])
