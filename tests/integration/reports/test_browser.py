"""The HTML report in a real browser: who can use it, what it asks for, and whether its table tells the truth."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader

from offloader.reports import html
from offloader.reports.model import Mode, Report, Row
from offloader.reports.words import Words
from tests.integration.reports.conftest import Open
from tests.integration.reports.made import acts_report, report, rows

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    '<img src=x onerror="window.pwned = 1">.pdf',
    '=HYPERLINK("http://127.0.0.1/")',
    "invoice\u202efdp.exe",
    "\x00\x1b[31mred\u0085 \ud83d",
    "x" * 251 + ".pdf",
    "حساب العميل 🧾 نهائي.pdf",
    "'\"><svg/onload=window.pwned=1>",
)


def numbers(wanted: Iterator[Row]) -> list[str]:
    return [str(row.number) for row in wanted]


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("nl-NL", "dark")])
def test_axe_finds_nothing(opened: Open, axe: str, locale: str, scheme: str) -> None:
    """No rule of axe-core is broken, contrast included, with a line of the table opened."""
    whole = opened(report(40), locale=locale, color_scheme=scheme, bypass_csp=True)
    whole.page.locator("#rows button.more").first.click()
    whole.page.evaluate(axe)
    found = whole.page.evaluate("axe.run({resultTypes: ['violations']})")

    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_the_report_of_a_purge_is_read_and_searched(opened: Open, axe: str) -> None:
    """Its table finds lines by act and text and says reasons in the reader's language, on a page that fits a small
    screen, asks for nothing and breaks no rule of axe-core."""
    screen = {"width": 1100, "height": 900}
    whole = opened(acts_report(30), locale="nl-NL", color_scheme="dark", bypass_csp=True, viewport=screen)
    page = whole.page
    assert page.evaluate("document.querySelector('#documents .wide').scrollWidth <= innerWidth")
    page.select_option("#by-verdict", "=keep")
    assert whole.shown() == ["5", "10", "15", "20", "25", "30"]
    page.fill("#search", "a00000000000000025")
    page.locator("#rows button.more").click()
    assert whole.shown() == ["25"]
    assert "juridische bewaarplicht (legal hold) H-1" in (page.locator("#rows tr.details").text_content() or "")
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert (whole.requests, whole.complaints) == ([whole.url], [])


def test_nothing_is_asked_for_and_nothing_complains(opened: Open) -> None:
    """Opening, searching, sorting, turning pages and switching the language ask for nothing but the file itself."""
    whole = opened()
    whole.page.fill("#search", "waybill")
    whole.page.fill("#search", "")
    whole.page.click("[data-by=bytes]")
    whole.page.click("#next")
    whole.page.click("[data-language=nl]")

    assert whole.requests == [whole.url]
    assert whole.complaints == []


def test_filters_show_the_right_documents(opened: Open) -> None:
    """Decision, law and free text each narrow the table to exactly the documents that they name; clearing undoes it."""
    whole = opened()
    page = whole.page
    page.select_option("#by-verdict", "=BLOCKED")
    assert whole.shown() == numbers(row for row in rows(240) if row.verdict == "BLOCKED")

    page.select_option("#by-laws", label="Russia")
    wanted = [row for row in rows(240) if row.verdict == "BLOCKED" and "RU" in row.jurisdictions]
    assert whole.shown() == numbers(iter(wanted))
    assert whole.count() == f"1–{len(wanted)} of {len(wanted)} documents"

    page.fill("#search", f"{wanted[0].id.upper()} no_compliant")
    assert whole.shown() == [str(wanted[0].number)]

    page.click("#clear")
    assert whole.count() == "1–100 of 240 documents"


def test_store_country_and_code_are_filters(opened: Open) -> None:
    """A store's country, and documents without a store, can be chosen."""
    whole = opened()
    whole.page.select_option("#by-places", label="United States")
    assert whole.shown() == numbers(row for row in rows(240) if row.store == "virginia")

    whole.page.click("#clear")
    whole.page.select_option("#by-store", label="none")
    whole.page.select_option("#by-code", label="recent-mail")
    assert whole.shown() == numbers(row for row in rows(240) if row.code == "recent-mail")


def test_the_keyboard_is_enough(opened: Open) -> None:
    """Sorting and opening a line work by keys, say so to a screen reader, and keep the focus where it was."""
    whole = opened()
    page = whole.page
    page.focus("[data-by=bytes]")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending]").text_content() == "Size"
    largest = max(rows(240), key=lambda row: row.bytes)
    assert whole.shown()[0] == str(largest.number)

    page.focus("#rows button.more >> nth=0")
    page.keyboard.press("Enter")
    focused = page.locator("#rows button.more:focus")
    expect(focused).to_have_attribute("aria-expanded", "true")
    details = page.locator("#rows tr.details").text_content() or ""
    assert Words("en").told(largest.narrowing) in details
    assert all(Words("en").told(sentence, code) in details for _, code, _, sentence in largest.rules)
    assert page.locator("#rows tr.details a").first.get_attribute("href") == f"#en-rule-{largest.rules[0][0]}"


def test_pages_turn(opened: Open) -> None:
    """A page has a hundred lines; the next one goes on where it ended, and there is none after the last."""
    whole = opened()
    seen = []
    for _ in range(3):
        seen += whole.shown()
        if whole.page.locator("#next").is_enabled():
            whole.page.click("#next")

    assert sorted(seen, key=int) == numbers(rows(240))
    expect(whole.page.locator("#next")).to_be_disabled()
    stuck = sum(row.verdict in {"BLOCKED", "REVIEW"} for row in rows(240))
    first = {row.number for row in rows(240) if row.verdict in {"BLOCKED", "REVIEW"}}
    assert {int(number) for number in seen[:stuck]} == first


