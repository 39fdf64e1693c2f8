"""Reports of plans of acts, of every kind: purge, expiry, re-homing, sharing, erasure, export."""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from offloader.disposition.acts import draft
from offloader.disposition.kinds import KINDS
from offloader.ledger.disposing import Act, ActStep
from offloader.reports.acts import codes
from offloader.reports.acts.model import ActsReport, Line
from offloader.reports.gather import note as noted
from offloader.reports.plans import note, report_of
from offloader.reports.sentences import ACTS
from offloader.reports.words import Words
from offloader.reports.writing import write
from tests.docs.conftest import DOCS
from tests.unit.reports.conftest import Desk

HASHED = hashlib.sha256(b"lease.pdf").hexdigest()[:16]
HELD = {"act": "erase", "part": "File", "body": {"mark": "b" * 32, "why": ["title"], "reason": "erase",
                                                 "holds": ["H-1"], "copies": [], "source": "crm"}}  # fmt: skip
#: kind → an act of it as its planner makes it, and what its line says
MADE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "purge": (
        {"subject": "crm/Case/a/b", "act": "delete", "part": "Case",
         "body": {"rule": "crm/old", "reasons": [["OLD", "Closed is 2015-01-01, older than P7Y"]], "stores": ["de"],
                  "with": [["Note", "n1", "1"]], "documents": [["File", "f1", "1", 5, True, ["de"]]]}},
        {"kind": "Case", "id": "a/b", "code": "OLD", "to": ("de",), "along": ("Note n1",), "copied": ("File f1: de",)},
    ),
    "expire": (
        {"subject": "document:1", "act": "erase", "part": "File",
         "body": {"document": 1, "ground": "erase-by", "why": "it had to be erased by 2026-01-01", "rules": ["R1"],
                  "copies": [["de", "k1"], ["de", "k2"], ["us", "k1"]], "source": "crm"}},
        {"kind": "File", "code": "erase-by", "rule": "R1", "at": ("de", "us"), "name": HASHED},
    ),
    "rehome": (
        {"subject": "1", "act": "move", "part": "us",
         "body": {"document": "crm/File/1", "code": "PLACE_NOT_PERMITTED", "why": "it lies in de (DE), today it may "
                  "lie in US", "rule": "R2", "from": ["de"], "to": ["us"]}},
        {"kind": "File", "code": "PLACE_NOT_PERMITTED", "rule": "R2", "at": ("de",), "to": ("us",)},
    ),
    "share": (
        {"subject": "1@de", "act": "locked", "part": "de",
         "body": {"document": 1, "store": "de", "key": "k", "why": "its object is locked: until 2030"}},
        {"kind": "File", "code": "locked", "at": ("de",)},
    ),
    "erase": (
        {"subject": "document:1", "act": "review", "part": "File",
         "body": {"document": 1, "mark": "a" * 32, "why": ["record", "file name"], "reason": "shared", "holds": [],
                  "copies": [["de", "k"]], "source": "crm"}},
        {"kind": "File", "code": "shared", "reasons": (("shared", "found by record, file name"),), "at": ("de",)},
    ),
    "export": (
        {"subject": "document:1", "act": "export", "part": "File", "body": {"document": 1, "rules": ["CN-03"]}},
        {"kind": "File", "code": "export", "rule": "CN-03"},
    ),
}  # fmt: skip
#: sentences of plans of acts, as the engine says them, in Dutch
DUTCH = {
    "ClosedDate is 2015-05-15, older than P7Y6M": "ClosedDate is 2015-05-15, ouder dan 7 jaar 6 maanden",
    "it lies in us (US), today it may lie in one of 27 others": (
        "het ligt in us (Verenigde Staten), nu mag het in een van 27 andere landen liggen"
    ),
    "it lies in us (US), today it may lie in DE NL, and there is no place for it: no store may hold its archive": (
        "het ligt in us (Verenigde Staten), nu mag het in Duitsland, Nederland liggen, en er is geen plaats voor: geen "
        "opslag mag zijn archief hebben"
    ),
    "it had to be erased by 2026-01-01, but legal hold H-1 (matter Roe): nothing is moved or removed until it is "
    "released": "het moest uiterlijk op 2026-01-01 gewist zijn, maar juridische bewaarplicht (legal hold) H-1 (matter "
    "Roe): er wordt niets verplaatst of verwijderd totdat die is opgeheven",
    "found by record, file name": "gevonden door: record, bestandsnaam",
}


