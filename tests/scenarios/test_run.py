"""The whole job on fakes: what moves, what stays, and that it converges."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from offloader.errors import AuthError, Drift, Exhausted, IntegrityError, Refused, StoreFull, Throttled, Transient
from offloader.model import Assurance, Skip
from offloader.moves.apply import apply_plan
from offloader.moves.plan import make_plan
from offloader.moves.restore import find, restore
from offloader.moves.scan import scan
from offloader.moves.site import Limits
from offloader.moves.verify import reconcile, verify
from offloader.testing import MemoryStore
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import House

KINDS = ["File", "Note", "Entry"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_moves_and_leaves_a_link(house: House, kind: str) -> None:
    """A document's bytes end in the store of its country, a link stands in the CRM, the original's bytes are gone."""
    body = b"contract " * 1000
    ref = house.source.crm.document(kind, body, parents=[house.account("DE")])

    report = house.run()

    assert (report.moved, report.failed, report.links_verified, report.originals_removed) == (1, 0, 1, 1)
    entry = house.entry(ref)
    assert entry.link is not None
    assert len(house.source.crm.links_to(entry.link.url)) == 1
    assert body not in (house.source.crm.bytes_of(ref) or [])
    assert b"".join(house.de.read(entry.versions[0].copies[0].key)) == body
    assert house.blobs(house.us) == []
    assert house.states(ref) == {"done"}


def test_every_version_moves(house: House) -> None:
    """All versions of a document are copied before the document is removed."""
    ref = house.source.crm.document("File", b"one", b"two", b"three", parents=[house.account("DE")])

    report = house.run()

    assert report.versions_moved == 3
    assert sorted(b"".join(house.de.read(key)) for key in house.blobs(house.de)) == [b"one", b"three", b"two"]
    assert house.source.crm.bytes_of(ref) is None


@pytest.mark.parametrize(("step", "failed"), [("link", 0), ("remove", 1)])
def test_no_original_goes_by_what_an_earlier_run_verified(house: House, step: str, failed: int) -> None:
    """A copy that somebody removed from the store between two runs is made again before its original goes."""
    house.wrapped_source = Faulty(house.source).on(step, repeat=9, raise_=AuthError("logged out")).port
    ref = house.source.crm.document("File", b"bytes", parents=[house.account("DE")])
    house.run()
    assert house.states(ref) == {"verified" if step == "link" else "linked"}
    house.de.erase(*house.blobs(house.de))
    house.wrapped_source = None

    report = house.run()

    assert report.failed == failed
    assert house.source.crm.bytes_of(ref) == ([b"bytes"] if failed else None)
    house.run()
    assert house.states(ref) == {"done"}
    assert [b"".join(house.de.read(key)) for key in house.blobs(house.de)] == [b"bytes"]


def test_what_may_not_move_stays_with_a_reason(house: House) -> None:
    """A document without a permitted place, without a country, or marked by the source stays in the CRM."""
    crm = house.source.crm
    china = crm.document("File", b"a", parents=[house.account("CN")])
    nowhere = crm.document("File", b"b")
    marked = crm.document("File", b"c", parents=[house.account("DE")], skip=Skip("note", "a note is no file"))

    report = house.run()

    assert (report.moved, report.blocked, report.review, report.kept) == (0, 1, 1, 1)
    assert [crm.bytes_of(ref) for ref in (china, nowhere, marked)] == [[b"a"], [b"b"], [b"c"]]
    assert house.blobs(house.de) == house.blobs(house.us) == []
    assert house.entry(china).versions[0].detail == "nowhere"


def test_a_second_run_does_nothing(house: House) -> None:
    """With nothing changed, a second run decides nothing, reads nothing and writes nothing."""
    for number in range(5):
        house.source.crm.document("File", b"%d" % number, parents=[house.account("DE")])
    house.run()
    before = dict(house.source.usage().requests)

    report = house.run()

    after = house.source.usage().requests
    assert {name for name in after if after[name] != before.get(name, 0)} <= {"scan"}
    assert report.as_json()["moved"] == 0
    assert report.plan is None


def test_a_dry_run_changes_nothing(house: House) -> None:
    """Planning writes nothing to the CRM and nothing to a store."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])

    for site in house.site():
        scan(site)
        summary = make_plan(site)

    assert summary.moves == 1
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert house.blobs(house.de) == []


