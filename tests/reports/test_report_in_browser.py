"""The viewer of a report in headless Chromium: pixels, keys, names, no request."""

import base64
import io

import numpy as np
import pytest
from PIL import Image as Picture

from support.browser import opened
from support.reports import registered_pair, write_page
from voltween.reports import ReportOptions

pytestmark = pytest.mark.browser

PICTURE = "name => document.querySelector(`#${name} canvas`).toDataURL()"
STATUS = "#shown"


@pytest.fixture(scope="module", name="path")
def path_fixture(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(name="watched")
def watched_fixture(browser, path):
    """An open report, whose requests and errors are checked in the end."""
    with opened(browser, path, viewport={"width": 900, "height": 900}) as watched:
        watched.page.wait_for_selector("#viewer[data-drawn]")
        watched.page.focus("#axial canvas")
        watched.page.keyboard.press("x")  # no cross-hair
        watched.page.keyboard.press("c")  # no contours
        settle(watched.page)
        yield watched
        watched.check()


def settle(page):
    """Waits until what was asked for is drawn."""
    page.evaluate("() => new Promise(done => setTimeout(done, 120))")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def pixels(page, name="axial"):
    """The picture of a plane, (height, width, 3)."""
    content = page.evaluate(PICTURE, name).partition(",")[2]
    picture = Picture.open(io.BytesIO(base64.b64decode(content)))
    return np.asarray(picture.convert("RGB")).astype(int)


def middle_of_ball(picture):
    """Returns the place of the bright ball: shares of width and height, top left."""
    rows, columns = np.nonzero(picture.min(axis=2) > 150)
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]


def change(one, other):
    return np.abs(one - other).mean()


def test_what_is_at_the_right_of_the_scan_is_where_the_page_says_r(watched):
    page = watched.page
    press(page, " ")  # the fixed scan, whose ball lies 24 mm to the right
    right, down = middle_of_ball(pixels(page))
    assert right == pytest.approx(0.5 + 24 / 80, abs=0.03)
    assert down == pytest.approx(0.5, abs=0.03)
    canvas = page.locator("#axial canvas").bounding_box()
    mark = page.locator("#axial .mark", has_text="R").bounding_box()
    left = page.locator("#axial .mark", has_text="L").bounding_box()
    assert mark["x"] > canvas["x"] + 0.8 * canvas["width"]
    assert left["x"] < canvas["x"] + 0.2 * canvas["width"]


def test_what_is_in_front_and_above_is_up(browser, tmp_path):
    pair = registered_pair(fixed_mm=(0.0, 14.0, 12.0))
    path = write_page(tmp_path / "report.html", pair)
    with opened(browser, path, viewport={"width": 900, "height": 900}) as watched:
        page = watched.page
        page.wait_for_selector("#viewer[data-drawn]")
        page.focus("#axial canvas")
        press(page, "x", "c", " ", *["PageUp"] * 6)
        assert middle_of_ball(pixels(page))[1] < 0.4  # A is up
        press(page, *["ArrowUp"] * 7)
        assert middle_of_ball(pixels(page, "coronal"))[1] < 0.4  # S is up
        right, down = middle_of_ball(pixels(page, "sagittal"))
        assert right > 0.6  # A is to the right
        assert down < 0.4
        for name, letters in {"coronal": "LRSI", "sagittal": "PASI"}.items():
            marks = page.locator(f"#{name} .mark").all_text_contents()
            assert "".join(marks) == letters


def test_the_slider_shows_the_stages(watched):
    page = watched.page
    page.focus("#stage")
    shown = {}
    for name in ("dense 1", "affine", "before"):
        assert page.get_attribute("#stage", "aria-valuetext") == name
        shown[name] = pixels(page)
        press(page, "ArrowLeft")
    assert "moving, before" in page.inner_text(STATUS)
    places = [middle_of_ball(shown[n])[1] for n in ("before", "affine", "dense 1")]
    assert places[0] == pytest.approx(0.5 - 8 / 72, abs=0.03)
    assert places[1] == pytest.approx(0.5 - 4 / 72, abs=0.03)
    assert places[2] == pytest.approx(0.5, abs=0.05)
    page.click("[data-stage='1']")
    settle(page)
    assert change(pixels(page), shown["affine"]) < 1


def test_space_exchanges_fixed_and_moved(watched):
    page = watched.page
    press(page, ",", ",")
    moved = pixels(page)
    press(page, " ")
    fixed = pixels(page)
    assert page.inner_text(STATUS) == "fixed"
    assert change(fixed, moved) > 3
    press(page, " ")
    assert change(pixels(page), moved) == 0


def test_the_swipe_shows_fixed_at_the_left_of_its_edge(watched):
    page = watched.page
    press(page, ",", ",")
    moved = pixels(page)
    press(page, " ")
    fixed = pixels(page)
    press(page, " ", "s")
    page.evaluate("document.getElementById('swipe').value = 80")
    press(page, "x", "x")
    swiped, width = pixels(page), fixed.shape[1]
    edge = int(0.8 * width)
    assert change(swiped[:, : edge - 3], fixed[:, : edge - 3]) == 0
    assert change(swiped[:, edge + 3 :], moved[:, edge + 3 :]) == 0
    press(page, "-")
    assert change(pixels(page), swiped) > 0


