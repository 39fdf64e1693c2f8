"""A lost ledger is made anew from the stores alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyrage
import pytest

from offloader.errors import Exhausted
from offloader.ledger import Entry, open_ledger
from offloader.model import Checksum, Decision, Document, DocumentRef
from offloader.moves.rebuild import RebuildReport, rebuild
from offloader.moves.restore import find, restore
from offloader.moves.verify import reconcile, verify
from offloader.ports import Target
from offloader.testing import MemoryStore
from offloader.wrappers.encrypted import EncryptedStore, keys_of
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import CountryPolicy, House


@dataclass
class BothStores(CountryPolicy):
    """Asks for a copy of everything in the United States."""

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        decision = super().decide(document, targets, now)
        return replace(decision, copies=("us",)) if decision.store == "de" else decision


def lose_ledger(house: House) -> RebuildReport:
    for path in house.directory.glob("ledger.sqlite*"):
        path.unlink()
    for site in house.site():
        return rebuild(site)
    raise AssertionError


def known(house: House) -> dict[DocumentRef, Entry]:
    """Everything that the ledger knows, but for its own numbers."""
    with open_ledger(house.directory / "ledger.sqlite", now=house.clock.now, exclusive=False) as ledger:
        return {
            entry.document.ref: replace(entry, pk=0, versions=tuple(replace(each, pk=0) for each in entry.versions))
            for entry in ledger.entries()
        }


def test_a_rebuilt_ledger_equals_the_lost_one(house: House) -> None:
    """After a run, the ledger rebuilt from the stores knows every document, version, copy and link as before.

    A store without anything is named: it may be a disk that is not mounted.
    """
    crm = house.source.crm
    crm.document("File", b"one", b"two", b"three", name="Größe \udcff.pdf", parents=[house.account("DE")])
    crm.document("Note", b"note" * 100, parents=[house.account("US")])
    crm.document("Entry", b"", parents=[house.account("DE")])
    assert house.run().moved == 3
    before = known(house)
    house.wrapped_stores = {"new": MemoryStore("new", countries=["FR"], now=house.clock.now)}

    report = lose_ledger(house)

    assert (report.documents, report.versions, report.states, report.errors) == (3, 5, {"done": 3}, [])
    assert report.empty == ["new"]
    assert known(house) == before
    second = house.run()
    assert (second.moved, second.failed, second.returned) == (0, 0, [])


def test_half_moved_documents_are_completed_after_a_rebuild(house: House) -> None:
    """A document that was linked and not yet removed when the ledger was lost is completed by the next run."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("remove", repeat=99, raise_=Exhausted("come back later")).port
    house.run()
    house.wrapped_source = None

    assert lose_ledger(house).states == {"linked": 1}
    house.run()

    assert house.states(ref) == {"done"}
    assert house.source.crm.bytes_of(ref) is None
    link = house.entry(ref).link
    assert link is not None
    assert len(house.source.crm.links_to(link.url)) == 1


def test_a_rebuilt_ledger_can_restore(house: House) -> None:
    """Documents come back byte for byte from a ledger that was rebuilt."""
    ref = house.source.crm.document("File", b"one", b"two", parents=[house.account("DE")])
    house.run()
    lose_ledger(house)

    for site in house.site():
        assert restore(site, [find(site, str(ref))]).restored == 1
    assert [house.source.crm.bytes_of(each) for each in house.source.crm.rows] == [[b"one", b"two"]]


@pytest.mark.parametrize("kind", ["File", "Note", "Entry"])
def test_a_restored_document_is_known_as_what_it_became(house: House, kind: str) -> None:
    """After a restore, the rebuilt ledger knows the document under its new id, and leads there from the old one."""
    ref = house.source.crm.document(kind, b"one", parents=[house.account("DE")])
    house.source.crm.document(kind, b"another", parents=[house.account("DE")])
    house.run()
    house.clock.advance(60)
    for site in house.site():
        assert restore(site, [find(site, str(ref))]).restored == 1
    before = known(house)
    now = house.entry(ref).document.ref

    assert lose_ledger(house).states == {"done": 1, "restored": 1}

    assert known(house) == before
    assert house.entry(ref).document.ref == now
    second = house.run()
    assert (second.moved, second.failed, second.returned) == (0, 0, [])


