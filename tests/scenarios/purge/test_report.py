"""The report of a purge: what a person reads before saying yes, and what it says afterwards."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from openpyxl import load_workbook

from offloader.config import Config, GatewayOptions, Part, ReportOptions, Settings
from offloader.holds import Scope
from offloader.moves import matters
from offloader.plugins import Options
from offloader.reports.acts.model import ActsReport
from offloader.reports.plans import note, report_of
from offloader.reports.sentences import ACTS
from offloader.reports.words import Words
from offloader.reports.writing import write, write_all
from tests.scenarios.purge.conftest import YOUNG, Yard

_MORE = """\
    children: archive
    max_records: 2
approvals: {people: 1}
"""


def report(yard: Yard, plan: str) -> ActsReport:
    """The report of the plan as it is now; its lines are read while the ledger is open."""
    settings = Settings.model_construct(
        gateway=GatewayOptions.model_construct(url="https://files.example.com"),
        reports=ReportOptions(organisation="Kade B.V."),
        people={},
    )
    own = {name: {name: Part(name, "memory", Options())} for name in ("crm", "de", "own")}
    parts = {"sources": own["crm"], "stores": own["de"], "policies": own["own"]}
    with yard.site() as site:
        made = report_of(site, Config(yard.directory / "offloader.yaml", settings, parts), plan, names=False, by="ann")
        assert isinstance(made, ActsReport)
        note(site, made)
        rows = list(made.rows())
    object.__setattr__(made, "rows", lambda: iter(rows))
    return made


def said(page: str, language: str) -> str:
    """The words of the article in one language."""
    article = page.partition(f'<article id="{language}-report"')[2].partition("</article>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", article))


def test_it_says_what_goes_and_what_stays_before_and_after(yard: Yard, tmp_path: Path) -> None:
    """Records, what goes with them, holds, automation, bins, limits and the missing approval stand in the page, in both
    languages; after the run it says what was done."""
    yard.policy += _MORE.replace("approvals: {people: 1}\n", "").replace("max_records: 2", "max_records: 4")
    gone, held, young = yard.case(), yard.case(), yard.case(ClosedDate=YOUNG)
    yard.comment(gone)
    yard.comment(gone)
    with yard.site() as site:
        matters.add(site, matter="Roe", scope=Scope(records=(f"Case:{held.id}",)), reason="claim")
    plan = yard.plan()

    before = report(yard, plan.id)
    write(before, "html", tmp_path / "before.html", language="")
    english, dutch = (said((tmp_path / "before.html").read_text("utf-8"), code) for code in ("en", "nl"))

    assert {act: (tally.count, tally.along) for act, tally in before.acts.items()} == {"delete": (1, 2), "keep": (1, 0)}
    assert "1 would be deleted , and 2 further records go with them. 1 stays." in english
    for words in ("trigger CaseGone", "The CRM does not say. Ask its administrator first.", "15 days; it counts"):
        assert words in english
    for words in ("older than 7 years", "(matter Roe)", "DRY RUN. Nothing was changed.", plan.sha256 or "?"):
        assert words in english
    for words in ("1 zou worden verwijderd", "Opschoning van verouderde records", "ouder dan 7 jaar", "15 dagen"):
        assert words in dutch
    assert young.id not in english

    yard.apply(plan.id)
    after = report(yard, plan.id)
    write(after, "html", tmp_path / "after.html", language="")

    assert (after.mode, after.outcomes, after.ended is not None) == ("run", {"done": 1}, True)
    assert "1 was to be deleted" in said((tmp_path / "after.html").read_text("utf-8"), "en")


def test_a_plan_over_its_limit_or_without_approval_says_so(yard: Yard, tmp_path: Path) -> None:
    """The limit that it is over, and the approval that it lacks, stand in the page and in the spreadsheet."""
    yard.policy += _MORE
    for _ in range(3):
        yard.case()
    made = report(yard, yard.plan().id)
    files = {each: tmp_path / f"report.{each}" for each in ("html", "xlsx", "csv", "jsonl")}
    write_all(made, files, language="nl")

    english, dutch = (said(files["html"].read_text("utf-8"), code) for code in ("en", "nl"))
    assert "Over a limit. crm/old-cases deletes 3 records, its limit is 2 . offloader will refuse" in english
    assert "Not approved. The policies ask for 1 approval." in english
    assert "crm/old-cases verwijdert 3 records, zijn grens is 2" in dutch
    summary, lines = load_workbook(files["xlsx"]).worksheets
    assert "crm/old-cases verwijdert 3 records, zijn grens is 2" in [row[1] for row in summary.values]
    assert [row[1] for row in lines.values] == ["Handeling", *["Verwijderen"] * 3]
    table = list(csv.DictReader(io.StringIO(files["csv"].read_text("utf-8-sig"))))
    assert [(row["act"], row["code"], row["to"]) for row in table] == [("delete", "OLD", "de")] * 3
    header, *acts = map(json.loads, files["jsonl"].read_text("ascii").splitlines())
    assert (header["kind"], header["over"], len(acts)) == ("purge", list(made.over), 3)


def test_each_reason_of_a_purge_is_said_in_dutch(yard: Yard) -> None:
    """No reason that the engine itself gives stays in English."""
    yard.policy += "    children: refuse\n"
    yard.comment(yard.case())
    for fields in ({"Country__c": ""}, {}):
        yard.case(**fields)
    made = report(yard, yard.plan().id)
    words = Words("nl")

    assert {"OLD", "CHILDREN"} <= {code for line in made.rows() for code, _ in line.reasons}
    assert [code for line in made.rows() for code, text in line.reasons if words.foreign(text, ACTS)] == []
