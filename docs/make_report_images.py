"""Makes the pictures of the page about reports: `python docs/make_report_images.py`.

A made-up report of a logistics company is opened in Chromium in each language, and its first screen is kept.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import sync_playwright

from offloader.reports.writing import LANGUAGES, write
from tests.integration.reports.made import report

IMAGES = Path(__file__).resolve().parent / "images"


def main() -> None:
    whole = report(1794)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        program = shutil.which("chromium") or sys.exit("apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for language in LANGUAGES:
            path = Path(directory) / f"{language}.html"
            write(whole, "html", path, language=language)
            page = browser.new_page(viewport={"width": 1120, "height": 1560})
            page.goto(path.as_uri())
            target = IMAGES / f"report-{language}.png"
            page.screenshot(path=target)
            print(f"wrote {target}")
        browser.close()


if __name__ == "__main__":
    main()