@pytest.mark.parametrize(
    ("locale", "language", "anchor", "heading"),
    [
        ("nl-BE", "", "", "In het kort"),
        ("fr-FR", "", "", "In short"),
        ("nl-NL", "en", "", "In short"),
        ("en-US", "nl", "", "In het kort"),
        ("en-GB", "", "#nl-money", "In het kort"),
    ],
)
def test_the_language_is_the_readers(opened: Open, locale: str, language: str, anchor: str, heading: str) -> None:
    """What was asked for comes first, then the browser's language, then English; a link into a language opens it."""
    page = opened(report(20), locale=locale, language=language, anchor=anchor).page

    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.locator("article.report:visible")).to_have_count(1)


def test_the_language_can_be_switched(opened: Open) -> None:
    """The switch changes texts, numbers, the table, the page's title and its declared language, and keeps filters."""
    whole = opened()
    page = whole.page
    page.select_option("#by-verdict", "=BLOCKED")
    page.get_by_role("button", name="Nederlands").click()

    assert page.locator("html").get_attribute("lang") == "nl"
    assert page.title() == "R-20261122-0001 · Verslag van de proefdraai"
    assert page.locator("#rows .verdict").first.text_content() == "Geblokkeerd"
    assert "documenten" in whole.count()
    blocked = next(row for row in rows(240) if row.verdict == "BLOCKED")
    page.locator("#rows button.more").first.click()
    details = page.locator("#rows tr.details")
    for sentence, code in ((blocked.reason, blocked.code), (blocked.rules[0][3], blocked.rules[0][1])):
        said = Words("nl").told(sentence, code)
        assert said != sentence
        assert said in (details.text_content() or "")
        assert not details.locator("bdi[lang=en]", has_text=said).count()
    assert whole.shown() == numbers(row for row in rows(240) if row.verdict == "BLOCKED")
    expect(page.get_by_role("heading", name="Verwerkingsregister (artikel 30 AVG)")).to_be_visible()
    expect(page.get_by_role("heading", name="In short")).to_be_hidden()


def test_it_prints(opened: Open) -> None:
    """On paper every page names the report and says that nothing was moved; SHA-256 and signatures are there."""
    whole = report(20)
    printed = opened(whole, locale="nl-NL").page.pdf(prefer_css_page_size=True)
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(printed)).pages]

    assert len(pages) > 3
    assert all(whole.id in text for text in pages)
    assert all("PROEFDRAAI. Er is niets verplaatst." in text for text in pages)
    assert "Goedgekeurd door" in "".join(pages)
    assert "".join(pages).count(whole.plan_sha256) > len(pages)
    assert "Filters wissen" not in "".join(pages)


def test_hostile_names_are_only_text(opened: Open) -> None:
    """Names with markup, formulas, overrides of direction and half characters are shown, and nothing of them runs."""

    def named() -> Iterator[Row]:
        for row, name in zip(rows(len(HOSTILE)), HOSTILE, strict=True):
            yield replace(
                row, name=name, id=name, reason=name, owner=name, signals=(name,), verdict="REVIEW", detail=name
            )

    whole = opened(
        report(len(HOSTILE), rows=named, exceptions=tuple(range(1, len(HOSTILE) + 1)), organisation=HOSTILE[0])
    )
    for button in whole.page.locator("#rows button.more").all():
        button.click()
    text = whole.page.locator("main").inner_text()

    assert whole.page.evaluate("window.pwned") is None
    assert whole.complaints == []
    assert whole.requests == [whole.url]
    assert all(name in text for name in (HOSTILE[0], HOSTILE[1], HOSTILE[5], HOSTILE[6]))
    assert "invoice⟦U+202E⟧fdp.exe" in text
    assert "⟦U+0000⟧⟦U+001B⟧[31mred⟦U+0085⟧ ⟦U+D83D⟧" in text
    assert whole.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_too_many_documents_are_cut_and_it_says_so(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its limit the page holds the exceptions first and names the files that hold all."""
    monkeypatch.setattr(html, "MOST_ROWS", 60)
    whole = opened()
    stuck = {row.number for row in rows(240) if row.verdict in {"BLOCKED", "REVIEW"}}

    assert len(whole.shown()) == 60
    assert stuck <= {int(number) for number in whole.shown()}
    said = whole.page.locator("#cut").text_content() or ""
    assert "60 of 240" in said
    assert whole.page.locator("#cut a").all_text_contents() == ["R-20261122-0001.xlsx", "R-20261122-0001.csv"]


@pytest.mark.parametrize(
    "whole", [report(0), report(30, Mode.RUN), report(0, Mode.RUN)], ids=["none", "run", "none-run"]
)
def test_other_reports_open(opened: Open, whole: Report) -> None:
    """A report of no document and a report of a run open without a complaint and say what they are."""
    found = opened(whole, locale="nl-NL", viewport={"width": 390, "height": 800})
    text = found.page.locator("main").inner_text()

    assert found.complaints == []
    assert ("PROEFDRAAI" in text) == (whole.mode is Mode.DRY_RUN)
    assert ("UITVOERING" in text) == (whole.mode is Mode.RUN)
    assert ("Het plan bevat geen enkel document" in text) == (not whole.totals)
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
