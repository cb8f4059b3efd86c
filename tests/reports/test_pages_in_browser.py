"""Pages in a browser make no request and have no error."""

import pytest

from support.browser import opened
from voltween.reports import render

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_base_page_is_light_or_dark_and_asks_for_nothing(browser, tmp_path, scheme):
    path = tmp_path / "page.html"
    path.write_text(render("base.html"))
    with opened(browser, path, color_scheme=scheme) as watched:
        color = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (
            color == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]
        )
        watched.check()


def test_a_request_of_a_page_is_forbidden_and_seen(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        render("base.html").replace("<main>", '<main><img src="other.png">')
    )
    with opened(browser, path) as watched:
        assert any("Content Security Policy" in error for error in watched.errors)
