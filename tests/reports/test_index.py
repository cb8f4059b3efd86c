"""The index without a browser: its rows, their order, links and hostile names."""

import math
import re

import pytest

from voltween.errors import OutputError
from voltween.reports import IndexRow, write_index
from voltween.reports.index_rows import worst_first
from voltween.reports.strip_plots import strip_plots

HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e"


def row(moving="m", **others):
    return IndexRow(fixed="f", moving=moving, **others)


def written(tmp_path, *rows, title="Cohort"):
    write_index(rows, tmp_path / "index.html", title=title)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def names_in_table(page):
    return re.findall(r'<tr id="pair-\d+"[^>]* data-moving="([^"]*)"', page)


def test_rows_are_sorted_worst_first():
    rows = [
        row("good", verdict="good", similarity=0.5),
        row("better", verdict="good", similarity=0.6),
        row("old", similarity=0.9),
        row("doubtful", verdict="doubtful", similarity=0.7),
        row("failed", verdict="failed", similarity=0.8),
        row("unmeasured", verdict="failed"),
        row("missing", error="no file"),
    ]
    assert [r.moving for r in worst_first(rows)] == [
        *("missing", "unmeasured", "failed", "doubtful", "old", "good", "better")
    ]


def test_the_table_is_sorted_before_any_script_runs(tmp_path):
    page = written(
        tmp_path,
        row("a", verdict="good", similarity=0.9),
        row("b", verdict="failed", similarity=0.1),
        row("c", error="broken"),
    )
    assert names_in_table(page) == ["c", "b", "a"]


def test_failures_stand_above_the_table_with_their_line_once(tmp_path):
    rows = [row(f"s{n}", error="scan: truncated") for n in range(5)]
    page = written(tmp_path, *rows, row("s9", error="no file"), row("ok"))
    above, table = page.split('<table id="pairs"')
    assert above.count("scan: truncated") == 1
    assert table.count("scan: truncated") == 5
    assert above.count("no file") == 1
    assert [f'href="#pair-{n}"' in above for n in range(7)] == [*[True] * 6, False]
    assert "6 without a result" in above


def test_what_no_row_has_is_left_out(tmp_path):
    page = written(tmp_path, row(verdict="good", similarity=0.5))
    for absent in ("Dice", "Landmarks", "Method", "Report", "<img", "Time, s"):
        assert absent not in page
    assert "Pairs without a result" not in page
    page = written(tmp_path, row(method="ants", dice=0.9, seconds=2.0, landmark_mm=3.0))
    for heading in ("Dice", "TRE, mm", "Method", "Time, s"):
        assert f">{heading}</th>" in page


def test_links_are_relative_and_name_what_exists_alone(tmp_path):
    folder = tmp_path / "cases" / "a #1%?"
    folder.mkdir(parents=True)
    (folder / "t.webp").write_bytes(b"picture")
    absent = tmp_path / "none.webp"
    page = written(
        tmp_path,
        row("a", report=folder, thumbnail=folder / "t.webp"),
        row("b", report=tmp_path / "none", thumbnail=absent),
    )
    assert page.count("<img") == page.count(">open</a>") == 1
    assert 'src="cases/a%20%231%25%3F/t.webp" loading="lazy"' in page
    assert 'href="cases/a%20%231%25%3F"' in page


def test_a_page_asks_for_nothing_but_pictures_and_links_beside_it(tmp_path):
    page = written(tmp_path, row(verdict="good", similarity=0.1), row("n", dice=0.3))
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert [a for a in addresses if not a.startswith("#pair-")] == []
    assert not re.search(r"https?://|@import|url\(|type=.module", page)


def test_hostile_names_are_shown_and_not_obeyed(tmp_path):
    hostile = IndexRow(
        fixed=HOSTILE, moving=HOSTILE, method=HOSTILE, reasons=HOSTILE, similarity=0.2
    )
    other = IndexRow(fixed="f", moving=HOSTILE, method="m", error=HOSTILE)
    third = IndexRow(fixed="f", moving="\udcff", method="m", similarity=0.3)
    page = written(tmp_path, hostile, other, third, title=HOSTILE)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "\u202e" not in page
    assert r"\udcff" in page


def test_a_mark_belongs_to_a_result_and_not_to_its_time():
    first = row(verdict="good", similarity=0.5, seconds=1.0)
    again = row(verdict="good", similarity=0.5, seconds=2.0)
    changed = row(verdict="good", similarity=0.6, seconds=1.0)
    assert first.version == again.version
    assert len({first.version, changed.version, row("n").version}) == 3


def test_points_of_a_strip_plot_lie_where_the_ticks_say():
    rows = [row(str(n), similarity=n / 10) for n in range(1, 6)]
    rows.append(row("unmeasured"))
    (plot,) = strip_plots(rows)
    places = {value: place for place, value in plot.ticks}
    points = {point.value: point for band in plot.bands for point in band.points}
    assert points.keys() == {"0.1", "0.2", "0.3", "0.4", "0.5"}
    for value, point in points.items():
        assert point.x == pytest.approx(places[value], abs=0.1)
        assert rows[point.row].similarity == float(value)


def test_a_strip_plot_has_a_band_per_method_and_stays_within_it():
    rows = [
        row(str(n), method=method, dice=0.5 if n else 0.7)
        for n in range(200)
        for method in ("one", "two")
    ]
    (plot,) = strip_plots(rows)
    assert [band.method for band in plot.bands] == ["one", "two"]
    one, two = ([p.y for p in band.points] for band in plot.bands)
    assert 0 < min(one) < max(one) < min(two) < max(two) < plot.height
    assert len(set(one)) > 100


@pytest.mark.parametrize(
    "values", [[0.3, 0.3], [math.nan, math.nan], [0.1], [math.inf, 0.1]]
)
def test_a_measure_that_does_not_differ_has_no_plot(values):
    assert strip_plots([row(str(n), dice=v) for n, v in enumerate(values)]) == []


@pytest.mark.parametrize(("low", "high"), [(1e-9, 2e-9), (-3.0, 1e6), (0.1, 0.1001)])
def test_ticks_of_any_range_are_few_and_span_it(low, high):
    (plot,) = strip_plots([row("a", seconds=low), row("b", seconds=high)])
    assert 2 <= len(plot.ticks) <= 8
    assert all(0 < p.x < plot.width for band in plot.bands for p in band.points)


def test_an_index_of_no_pairs_says_so(tmp_path):
    assert "0 pairs" in written(tmp_path)


def test_a_folder_that_is_not_there_is_an_error_of_the_output(tmp_path):
    with pytest.raises(OutputError):
        write_index([row()], tmp_path / "none" / "index.html", title="Cohort")
