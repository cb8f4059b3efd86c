"""The index in a browser: sorting, filters, marks by keys, and its speed."""

import csv
import io
from random import Random

import numpy as np
import pytest

from support.browser import opened
from voltween.figures import write_thumbnail
from voltween.reports import IndexRow, write_index
from voltween.spatial import Grid, Image

pytestmark = pytest.mark.browser
SETTLED = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"


@pytest.fixture(name="index")
def index_fixture(tmp_path):
    """Four pairs: one without a result, one of each grade; two have pictures."""
    scan = Image(np.random.default_rng(0).random((6, 6, 6)), Grid((6, 6, 6), np.eye(4)))
    for name in ("good", "failed"):
        write_thumbnail(scan, scan, tmp_path / f"{name}.webp")
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "report.html").write_text("<title>the report</title>")
    rows = [
        row("=good", "good", 0.6, report=tmp_path / "case" / "report.html"),
        row("doubtful", "doubtful", 0.4, reasons="the deformation is rough"),
        row("failed", "failed", 0.1, thumbnail=tmp_path / "failed.webp"),
        IndexRow(fixed="atlas", moving="broken", error="scan: truncated"),
    ]
    write_index(rows, tmp_path / "index.html", title="Cohort")
    return tmp_path / "index.html"


def row(moving, verdict, similarity, **others):
    return IndexRow(
        fixed="atlas", moving=moving, verdict=verdict, similarity=similarity, **others
    )


def shown(page):
    """Names of the moving scans of the rows in sight, in their order."""
    return page.locator("#pairs tbody tr:visible").evaluate_all(
        "rows => rows.map(row => row.dataset.moving)"
    )


def heading(page, name):
    return page.get_by_role("button", name=name, exact=True)


def marks(page):
    return page.locator("td.mark").all_text_contents()


def exported(page):
    with page.expect_download() as download:
        page.get_by_role("button", name="Export marks as CSV").click()
    assert download.value.suggested_filename == "marks.csv"
    text = download.value.path().read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("width", [800, 1280])
def test_all_columns_of_a_row_are_painted_and_no_heading_hides_another(
    width, browser, index
):
    """Nothing is painted beyond the box of a row."""
    rows = [
        IndexRow(
            fixed=f"atlas {n}",
            moving="a",
            method=f"model:{n}",
            report=index,
            thumbnail=index.parent / "good.webp",
            similarity=0.5,
            dice=0.7,
            landmark_mm=1.5,
            folding_percent=0.1,
            seconds=3.0,
        )
        for n in range(2)
    ]
    write_index(rows, index, title="Comparison")
    size = {"width": width, "height": 800}
    with opened(browser, index, viewport=size) as watched:
        ends = watched.page.evaluate(
            """() => [...document.querySelectorAll("#pairs tr")].map(row => [
              row.getBoundingClientRect().right -
                row.lastElementChild.getBoundingClientRect().right,
              Math.max(...[...row.children].map(
                each => each.scrollWidth - each.clientWidth))])"""
        )
        assert len(ends) == 3
        assert all(left >= -1 and hidden <= 0 for left, hidden in ends)