def planned(desk: Desk, kind: str, acts: list[dict[str, Any]], *, names: bool = False) -> tuple[ActsReport, list[Line]]:
    """The report of a plan of these acts, with its lines; it is written down as a command does it."""
    with desk.site() as site:
        made = draft(site, kind, ["crm"])
        made.add([Act(**{"subject": "x", **act}) for act in acts])
        row = made.seal("something", {"over": []})
        found = report_of(site, desk.config(), row.id, names=names, by="ann")
        note(site, found)
        assert isinstance(found, ActsReport)
        lines = list(found.rows())
    object.__setattr__(found, "rows", lambda: iter(lines))
    return found, lines


def scanned(desk: Desk) -> None:
    desk.document("lease.pdf")
    with desk.site() as site:
        desk.plan(site)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_plan_has_a_report(desk: Desk, tmp_path: Path, kind: str) -> None:
    """Each kind's acts become lines that say what goes, why and where, and a page in both languages."""
    scanned(desk)
    act, expected = MADE[kind]
    made, lines = planned(desk, kind, [act])
    write(made, "html", tmp_path / "report.html", language="")
    page = html.unescape((tmp_path / "report.html").read_text("utf-8"))

    assert {name: getattr(lines[0], name) for name in expected} == expected
    for language in ("en", "nl"):
        assert Words(language).say(codes.KINDS[kind].title) in page
    assert lines[0].source == "crm"


def test_titles_are_hashed_unless_asked_for_and_held_ones_are_said(desk: Desk) -> None:
    """A document's title stands there only with `names`; an erasure under a hold does not count as going."""
    scanned(desk)
    acts = [MADE["erase"][0], HELD]
    made, lines = planned(desk, "erase", acts, names=True)

    assert [line.name for line in lines] == ["lease.pdf", "b" * 32]
    assert {act: tally.count for act, tally in made.acts.items()} == {"review": 1, "hold": 1}
    assert lines[1].reasons[-1] == ("HELD", "legal hold H-1")
    assert "lease" not in planned(desk, "erase", acts)[1][0].name


def test_what_an_act_ended_in_is_said_without_its_evidence(desk: Desk) -> None:
    """After the run each line has its state; of a detail in JSON only the reason stands there."""
    scanned(desk)
    with desk.site() as site:
        made = draft(site, "expire", ["crm"])
        made.add([Act(**{**MADE["expire"][0], "act": act}) for act in ("erase", "wait", "erase")])
        row = made.seal("something", {})
        site.ledger.set_plan_status(row.id, "applying")
        detail = json.dumps({"copies": [{"key": "secret"}], "reason": "the store is down"})
        site.ledger.advance_acts(row.id, [ActStep(1, "failed", detail), ActStep(2, "skipped", "{the CRM's words")])
        found = report_of(site, desk.config(), row.id, names=False, by="ann")
        assert isinstance(found, ActsReport)
        lines = list(found.rows())

    assert [line.outcome for line in lines] == ["failed", "kept", "open"]
    assert lines[1].detail == "{the CRM's words"
    assert found.unfinished == {("failed", "the store is down"): 1, ("open", ""): 1}


def test_a_report_of_moves_is_not_compared_with_one_of_acts(desk: Desk) -> None:
    """The difference from the last report passes over reports of other kinds of plans."""
    desk.document("one")
    with desk.site() as site:
        first = desk.report(site, desk.plan(site))
        noted(site, first)
    planned(desk, "purge", [MADE["purge"][0]])
    with desk.site() as site:
        second = desk.report(site, desk.plan(site))

    assert second.difference is not None
    assert second.difference.report == first.id


def test_ids_from_the_crm_cannot_become_markup(desk: Desk, tmp_path: Path) -> None:
    """A type, an id and a reason with HTML in them stand in the page as text, and are no formula in the CSV."""
    hostile = "</script><img src=x onerror=alert(1)>"
    act = {"subject": f"crm/{hostile}/=1+1", "act": "delete", "part": hostile,
           "body": {"rule": f"crm/{hostile}", "reasons": [["OLD", hostile]], "with": [[hostile, "1", ""]]}}  # fmt: skip
    made, _ = planned(desk, "purge", [act])
    for each in ("html", "csv"):
        write(made, each, tmp_path / f"report.{each}", language="")

    assert "<img" not in (tmp_path / "report.html").read_text("utf-8")
    assert ",'=1+1," in (tmp_path / "report.csv").read_text("utf-8")


@pytest.mark.parametrize("sentence", DUTCH)
def test_reasons_of_acts_are_said_in_dutch(sentence: str) -> None:
    """Durations, countries and sentences inside of sentences are said as a Dutch reader says them."""
    assert Words("nl").told(sentence, ACTS) == DUTCH[sentence]


def test_every_code_of_a_purge_is_explained() -> None:
    """Each code of the page about purging has words in the report."""
    listed = re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "purge.md").read_text("utf-8"), re.MULTILINE)

    assert len(listed) > 20
    assert sorted({*listed} - {"ARCHIVE_"} - codes.REASONS.keys()) == []