def test_a_new_version_between_read_and_removal_wins(house: House) -> None:
    """A document edited after its link was written is not removed; the next run moves the newer version too."""
    ref = house.source.crm.document("File", b"old", parents=[house.account("DE")])
    faulty = Faulty(house.source).on("remove", before=lambda: house.source.crm.edit(ref, b"new"))
    house.wrapped_source = faulty.port

    first = house.run()

    assert (first.moved, first.conflict, first.originals_removed) == (0, 1, 0)
    assert house.source.crm.bytes_of(ref) == [b"old", b"new"]
    reads = faulty.count("read")

    second = house.run()

    assert (second.moved, second.conflict) == (1, 0)
    assert house.source.crm.bytes_of(ref) is None
    assert sorted(b"".join(house.de.read(key)) for key in house.blobs(house.de)) == [b"new", b"old"]
    assert faulty.count("read") == reads + 1, "the verified version is not downloaded again"
    link = house.entry(ref).link
    assert link is not None
    assert len(house.source.crm.links_to(link.url)) == 1


def test_a_body_put_back_over_a_placeholder_is_said_and_moved_again(house: House) -> None:
    """Where a program puts the bytes back, the document is no success: the run says so, the next one moves it again."""
    ref = house.source.crm.document("Note", b"old", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("remove", before=lambda: house.source.crm.edit(ref, b"back")).port

    first = house.run()

    assert (first.moved, first.conflict, first.originals_removed) == (0, 1, 0)
    assert house.source.crm.bytes_of(ref) == [b"back"]

    house.wrapped_source = None
    second = house.run()

    assert (second.moved, second.conflict) == (1, 0)
    assert house.source.crm.bytes_of(ref) != [b"back"]


def test_bytes_that_come_back_after_the_move_are_reported(house: House) -> None:
    """A file put over a placeholder after the run is named by every scan that sees it; what is stored stays whole."""
    ref = house.source.crm.document("Note", b"old", parents=[house.account("DE")])
    house.run()
    assert house.run().returned == []

    house.source.crm.edit(ref, b"newer")
    report = house.run()

    assert report.returned == [str(ref)]
    assert house.source.crm.bytes_of(ref) == [b"newer"]
    assert [b"".join(house.de.read(key)) for key in house.blobs(house.de)] == [b"old"]


def test_small_documents_are_read_many_at_once(house: House) -> None:
    """Versions are read in groups of what the source declares, never mixing kinds, and by bytes where it says so."""
    parents = [house.account("DE")]
    for number in range(8):
        house.source.crm.document("File", b"f" * 10, str(number).encode(), parents=parents)
        house.source.crm.document("Note", b"n" * (10 + number), parents=parents)
    faulty = Faulty(house.source)
    house.wrapped_source = faulty.port
    house.source.capabilities = replace(house.source.capabilities, read_batch=4, read_bytes=22)

    assert house.run().moved == 16

    calls = [call.args[0] for call in faulty.calls if call.method == "read"]
    assert sum(map(len, calls)) == 24
    assert all(len({ref.document.kind for ref in refs}) == 1 for refs in calls)
    assert all(len(refs) <= 4 and sum(ref.size or 0 for ref in refs) <= 22 for refs in calls)
    assert len(calls) == 4 + 7


def test_a_new_parent_in_between_stops_the_removal(house: House) -> None:
    """A document that was hung on one more record meanwhile is decided afresh, not removed."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    china = house.account("CN")
    house.wrapped_source = Faulty(house.source).on("remove", before=lambda: house.source.crm.share(ref, china)).port

    report = house.run()

    assert report.conflict == 1
    assert house.source.crm.bytes_of(ref) == [b"x"]


@pytest.mark.parametrize("method", ["link", "remove"])
def test_a_lost_answer_makes_no_second_link(house: House, method: str) -> None:
    """When the answer to a write is lost after it was carried out, the run ends in one link and no original."""
    refs = [house.source.crm.document("File", b"%d" % n, parents=[house.account("DE")]) for n in range(3)]
    house.wrapped_source = Faulty(house.source).on(method, lost=True).port

    report = house.run()

    assert (report.moved, report.failed) == (3, 0)
    for ref in refs:
        link = house.entry(ref).link
        assert link is not None
        assert len(house.source.crm.links_to(link.url)) == 1


def test_a_truncated_body_is_read_again(house: House) -> None:
    """A body that ends early is never stored; the next try brings it whole."""
    ref = house.source.crm.document("File", b"0123456789", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("read", cut=4).port

    assert house.run().moved == 1
    assert b"".join(house.de.read(house.entry(ref).versions[0].copies[0].key)) == b"0123456789"


def test_bytes_that_are_not_the_crms_are_never_moved(house: House) -> None:
    """A body that keeps failing the CRM's own checksum stays in the CRM, and the run says which document."""
    ref = house.source.crm.document("File", b"right", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("read", repeat=99, corrupt=True).port

    report = house.run()

    assert (report.moved, report.failed) == (0, 1)
    assert ref.id in report.errors[0]
    assert "checksum" in report.errors[0]
    assert house.source.crm.bytes_of(ref) == [b"right"]
    assert house.blobs(house.de) == []


def test_a_store_that_changes_bytes_is_caught(house: House) -> None:
    """A store whose stored digest differs from what was sent never leads to a removal."""

    class Lying(MemoryStore):
        def put(self, key, chunks, *, size=None, digest=None):  # type: ignore[no-untyped-def]
            return super().put(key, [b"other"])

    ref = house.source.crm.document("File", b"right", parents=[house.account("DE")])
    house.wrapped_stores["de"] = Lying("de", countries=["DE"], now=house.clock.now)

    report = house.run()

    assert (report.moved, report.failed) == (0, 1)
    assert house.source.crm.bytes_of(ref) == [b"right"]


def test_a_full_store_ends_the_run_without_loss(house: House) -> None:
    """When a store has no room left, what was moved stays moved, the rest stays in the CRM, and the run says so."""
    refs = [house.source.crm.document("File", b"%04d" % n * 100, parents=[house.account("DE")]) for n in range(20)]
    house.wrapped_stores["de"] = Faulty(house.de).on("put", nth=6, repeat=999, raise_=StoreFull("no room in de")).port

    report = house.run()

    assert isinstance(report.stop_error, StoreFull)
    held = {b"".join(house.de.read(key)) for key in house.blobs(house.de)}
    for number, ref in enumerate(refs):
        body = b"%04d" % number * 100
        assert house.source.crm.bytes_of(ref) == [body] or body in held
    house.wrapped_stores.clear()
    assert house.run().failed == 0
    assert all(house.states(ref) == {"done"} for ref in refs)


def test_a_used_up_budget_stops_and_resumes(house: House) -> None:
    """When the CRM's allowance is used up the run stops at once, and the next run goes on where it stopped."""
    refs = [house.source.crm.document("File", b"%d" % n, parents=[house.account("DE")]) for n in range(20)]
    faulty = Faulty(house.source).on("read", nth=3, repeat=99, raise_=Exhausted("daily limit; come back in 3 h"))
    house.wrapped_source = faulty.port

    report = house.run()

    assert isinstance(report.stop_error, Exhausted)
    assert report.failed == 0
    house.wrapped_source = None
    assert house.run().failed == 0
    assert all(house.states(ref) == {"done"} for ref in refs)


def test_passing_trouble_is_waited_out(house: House) -> None:
    """Throttles and passing errors of a read are tried again, not reported as failures."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    faulty = Faulty(house.source).on("read", nth=1, raise_=Throttled("slow")).on("read", nth=2, raise_=Transient("503"))
    house.wrapped_source = faulty.port

    report = house.run()

    assert (report.moved, report.failed) == (1, 0)


def test_no_write_without_a_proof(house: House) -> None:
    """A store whose location is not proven gets no byte."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.de.assurance = Assurance.UNPROVEN

    report = house.run()

    assert (report.moved, report.blocked) == (0, 1)
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert house.blobs(house.de) == []


def test_apply_refuses_when_a_proof_drifted(house: House) -> None:
    """A plan whose store moved to another country since is refused before the first byte, saying which store."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    for site in house.site():
        scan(site)
        plan = make_plan(site).id
        assert plan is not None
        house.de.countries = frozenset({"DE", "US"})
        with pytest.raises(Drift, match="location proof of de"):
            apply_plan(site, plan)
    assert house.blobs(house.de) == []


@pytest.mark.parametrize("method", ["read", "link"])
def test_a_document_deleted_in_mid_run_is_let_go(house: House, method: str) -> None:
    """A document that a user deletes before it is read or linked is a conflict once, and no trouble afterwards, though
    no scan tells of the deletion."""
    ref = house.source.crm.document("Note", b"x", parents=[house.account("DE")])

    def delete() -> None:
        house.source.crm.delete(ref)
        house.source.crm.bin.clear()

    house.wrapped_source = Faulty(house.source).on(method, before=delete).port
    first = house.run()
    assert (first.moved, first.conflict, first.failed) == (0, 1, 0)
    house.wrapped_source = None

    second = house.run()

    assert (second.conflict, second.failed, second.kept) == (0, 0, 1)
    assert house.states(ref) == {"kept"}


def test_apply_refuses_when_the_evidence_changed(house: House) -> None:
    """Same verdict, same country, other answers than the plan rests on: a drift that names the answer."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.de.evidence = {"replication": "none"}
    for site in house.site():
        scan(site)
        plan = make_plan(site).id
        assert plan is not None
        house.de.evidence = {"replication": "1 rule, disabled"}
        with pytest.raises(Drift, match="replication: was none, is 1 rule, disabled"):
            apply_plan(site, plan)
    assert house.blobs(house.de) == []


def test_proofs_are_kept_with_their_evidence(house: House) -> None:
    """Every proof that shows something new is an event with the raw answers; the same proof again is none."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.de.evidence = {"region": "eu-central-1"}
    house.run()
    house.source.crm.document("File", b"y", parents=[house.account("DE")])
    house.run()
    for site in house.site():
        kept = [event.data for event in site.ledger.events() if event.type == "proof" and event.data["store"] == "de"]
    assert [each["evidence"]["region"] for each in kept] == ["eu-central-1"]
    assert kept[0]["proof"] == "PROVEN:DE"
    assert kept[0]["sha256"]


def test_a_proof_that_drifts_in_mid_run_stops_the_writes(house: House) -> None:
    """When a proof has run out and the new one shows another country, nothing more is written to that store."""
    for number in range(30):
        house.source.crm.document("File", b"%d" % number, parents=[house.account("DE")])

    def move_away() -> None:
        house.de.countries = frozenset({"US"})
        house.clock.advance(25 * 3600)

    house.pace = type(house.pace)(concurrency=1, attempts=3)
    faulty = Faulty(house.de).on("put", nth=2, after=move_away)
    house.wrapped_stores["de"] = faulty.port

    report = house.run()

    assert isinstance(report.stop_error, Drift)
    assert len(house.blobs(house.de)) < 30


def test_apply_refuses_when_a_document_changed(house: House) -> None:
    """A plan about a document that a later scan found changed is refused, naming the document."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    for site in house.site():
        scan(site)
        plan = make_plan(site).id
        assert plan is not None
        house.source.crm.edit(ref, b"y")
        scan(site)
        with pytest.raises(Drift, match=ref.id):
            apply_plan(site, plan)


@pytest.mark.parametrize("limits", [Limits(documents=1), Limits(bytes=3), Limits(percent=50)])
def test_a_plan_above_a_limit_is_refused(house: House, limits: Limits) -> None:
    """A plan that moves more documents, bytes or percent than allowed does nothing at all."""
    refs = [house.source.crm.document("File", b"xxx", parents=[house.account("DE")]) for _ in range(2)]
    house.limits = limits

    with pytest.raises(Refused, match="the limit is"):
        house.run()

    assert all(house.source.crm.bytes_of(ref) == [b"xxx"] for ref in refs)


@pytest.mark.parametrize("kind", KINDS)
def test_restore_puts_everything_back(house: House, kind: str) -> None:
    """A restored document has its bytes, title and parents again, and no link is left."""
    parents = [house.account("DE")]
    ref = house.source.crm.document(kind, b"precious", parents=parents, name="Vertrag.pdf")
    house.run()
    link = house.entry(ref).link
    assert link is not None

    for site in house.site():
        report = restore(site, [find(site, link.id)])

    assert (report.restored, report.failed, report.errors) == (1, 0, [])
    assert house.source.crm.links_to(link.url) == []
    rows = [row for row in house.source.crm.rows.values() if row.bodies[-1].data == b"precious"]
    assert len(rows) == 1
    assert set(rows[0].parents) == set(parents)
    assert house.run().moved == 0, "what was put back stays until somebody changes it"


def test_a_restore_from_spoilt_bytes_is_refused(house: House) -> None:
    """A stored copy that is not what was verified is never put back, and the link stays."""
    ref = house.source.crm.document("File", b"precious", parents=[house.account("DE")])
    house.run()
    house.de.corrupt(house.blobs(house.de)[0])

    for site in house.site():
        report = restore(site, [find(site, str(ref))])

    assert report.failed == 1
    link = house.entry(ref).link
    assert link is not None
    assert len(house.source.crm.links_to(link.url)) == 1


def test_reconcile_shows_every_difference(house: House) -> None:
    """Reconcile says = for what agrees, and - + * for a missing blob, an unknown blob, and a lost link."""
    crm = house.source.crm
    refs = [crm.document("File", b"%d" % n, parents=[house.account("DE")]) for n in range(4)]
    house.run()
    for site in house.site():
        assert reconcile(site, deep=True).same
    first, second = (house.entry(ref) for ref in refs[:2])
    assert second.link is not None
    house.de.delete(first.versions[0].copies[0].key)
    house.de.put("documents/crm/unknown/1", [b"?"])
    for row_id in [key for key, row in crm.links.items() if row.url == second.link.url]:
        del crm.links[row_id]

    for site in house.site():
        result = reconcile(site)

    assert dict(result.counts) == {"=": 2, "-": 1, "+": 1, "*": 1}


def test_verify_reads_bytes_back(house: House) -> None:
    """Verify finds a stored copy whose bytes changed."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.run()
    house.de.corrupt(house.blobs(house.de)[0])

    for site in house.site():
        assert dict(verify(site).counts) == {"*": 1}


def test_the_catalog_describes_what_is_stored(house: House) -> None:
    """Before an original is removed, its store holds a description with title, parents, digests and keys."""
    house.source.crm.document("File", b"x", name="Vertrag <b>.pdf", parents=[house.account("DE")])
    house.run()

    segments = [key for key, _ in house.de.list("catalog/") if key.endswith(".jsonl")]
    lines = [json.loads(line) for key in segments for line in b"".join(house.de.read(key)).splitlines()]
    assert [(line["title"], line["versions"][0]["key"]) for line in lines] == [
        ("Vertrag <b>.pdf", house.blobs(house.de)[0])
    ]


def test_a_copy_is_withdrawn_when_the_document_shall_stay(house: House) -> None:
    """A document that was copied, and whose record moved to another country before its link was written, stays in the
    CRM, and its bytes leave the store."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("link", repeat=99, raise_=Exhausted("come back later")).port
    house.run()
    assert house.states(ref) == {"verified"}
    assert len(house.blobs(house.de)) == 1
    house.source.crm.share(ref, house.account("CN"))
    house.wrapped_source = None

    report = house.run()

    assert (report.moved, report.review) == (0, 1)
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert house.blobs(house.de) == []
    for site in house.site():
        assert reconcile(site, deep=True).same


def test_integrity_error_is_not_swallowed(house: House) -> None:
    """An integrity error of a store is reported with the document, and the original stays."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_stores["de"] = Faulty(house.de).on("put", repeat=99, raise_=IntegrityError("read back differs")).port

    report = house.run()

    assert (report.failed, report.moved) == (1, 0)
    assert house.source.crm.bytes_of(ref) == [b"x"]