def test_columns_sort_both_ways_with_missing_values_last(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        assert shown(page) == ["broken", "failed", "doubtful", "=good"]
        heading(page, "Similarity").click()
        assert shown(page) == ["failed", "doubtful", "=good", "broken"]
        heading(page, "Similarity").click()
        assert shown(page) == ["=good", "doubtful", "failed", "broken"]
        column = page.get_by_role("columnheader", name="Similarity")
        assert column.get_attribute("aria-sort") == "descending"
        heading(page, "Moving").click()
        assert shown(page) == ["=good", "broken", "doubtful", "failed"]
        heading(page, "Verdict").press("Enter")
        assert shown(page) == ["broken", "failed", "doubtful", "=good"]
        assert not watched.errors


def test_filters_narrow_the_table_and_say_how_many_are_shown(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        page.get_by_label("Find").fill("ROUGH the")
        assert shown(page) == ["doubtful"]
        assert page.get_by_text("1 of 4 shown").is_visible()
        page.get_by_label("Find").fill("")
        page.get_by_label("Verdict").select_option("failed")
        assert shown(page) == ["failed"]
        page.get_by_label("Verdict").select_option("")
        page.get_by_role("combobox", name="Mark").select_option("none")
        assert len(shown(page)) == 4
        page.get_by_role("combobox", name="Mark").select_option("good")
        assert shown(page) == []
        assert not watched.errors


def test_a_mark_by_key_survives_a_reload_and_is_exported(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        for key in ("j", "3", "j", "2", "ArrowDown", "1", "j", "1", "0", "k", "k", "k"):
            page.keyboard.press(key)
        assert marks(page) == ["failed", "doubtful", "good", ""]
        assert page.locator("[aria-current] th").text_content() == "broken"
        page.reload()
        assert marks(page) == ["failed", "doubtful", "good", ""]
        assert page.get_by_text("3 of 4 marked").is_visible()
        rows = exported(page)
        assert [r["mark"] for r in rows] == ["failed", "doubtful", "good", ""]
        assert [r["moving"] for r in rows] == ["broken", "failed", "doubtful", "'=good"]
        assert rows[0]["verdict"] == "no result"
        assert not watched.errors


def test_a_mark_of_an_earlier_result_is_none_of_a_new_one(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        page.get_by_role("row", name="doubtful").click()
        page.get_by_role("button", name="1 good").click()
        assert marks(page)[2] == "good"
        rows = [row("doubtful", "doubtful", 0.41), row("other", "good", 0.5)]
        write_index(rows, index, title="Cohort")
        page.reload()
        assert marks(page) == ["", ""]


def test_keys_in_the_field_for_words_are_words(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        page.keyboard.press("j")
        page.keyboard.press("/")
        page.keyboard.type("1")
        assert page.get_by_label("Find").input_value() == "1"
        assert marks(page) == [""] * 4
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        assert marks(page)[0] == "good"


def test_a_point_leads_to_its_row_even_if_a_filter_hides_it(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        page.get_by_label("Find").fill("broken")
        page.locator('a[href="#pair-3"]').last.click()
        assert len(shown(page)) == 4
        assert page.locator("[aria-current] th").text_content() == "=good"
        assert not watched.errors


def test_enter_opens_the_report_of_the_row(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        page.get_by_label("Find").fill("good")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/report.html")
        assert page.title() == "the report"


def test_a_page_loads_its_pictures_and_nothing_else(browser, index):
    with opened(browser, index) as watched:
        picture = watched.page.locator("img").first
        picture.scroll_into_view_if_needed()
        watched.page.wait_for_function("document.querySelector('img').complete")
        assert picture.evaluate("image => image.naturalWidth") == 288
        beside = {index.as_uri(), (index.parent / "failed.webp").as_uri()}
        assert set(watched.requests) == beside
        assert not watched.errors


def test_without_javascript_the_table_is_whole(browser, index):
    with opened(browser, index, java_script_enabled=False) as watched:
        page = watched.page
        names = page.locator("#pairs tbody tr:visible th").all_text_contents()
        assert names == ["broken", "failed", "doubtful", "=good"]
        assert page.get_by_text("scan: truncated").first.is_visible()
        assert not page.get_by_label("Find").is_visible()


def test_controls_have_names(browser, index):
    with opened(browser, index) as watched:
        page = watched.page
        for control in page.locator("input, select, button, a, img, svg[role]").all():
            name = control.aria_snapshot()
            assert '"' in name or ":" in name, control.evaluate("e => e.outerHTML")


def test_text_stands_out_in_light_and_dark(browser, index):
    for scheme in ("light", "dark"):
        with opened(browser, index, color_scheme=scheme) as watched:
            ground, text = watched.page.evaluate(
                "[getComputedStyle(document.body).backgroundColor,"
                " getComputedStyle(document.body).color]"
            )
            (dark, bright) = (text, ground) if scheme == "light" else (ground, text)
            assert brightness(dark) < 60
            assert brightness(bright) > 200


def brightness(color):
    return np.mean([float(n) for n in color.strip("rgb()").split(",")])


def test_a_thousand_pairs_open_sort_and_filter_within_a_second(browser, tmp_path):
    """Seconds of the page's own thread, as other programs may use the processor."""
    random = Random(0)
    rows = [
        row(
            f"sub-{n:04d}", "good", random.random(), dice=random.random(), seconds=n / 7
        )
        for n in range(980)
    ]
    rows += [IndexRow(fixed="atlas", moving=f"s{n}", error="bad") for n in range(20)]
    write_index(rows, tmp_path / "index.html", title="Cohort")
    with opened(browser, tmp_path / "index.html") as watched:
        page = watched.page
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        assert busy_seconds(session, page) < 1  # opening
        for act in (
            heading(page, "Similarity").click,
            heading(page, "Moving").click,
            lambda: page.get_by_label("Find").fill("sub-09"),
            lambda: page.keyboard.press("Escape"),
            lambda: page.keyboard.press("j"),
            lambda: page.keyboard.press("1"),
        ):
            before = busy_seconds(session, page)
            act()
            assert busy_seconds(session, page) - before < 1
        assert len(shown(page)) == 80
        watched.check()


def busy_seconds(session, page):
    page.evaluate(SETTLED)
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in metrics if m["name"] == "TaskDuration")
