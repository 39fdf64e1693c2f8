"""A subject's records in archives of purges, and originals that the plan deletes in the CRM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from offloader.disposition.acts import draft
from offloader.disposition.archive import Segment, read, write
from offloader.disposition.archived import search_archives
from offloader.disposition.erasing import apply_erasure
from offloader.disposition.erasure import ERASE
from offloader.disposition.families import Family
from offloader.disposition.subjects import subject_of
from offloader.ledger.disposing import Act, ActStep
from offloader.model import DocumentRef, Finding, Severity
from offloader.moves.scan import scan
from offloader.moves.site import Site
from offloader.ports import Status
from offloader.records import Deleted, Deletion, Record, RecordRef, Records, RecordType, Storage
from offloader.testing import MemoryCrm
from tests.scenarios.erasure.conftest import NAME, Case

TYPE = RecordType(name="Contact", label="Contact", fields=(), children=())


def contact(id: str, label: str) -> Record:
    return Record(ref=RecordRef("crm", "Contact", id), etag="1", modified=None, fields={"Name": label}, label=label)


#: what the act of a purge remembers of a restore that was ended
BEGUN = {"as": {"crm/Contact/x-1": "crm/Contact/y-9"}, "creating": {"crm/Contact/x-2": "2026-11-21"}, "waiting": []}


def archived(case: Case, site: Site) -> tuple[RecordRef, RecordRef, str]:
    """Hers and another record in one segment, to which the acts of a purge lead; gives the purge's plan too.

    The other one's restore was begun.
    """
    hers, his = contact(case.subject.partition(":")[2], f"Eva {NAME}"), contact("x-1", "Piet Smit")
    (segment,) = write(site.stores, ["de"], [Family(hers), Family(his)], {"Contact": TYPE})
    plan = draft(site, "purge", {"crm"})
    plan.add([Act(subject=str(each.ref), act="delete", part="Contact") for each in (hers, his)])
    plan.seal("two records", {})
    begun = json.dumps({**json.loads(segment.detail()), **BEGUN})
    site.ledger.advance_acts(plan.id, [ActStep(1, "done", segment.detail()), ActStep(2, "done", begun)])
    return hers.ref, his.ref, plan.id


def test_her_archived_record_goes_and_his_can_still_be_brought_back(case: Case) -> None:
    """Her line is gone from the archive; the purge's act about the other record leads to what is left, and still knows
    what an ended restore has made of it, so that nothing is made twice.
    """
    with case.at() as site:
        hers, his, purge = archived(case, site)
        made = case.plan(site)
        assert [(trace.ref, trace.sure) for trace in made.archived] == [(hers, True)]
        assert made.row is not None
        report = apply_erasure(site, made.row.id)

        assert report.states["done"] == 3
        assert NAME.encode() not in case.everything()
        mine, other = site.ledger.acts(purge)
        assert mine.detail == ""
        segment = Segment.from_detail(other.detail)
        assert segment is not None
        assert [family.root.ref for family in read(site.stores["de"], segment).families] == [his]
        assert BEGUN.items() <= json.loads(other.detail).items()


def test_a_name_in_the_archive_is_for_a_person(case: Case) -> None:
    """An archived record in which only the name stands is found and not sure."""
    with case.at() as site:
        hers, _, _ = archived(case, site)
        (trace,) = search_archives(site, subject_of(site, [], names=["eva jansen"]))

    assert (trace.ref, trace.sure) == (hers, False)


class CrmRecords:
    """The documents of a CRM in memory as its records: to be read and deleted."""

    def __init__(self, crm: MemoryCrm) -> None:
        self._crm = crm

    def identity(self) -> dict[str, str]:
        return {"organisation": "org", "environment": "production", "address": "crm"}

    def describe(self, type: str) -> RecordType:
        return RecordType(name=type, label=type, fields=(), children=(), bin_days=30)

    def check(self, types: Sequence[str], *, delete: bool) -> list[Finding]:
        assert delete
        return [Finding(Severity.WARNING, "no-modify", f"{' '.join(types)} of others stay.")]

    def storage(self) -> Storage:
        return Storage(used={}, limit={})

    def fetch(self, refs: Sequence[RecordRef]) -> list[Record | None]:
        rows = [self._crm.rows.get(DocumentRef(ref.source, ref.type, ref.id)) for ref in refs]
        return [
            None if row is None else Record(ref=ref, etag=str(row.change), modified=row.modified, fields={})
            for ref, row in zip(refs, rows, strict=True)
        ]

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> list[Deleted]:
        for each in deletions:
            self._crm.delete(DocumentRef(each.ref.source, each.ref.type, each.ref.id))
        return [Deleted(status=Status.DONE)] * len(deletions)


def test_originals_and_placeholders_go_when_the_plan_says_so(case: Case) -> None:
    """With --delete-in-crm, a document that never moved and the placeholder of a moved one are deleted there."""
    crm = case.house.source.crm
    type_, _, name = case.subject.partition(":")
    ref = crm.document("File", b"new", name=f"{NAME} new.pdf", parents=[(type_, name)])
    with case.at() as plain:
        site = replace(plain, records=lambda _: cast("Records", CrmRecords(crm)))
        scan(site)
        made = case.plan(site, delete=True)
        assert {each.ref for each in made.of(ERASE)} == {*case.mine.values(), ref}
        assert [each.message for each in made.missing] == ["File of others stay.", "Note of others stay."]
        assert made.row is not None
        report = apply_erasure(site, made.row.id)

    assert report.states["done"] == 3
    assert crm.bytes_of(ref) is None
    assert crm.bytes_of(case.mine["note"]) is None
    assert crm.bytes_of(case.foreign) is None  # moved, as before
    assert not any(NAME in row.title for row in [*crm.rows.values(), *crm.links.values()])


class Deaf(CrmRecords):
    """Calls everything deleted, and deletes nothing."""

    def delete(self, deletions: Sequence[Deletion], *, hard: bool = False) -> list[Deleted]:
        return [Deleted(status=Status.DONE)] * len(deletions)


def unmoved(case: Case) -> DocumentRef:
    """A document of hers that is in the CRM and was scanned."""
    type_, _, name = case.subject.partition(":")
    ref = case.house.source.crm.document("File", b"new", name=f"{NAME} new.pdf", parents=[(type_, name)])
    with case.at() as site:
        scan(site)
    return ref


def test_what_the_crm_still_shows_is_not_called_deleted(case: Case) -> None:
    """A CRM that calls an original and a placeholder deleted, and still has them, makes both fail and says so."""
    ref = unmoved(case)
    with case.at() as plain:
        site = replace(plain, records=lambda _: cast("Records", Deaf(case.house.source.crm)))
        made = case.plan(site, delete=True)
        assert made.row is not None
        report = apply_erasure(site, made.row.id)

    assert (report.states["done"], report.states["failed"]) == (1, 2)
    assert "the CRM still has it after its deletion" in report.examples["failed"]
    assert case.house.source.crm.bytes_of(ref) == [b"new"]
    assert set(case.house.states(case.mine["note"])) == {"done"}


@pytest.mark.parametrize("how", ["content", "sharing", "placeholder"])
def test_what_is_otherwise_than_planned_for_is_left_alone(case: Case, how: str) -> None:
    """An original that was edited or shared since the scan, and a file that stands over a placeholder, stay."""
    ref, crm = unmoved(case), case.house.source.crm
    with case.at() as plain:
        site = replace(plain, records=lambda _: cast("Records", CrmRecords(crm)))
        made = case.plan(site, delete=True)
        assert made.row is not None
        row = crm.rows[case.mine["note"] if how == "placeholder" else ref]
        if how == "content":
            crm.write(row, "other.pdf", b"edited")
        elif how == "sharing":
            row.parents = {**row.parents, crm.record("Contact", country="DE"): {}}
        else:
            crm.write(row, "other.txt", b"put over it")
            row.url = None
        report = apply_erasure(site, made.row.id)

    assert report.states == {"done": 2, "conflict": 1, "skipped": 1}
    assert row.ref in crm.rows
