"""How long a browser takes to open the HTML report of N documents, and to filter and sort it.

Prints JSON: the file's size, seconds to write it, seconds from asking
for the file until its table stands, and seconds per filter, search and sort, each until the browser has drawn it.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import arguments
from playwright.sync_api import Page, sync_playwright

from offloader.reports.writing import write
from tests.integration.reports.made import report

#: acts in the page, as a person would carry them out
_ACTS = {
    "filter by decision": "enter('#by-verdict', '=BLOCKED')",
    "filter back to all": "enter('#by-verdict', '*')",
    "first search": "enter('#search', 'frankfurt')",
    "second search": "enter('#search', '00412')",
    "clear": "document.querySelector('#clear').click()",
    "sort by size": "document.querySelector('[data-by=bytes]').click()",
    "sort by country": "document.querySelector('[data-by=laws]').click()",
    "switch language": "document.querySelector('[data-language=nl]').click()",
}


def act(page: Page, script: str) -> float:
    """Seconds until the act is done and drawn."""
    return float(
        page.evaluate(
            f"""async () => {{
                const enter = (where, value) => {{
                    const field = document.querySelector(where);
                    field.value = value;
                    field.dispatchEvent(new Event("input", {{bubbles: true}}));
                }};
                const start = performance.now();
                {script};
                await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
                return (performance.now() - start) / 1000;
            }}"""
        )
    )


def measure(documents: int, directory: Path) -> dict[str, float]:
    path, whole = directory / "report.html", report(documents)
    start = time.perf_counter()
    write(whole, "html", path, language="")
    found: dict[str, float] = {
        "documents": documents,
        "MB": round(path.stat().st_size / 1e6, 2),
        "write": round(time.perf_counter() - start, 2),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=["--no-sandbox"]
        )
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.locator("#rows tbody tr").first.wait_for()
        found["open"] = round(time.perf_counter() - start, 2)
        for name, script in _ACTS.items():
            found[name] = round(act(page, script), 3)
        browser.close()
    return found


def main() -> None:
    options = arguments(__doc__, documents=10_000, quick=1_000)
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(options.documents, Path(directory)), indent=1))


if __name__ == "__main__":
    main()
