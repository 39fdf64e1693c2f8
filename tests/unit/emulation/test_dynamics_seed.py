"""The seeded environment holds the world: every record, every byte, every trouble, and the expectations beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.emulator.seed import seed
from offloader_connectors.emulation.corpus import Corpus
from offloader_connectors.emulation.expectations import EXPECTATIONS
from offloader_connectors.emulation.making import make_world
from offloader_connectors.emulation.mixes import NOTES_AND_MAILS
from offloader_connectors.emulation.world import OUTSIDER, Document, Hang, Special, World
from offloader_policies import countries, tables

COUNT = 120
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Line = dict[str, Any]


def _org(directory: Path) -> Org:
    return Org(directory, now=lambda: NOW)


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    org = _org(tmp_path_factory.mktemp("org"))
    seed(org, documents=COUNT, seed=1)
    yield org
    org.close()


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(COUNT, 1, NOTES_AND_MAILS)


@pytest.fixture(scope="module")
def expected(org: Org, world: World) -> Sequence[tuple[Document, Line]]:
    lines = [json.loads(line) for line in (org.directory / EXPECTATIONS).read_text("utf-8").splitlines()]
    return list(zip(world.documents, lines, strict=True))


def _row(org: Org, reference: tuple[str, str]) -> Mapping[str, Any]:
    row = org.get(*reference)
    assert row is not None
    return row


def _parents(org: Org, line: Line) -> list[tuple[str, str]]:
    if line["kind"] == "annotation":
        parent = _row(org, ("annotation", line["id"])).get("objectid")
        return [parent] if parent else []
    if line["kind"] == "activitymimeattachment":
        rows = [row for row in org.rows("activitymimeattachment") if row["attachmentid"] == ("attachment", line["id"])]
        return [row["objectid"] for row in rows]
    table, record, _ = line["id"].split(":")
    return [(table, record)]


_UPWARDS = {
    "contact": ("parentcustomerid",),
    "incident": ("customerid",),
    "opportunity": ("parentaccountid",),
    "email": ("regardingobjectid",),
    "new_shipment": ("new_account",),
}


def _country(org: Org, reference: tuple[str, str]) -> str | None:
    """What a record says of its country, else what the next one above it says, along the lookups."""
    row = _row(org, reference)
    if row.get("address1_country"):
        return str(row["address1_country"])
    above = next((row[name] for name in _UPWARDS.get(reference[0], ()) if row.get(name)), None)
    return _country(org, above) if above else None


def _body(org: Org, line: Line) -> bytes:
    if line["kind"] == "annotation":
        body = _row(org, ("annotation", line["id"]))["_documentbody"]
    elif line["kind"] == "activitymimeattachment":
        body = _row(org, ("attachment", line["id"]))["_body"]
    else:
        held = org.file_of(*line["id"].split(":"))
        assert held is not None
        body = held["_body"]
    return b"".join(org.chunks(body))


def test_the_same_seed_gives_the_same_environment(org: Org, tmp_path: Path) -> None:
    """Two environments of one seed hold the same rows with the same ids."""
    other = _org(tmp_path)
    seed(other, documents=COUNT, seed=1)

    for table in (
        "systemuser",
        "account",
        "incident",
        "email",
        "annotation",
        "activitymimeattachment",
        "fileattachment",
    ):
        assert list(other.rows(table)) == list(org.rows(table))
    assert (other.directory / EXPECTATIONS).read_bytes() == (org.directory / EXPECTATIONS).read_bytes()
    other.close()


def test_expectations_name_every_document(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """There is one line for each document, and the environment has no other one."""
    named = {(line["kind"], line["id"]) for _, line in expected}
    files = {(row["objectid"], row["regardingfieldname"]) for row in org.rows("fileattachment")}
    there = {("annotation", row["annotationid"]) for row in org.rows("annotation") if row["isdocument"]}
    there |= {("activitymimeattachment", row["attachmentid"]) for row in org.rows("attachment")}
    columns = {f"{table}:{record}:{column}" for (table, record), column in files}

    assert len(named) == COUNT
    assert {each for each in named if not each[0].endswith("column")} == there
    assert {key for kind, key in named if kind.endswith("column")} == columns


def test_expected_countries_follow_from_the_records(
    org: Org, world: World, expected: Sequence[tuple[Document, Line]]
) -> None:
    """The countries found by walking the lookups are those of the world, in words that the rule book knows."""
    known = tables.load().country_names
    for document, line in expected:
        found = {_country(org, parent) for parent in _parents(org, line)}
        assert {countries.find(text, known) if text else None for text in found} == world.countries(document)
        assert (line["country"], line["must_stay"]) == (world.expected_country(document), world.must_stay(document))
        assert line["must_stay"] or line["country"] in {"DE", "US", "AU", "BR"}


def test_some_countries_are_further_away(org: Org) -> None:
    """Some contacts leave the country to their account, and some cases have a contact as customer."""
    silent = {row["contactid"] for row in org.rows("contact") if not row.get("address1_country")}
    customers = [row["customerid"] for row in org.rows("incident")]

    assert {table for table, _ in customers} == {"account", "contact"}
    assert any(table == "contact" and record in silent for table, record in customers)


def test_every_byte_is_the_corpus_own(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """Bodies in the environment are those that the corpus makes."""
    made = Corpus(1)
    for document, line in expected:
        if document.special is not Special.POINTER:
            assert _body(org, line) == made.make(document.bodies[0], document.kind, document.language).data


def test_a_shared_attachment_is_there_once(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """Mails that share an attachment each have a row of their own that leads to it, under the same name."""
    shared = [(document, line) for document, line in expected if len(document.parents) > 1]

    assert max(len(document.parents) for document, _ in shared) == 5
    for document, line in shared:
        rows = [row for row in org.rows("activitymimeattachment") if row["attachmentid"][1] == line["id"]]
        assert len(rows) == len(document.parents) == len({row["objectid"] for row in rows})
        assert {row["filename"] for row in rows} == {document.name[:255]}


def test_names_arrive_unchanged(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """Awkward names stand in the environment as they are, as far as its columns are long enough."""
    for document, line in expected:
        if document.hang is Hang.RECORD_ATTACHMENT:
            assert _row(org, ("annotation", line["id"]))["filename"] == document.name[:255]
        elif document.hang is Hang.EMAIL_ATTACHMENT:
            assert _row(org, ("attachment", line["id"]))["filename"] == document.name[:255]


def _parent_of(org: Org, line: Line) -> Mapping[str, Any]:
    return _row(org, _parents(org, line)[-1])


def test_what_must_be_skipped_is_what_the_platform_says(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """Drafts, outgoing and recent mails, templates, web files and custom tables show in the platform's own columns."""
    lines: dict[Special, list[Line]] = {}
    for document, line in expected:
        if document.special:
            lines.setdefault(document.special, []).append(line)
    recent = [_parent_of(org, line)["modifiedon"] for line in lines[Special.RECENT]]

    def status(special: Special) -> set[tuple[int, int]]:
        return {(row["statecode"], row["statuscode"]) for row in (_parent_of(org, line) for line in lines[special])}

    assert set(lines) == NOTES_AND_MAILS.specials
    assert status(Special.DRAFT) == {(0, 1)}
    assert status(Special.OUTGOING) == {(1, 6)}
    assert all(datetime.fromisoformat(moment) > NOW - timedelta(days=7) for moment in recent)
    assert {_parents(org, line)[0][0] for line in lines[Special.TEMPLATE]} == {"template"}
    assert {_parents(org, line)[0][0] for line in lines[Special.WEB_PAGE]} == {"adx_webfile"}
    assert {_parents(org, line)[0][0] for line in lines[Special.UNLISTED]} == {"new_shipment"}
    assert all(len(_body(org, line)) < 1024 for line in lines[Special.TINY])
    for line in lines[Special.POINTER]:
        assert _row(org, ("annotation", line["id"]))["filename"].endswith(".azure.txt")
        assert json.loads(_body(org, line))["url"].startswith("https://")


