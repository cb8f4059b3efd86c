"""Pages from disk in headless Chromium, without a network, watched for faults."""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Watched:
    """A page, with the requests that it made and the errors that it had."""

    page: object
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self):
        """There was no request but for the page itself, and no error."""
        assert not self.errors
        assert [r for r in self.requests if not r.startswith(("data:", "blob:"))] == [
            self.page.url.split("#")[0]
        ]


@contextmanager
def chromium():
    """A browser; the test is skipped where Playwright or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium (Debian: apt-get install chromium)")
    arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, **options):
    """Opens a file; `options` are those of a context, such as `color_scheme`."""
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    watched = Watched(page)
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("console", lambda line: _keep_error(line, watched.errors))
    page.goto(path.resolve().as_uri())
    yield watched
    context.close()


def _keep_error(line, errors):
    if line.type == "error":
        errors.append(line.text)
