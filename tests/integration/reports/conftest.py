"""A real browser, and reports for it to open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from offloader.reports.model import Head
from offloader.reports.writing import write
from tests.integration.reports.made import report
from tests.tools import missing, tool

#: the version that `.ci/run` installs
AXE_VERSION = "4.14.1"


@dataclass
class Opened:
    """A report in the browser, what the browser asked for, and what it complained about."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def shown(self) -> list[str]:
        """The numbers of the documents that the table shows, without separators."""
        found: list[str] = self.page.locator("#rows tbody button.more").all_text_contents()
        return [text.replace(",", "").replace(".", "") for text in found]

    def count(self) -> str:
        return self.page.locator("#count").text_content() or ""


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module and no longer: while it is there, no other test of the process can run asyncio."""
    program = tool("chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Write a report (240 documents unless one is given) and open it, in a browser of some language and colours."""
    contexts = []

    def open_it(
        whole: Head | None = None, *, locale: str = "en-GB", language: str = "", anchor: str = "", **options: Any
    ) -> Opened:
        path = tmp_path / "report.html"
        write(whole or report(240), "html", path, language=language)
        context = browser.new_context(locale=locale, **options)
        contexts.append(context)
        page = context.new_page()
        made = Opened(page, path.as_uri() + anchor)
        page.on("request", lambda request: made.requests.append(request.url))
        page.on("console", lambda message: made.complaints.append(message.text))
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        page.goto(made.url)
        return made

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The text of axe-core, which comes by npm."""
    cache = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    home = Path(os.environ.get("OFFLOADER_AXE") or Path(cache) / "offloader" / "axe-core")
    script = home / "node_modules/axe-core/axe.min.js"
    if not script.is_file():
        missing("axe-core", f"npm install --prefix {home} axe-core@{AXE_VERSION}")
    return script.read_text(encoding="utf-8")