def test_a_document_that_was_restored_and_moved_again_is_one(house: House) -> None:
    """Moved, restored under a new id, edited and moved again: one document, done, with its newest bytes."""
    ref = house.source.crm.document("File", b"one", parents=[house.account("DE")])
    house.run()
    house.clock.advance(60)
    for site in house.site():
        restore(site, [find(site, str(ref))])
    now = house.entry(ref).document.ref
    house.clock.advance(60)
    house.source.crm.edit(now, b"two")
    house.clock.advance(60)
    assert house.run().moved == 1
    before = known(house)

    report = lose_ledger(house)

    assert (report.documents, report.errors) == (1, [])
    assert known(house) == before
    assert house.entry(ref).document.ref == now


def test_copies_in_several_stores_are_one_document(house: House) -> None:
    """A document that several stores hold comes back once, with all of its copies; a lost one is named and left out."""
    ref = house.source.crm.document("File", b"one", b"two", parents=[house.account("DE")])
    house.policy = BothStores()
    house.run()
    before = known(house)
    assert {copy.store for copy in house.entry(ref).versions[0].copies} == {"de", "us"}

    assert lose_ledger(house).errors == []
    assert known(house) == before

    house.us.delete(house.blobs(house.us)[0])
    report = lose_ledger(house)
    assert (report.documents, len(report.errors)) == (1, 1)
    assert {copy.store for copy in house.entry(ref).versions[0].copies} == {"de"}


@pytest.mark.parametrize("damage", ["edited", "missing", "shorter"])
def test_what_is_not_whole_is_named_and_left_out(house: House, damage: str) -> None:
    """An edited segment, a missing blob and one of another size are errors that name it; the rest is rebuilt."""
    crm = house.source.crm
    crm.document("File", b"one", parents=[house.account("DE")])
    house.run()
    crm.document("File", b"other", parents=[house.account("US")])
    house.run()
    segment = next(key for key, _ in house.de.list("catalog/") if key.endswith(".jsonl"))
    blob = house.blobs(house.de)[0]
    broken = {"edited": segment, "missing": blob, "shorter": blob}[damage]
    if damage == "edited":
        house.de.corrupt(segment)
    else:
        house.de.delete(blob)
    if damage == "shorter":
        house.de.put(blob, [b"o"])

    report = lose_ledger(house)

    assert report.documents == 1
    assert len(report.errors) == 1
    assert broken in report.errors[0]


def test_the_newer_description_counts(house: House) -> None:
    """Of a document that was moved, edited over its placeholder before it counted as done, and moved again, the last
    description is taken."""
    ref = house.source.crm.document("Note", b"old", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("remove", before=lambda: house.source.crm.edit(ref, b"newer")).port
    house.run()
    house.wrapped_source = None
    house.clock.advance(60)
    house.run()
    before = known(house)

    lose_ledger(house)

    assert known(house) == before


def test_checksums_and_sizes_of_the_crm_come_back(house: House) -> None:
    """What the CRM said of a version is known again, also where the stored size differs from it."""
    ref = house.source.crm.document("File", b"sum", parents=[house.account("DE")])
    house.run()
    lose_ledger(house)

    version = house.entry(ref).versions[0].version
    assert isinstance(version.checksum, Checksum)
    assert version.size == 3


def test_an_encrypted_store_carries_the_whole_job(house: House) -> None:
    """Documents move into an encrypted store, are proven there, and come back; the catalog tells both digests."""
    own, recovery = (pyrage.x25519.Identity.generate() for _ in range(2))
    keys = keys_of([str(own.to_public())], str(recovery.to_public()), str(own))
    house.wrapped_stores["de"] = EncryptedStore(house.de, keys)
    ref = house.source.crm.document("File", b"one", b"two" * 100_000, parents=[house.account("DE")])
    assert house.run().moved == 1
    before = known(house)
    for site in house.site():
        assert dict(verify(site).counts) == {"=": 1}
        assert dict(reconcile(site, deep=False).counts) == {"=": 1}
        assert dict(reconcile(site, deep=True).counts) == {"=": 1}

    lose_ledger(house)

    assert known(house) == before
    copy = house.entry(ref).versions[1].copies[0]
    held = b"".join(house.de.read(copy.key))
    assert (copy.held_size, copy.held_sha256) == (len(held), hashlib.sha256(held).hexdigest())
    assert copy.digest.size == 300_000
    for site in house.site():
        assert restore(site, [find(site, str(ref))]).restored == 1
    assert [house.source.crm.bytes_of(each) for each in house.source.crm.rows] == [[b"one", b"two" * 100_000]]
