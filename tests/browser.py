"""Debian's Chromium, without a screen, for the tests that open pages."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = "no Chromium on the path; `make tools` installs Debian's"


@pytest.fixture(scope="module")  # while it runs, this thread has an event loop that no other test should meet
def browser():
    """A running browser. Without one the test is skipped; on a CI machine that is a failure."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Seen:
    """A page and all that it said and asked for."""

    def __init__(self, browser, url, **options):
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 1000}, **options})
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]", timeout=20_000)

    @property
    def milliseconds(self):
        """From the start of loading to the first painted picture of all curves."""
        return int(self.page.locator("html").get_attribute("data-painted"))

    def data(self, name):
        """The columns of a source of Bokeh's, as plain lists; NaN is None."""
        return self.page.evaluate(
            """name => Object.fromEntries(Object.entries(Bokeh.documents[0].get_model_by_name(name).data).map(
                 ([key, column]) => [key, Array.from(column, x => ArrayBuffer.isView(x) ? Array.from(x) : x)]))""",
            name,
        )

    def get(self, expression):
        """The value of an expression over `doc`, the document of Bokeh."""
        return self.page.evaluate(f"(() => {{ const doc = Bokeh.documents[0]; return {expression}; }})()")

    def settle(self):
        """Waits until what was asked for is painted."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture
def visit(browser):
    """Opens pages, and closes them after the test: visit(url, **options of the page)."""
    opened = []

    def open_page(url, **options):
        opened.append(Seen(browser, url, **options))
        return opened[-1]

    yield open_page
    for seen in opened:
        seen.page.close()