def test_the_checkerboard_mixes_both_in_squares_of_a_size(watched):
    page = watched.page
    press(page, ",", ",")
    moved = pixels(page)
    press(page, " ")
    fixed = pixels(page)
    press(page, " ", "b")
    mixed = pixels(page)
    of_fixed = (mixed == fixed).all(axis=2)
    of_moved = (mixed == moved).all(axis=2)
    assert (of_fixed | of_moved).mean() > 0.95
    assert (~of_moved).any()
    assert (~of_fixed).any()
    press(page, "+", "+", "+")
    assert change(pixels(page), mixed) > 0


def test_keys_and_wheel_move_linked_planes(watched):
    page = watched.page
    before = page.inner_text("#position")
    sagittal = pixels(page, "sagittal")
    press(page, *["ArrowRight"] * 12)
    assert change(pixels(page, "sagittal"), sagittal) > 3
    assert page.inner_text("#position") != before
    assert page.inner_text("#sagittal .slice") == "33 / 40"
    page.hover("#coronal canvas")
    page.mouse.wheel(0, 100)
    settle(page)
    assert page.inner_text("#coronal .slice") == "18 / 36"


def test_a_click_moves_the_cross_hair_to_its_position_in_mm(watched):
    page = watched.page
    box = page.locator("#axial canvas").bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.25 * box["height"])
    settle(page)
    text = page.inner_text("#position")
    right, front, _ = map(float, text.split("(")[1].split(")")[0].split(","))
    assert right == pytest.approx(-40 + 0.8 * 80, abs=2)
    assert front == pytest.approx(36 - 0.25 * 72, abs=2)


@pytest.mark.parametrize(
    ("key", "box"),
    [("j", "jacobian"), ("g", "grid"), ("c", "contours"), ("x", "crosshair")],
)
def test_overlays_come_and_go_by_their_keys(watched, key, box):
    page = watched.page
    plain = pixels(page)
    press(page, key)
    assert page.is_checked(f"#{box}")
    assert change(pixels(page), plain) > 0.05
    press(page, key)
    assert change(pixels(page), plain) == 0


def test_folds_are_yellow_and_growth_is_red(browser, tmp_path):
    pair = registered_pair()
    data = pair.jacobian.data.copy()
    data[18:22, 16:20, 13:17] = -1
    path = write_page(
        tmp_path / "report.html",
        type(pair)(
            **{**vars(pair), "jacobian": type(pair.fixed)(data, pair.fixed.grid)}
        ),
    )
    with opened(browser, path) as watched:
        page = watched.page
        page.wait_for_selector("#viewer[data-drawn]")
        page.focus("#axial canvas")
        press(page, "x", "c", "j")
        red, green, blue = np.moveaxis(pixels(page), 2, 0)
        assert ((red > 230) & (green > 200) & (blue < 40)).sum() > 50
        assert page.is_visible("#jacobian-scale")
        watched.check()


def test_everything_that_can_be_used_has_a_name(watched):
    page = watched.page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("canvas, input, button, img")].filter(
          each => !(each.ariaLabel || each.alt || each.innerText?.trim() ||
            each.labels?.[0]?.innerText.trim())).map(each => each.outerHTML)"""
    )
    assert nameless == []
    label = page.get_attribute("#axial canvas", "aria-label")
    assert label == "axial plane, slice 16 of 30, moving, after dense 1"
    order = [page.evaluate("document.activeElement.closest('.plane')?.id")]
    for _ in range(2):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.closest('.plane')?.id"))
    assert order == ["axial", "coronal", "sagittal"]


def test_after_the_mouse_the_keys_belong_to_the_viewer(watched):
    page = watched.page
    page.click("#jacobian")
    settle(page)
    press(page, " ")
    assert page.inner_text(STATUS) == "fixed"
    assert page.is_checked("#jacobian")


def test_without_scripts_the_page_is_read(browser, path):
    with opened(browser, path, java_script_enabled=False) as watched:
        page = watched.page
        assert not page.is_visible("#viewer")
        assert page.is_visible("text=after dense 1")
        assert page.is_visible("text=the deformation is rough")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(browser, path, scheme):
    with opened(browser, path, color_scheme=scheme) as watched:
        colors = watched.page.evaluate(
            """() => ["body", ".grade", ".faint", "figcaption"].map(each => [
              getComputedStyle(document.querySelector(each)).color,
              getComputedStyle(document.body).backgroundColor])"""
        )
        assert all(contrast(*pair) > 4.5 for pair in colors)


def contrast(one, other):
    """The ratio of luminances, as WCAG defines it."""

    def luminance(color):
        shares = np.array([float(n) for n in color[4:-1].split(",")]) / 255
        linear = np.where(
            shares > 0.03928, ((shares + 0.055) / 1.055) ** 2.4, shares / 12.92
        )
        return linear @ [0.2126, 0.7152, 0.0722] + 0.05

    low, high = sorted([luminance(one), luminance(other)])
    return high / low


def test_niivue_opens_both_volumes_without_a_request(browser, tmp_path):
    options = ReportOptions(viewer="niivue")
    path = write_page(tmp_path / "report.html", options=options)
    with opened(browser, path) as watched:
        watched.page.wait_for_selector("#viewer[data-drawn]")
        watched.page.click("#open-volume")
        watched.page.wait_for_selector("#volume[data-volumes='2']", timeout=30_000)
        watched.check()