def test_inline_pictures_are_those_in_the_mail_s_text(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """A mail's text shows the content id of an attachment exactly if it is an inline picture."""
    specials = {line["id"]: document.special for document, line in expected}
    seen = set()
    for row in org.rows("activitymimeattachment"):
        mail = org.get(*row["objectid"]) or {}
        shown = re.findall(r'"cid:([^"]+)"', mail.get("description") or "")
        inline = specials[row["attachmentid"][1]] is Special.INLINE
        assert (row.get("attachmentcontentid") in shown) == inline
        seen.add((inline, row.get("attachmentcontentid") is not None))

    assert seen == {(True, True), (False, True), (False, False)}


def test_all_other_mails_are_old_and_finished(org: Org, expected: Sequence[tuple[Document, Line]]) -> None:
    """What may leave hangs on mails that were sent or received more than a week ago; there are both."""
    status = set()
    for document, line in expected:
        if document.hang is Hang.EMAIL_ATTACHMENT and document.special is None:
            for parent in _parents(org, line):
                row = _row(org, parent)
                status.add((row["statecode"], row["statuscode"]))
                assert datetime.fromisoformat(row["modifiedon"]) < NOW - timedelta(days=7)

    assert status == {(1, 3), (1, 4)}


def test_mails_are_old_by_any_clock(tmp_path: Path) -> None:
    """Where the clock is behind the world, mails that are not recent ones are still more than a week old."""
    early = datetime(2020, 5, 1, 12, 0, tzinfo=UTC)
    org = Org(tmp_path, now=lambda: early)
    seed(org, documents=60, seed=1)
    week = early - timedelta(days=7)

    assert sum(datetime.fromisoformat(row["modifiedon"]) > week for row in org.rows("email")) == 1
    org.close()


def test_notes_without_a_file_are_there(org: Org, world: World) -> None:
    """Notes of text alone hang on records, and are no documents."""
    bare = [row for row in org.rows("annotation") if not row["isdocument"]]

    assert [row["notetext"] for row in bare] == [remark.text for remark in world.remarks]
    assert all(row["objectid"] for row in bare)


def test_the_outsider_owns_nothing_and_has_no_role(org: Org) -> None:
    """The user without access owns no record, has no role and no share; the integration user has one."""
    outsider = next(row for row in org.rows("systemuser") if row["domainname"] == OUTSIDER)
    owned = [row for table in ("account", "incident", "email", "annotation") for row in org.rows(table)]

    assert not outsider["_roles"]
    assert outsider["systemuserid"] not in {row["ownerid"][1] for row in owned}
    assert not list(org.rows("principalobjectaccess"))
    assert _row(org, ("systemuser", org.integration_user))["_roles"]


def test_an_owner_has_left_the_company(org: Org) -> None:
    """Some note is owned by a disabled user."""
    disabled = {row["systemuserid"]: row["isdisabled"] for row in org.rows("systemuser")}

    assert True in {disabled[row["ownerid"][1]] for row in org.rows("annotation")}
