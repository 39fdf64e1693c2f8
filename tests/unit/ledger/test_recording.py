"""What a scan leaves in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offloader.errors import Permanent
from offloader.ledger import Copy, Entry, Ledger, RecordedPage, Step, Tally, open_ledger
from offloader.model import (
    Checksum,
    Digest,
    Document,
    DocumentRef,
    Finding,
    Parent,
    Severity,
    Skip,
    State,
    Strategy,
    Version,
)
from offloader.ports import Page

Make = Callable[..., Any]


def test_document_comes_back_as_it_was(ledger: Ledger, record: Make, document: Make, version: Make) -> None:
    """A document survives the ledger with every field, however hostile."""
    whole = document(
        versions=(version("v1", 1, current=False, mime="text/plain"), version("v2", 2, size=None, checksum=None)),
        strategy=Strategy.STUB_IN_PLACE,
        skip=Skip("FEED", "it's in a feed\ud800"),
        extra={"a": None, "b": 1},
    )

    assert record(whole) == RecordedPage(2, 0, 0)

    entry = ledger.entry(whole.ref)
    assert entry is not None
    assert entry.document == whole
    assert [(found.version, found.state, found.gone) for found in entry.versions] == [
        (whole.versions[0], State.SEEN, False),
        (whole.versions[1], State.SEEN, False),
    ]


def test_same_page_again_changes_nothing(ledger: Ledger, record: Make, document: Make) -> None:
    """A page that is recorded twice leaves the same documents, and no event."""
    page = [document("D1"), document("D2")]
    record(*page)
    entries, events = ledger.entries(), ledger.events()

    assert record(*page) == RecordedPage(0, 0, 2)
    assert (ledger.entries(), ledger.events()) == (entries, events)


def test_unchanged_version_keeps_its_state(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make
) -> None:
    """A version that is seen again as it was stays where it stands."""
    entry = seen(document(), State.PLANNED, State.COPIED)

    record(entry.document)

    assert ledger.entry(entry.document.ref) == entry


@pytest.mark.parametrize("changes", [{"etag": "other"}, {"size": 7}, {"checksum": Checksum("md5", "0" * 32)}])
@pytest.mark.parametrize("states", [[State.KEPT], [State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED]])
def test_changed_version_is_seen_again(
    ledger: Ledger,
    record: Make,
    seen: Callable[..., Entry],
    document: Make,
    changes: dict[str, Any],
    states: list[State],
) -> None:
    """Another etag, size or checksum puts a version back to seen, and the log keeps what it was."""
    entry = seen(document(), *states)
    old = entry.document.current
    changed = replace(entry.document, versions=(replace(old, **changes),))

    assert record(changed) == RecordedPage(0, 1, 0)

    found = ledger.entry(changed.ref)
    assert found is not None
    assert (found.document, found.versions[0].state) == (changed, State.SEEN)
    event = ledger.events(document=entry.pk)[-1]
    assert (event.from_state, event.to_state, event.data["was"]["etag"]) == (states[-1], State.SEEN, old.etag)


def test_changed_version_that_is_still_seen_leaves_an_event(ledger: Ledger, record: Make, document: Make) -> None:
    """A change before any decision is no transition, but is in the log."""
    first = document()
    record(first)
    record(replace(first, versions=(replace(first.current, etag="other"),)))

    assert [event.type for event in ledger.events()] == ["seen", "changed"]
    assert ledger.entries()[0].versions[0].version.etag == "other"


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({}, {"etag": "other"}, True),
        ({}, {"checksum": Checksum("md5", "0" * 32)}, False),
        ({"checksum": None}, {"etag": "other"}, False),
        ({}, {"size": 7}, False),
    ],
)
def test_copy_of_other_bytes_is_no_copy(
    ledger: Ledger,
    record: Make,
    seen: Callable[..., Entry],
    document: Make,
    version: Make,
    before: dict[str, Any],
    after: dict[str, Any],
    kept: bool,
) -> None:
    """After a change an old copy counts only if the CRM's own checksum says that the bytes are the same."""
    entry = seen(document(versions=(version("v1", **before),)), State.PLANNED)
    copy = Copy("de", "k", Digest.of(b"old"))
    ledger.advance([Step(entry.versions[0].pk, State.COPIED, copy=copy)])

    record(replace(entry.document, versions=(replace(entry.document.current, **after),)))

    assert ledger.entries()[0].versions[0].copies == ((copy,) if kept else ())
    assert ledger.knows_key("de", "k")


def test_other_parents_are_decided_afresh(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make
) -> None:
    """A parent in another country puts every version back to seen, though no version changed; its copy stays."""
    entry = seen(document(), State.PLANNED)
    copy = Copy("de", "k", Digest.of(b"x"))
    ledger.advance([Step(entry.versions[0].pk, State.COPIED, copy=copy)])

    record(replace(entry.document, parents=(Parent(type="Account", id="A'1", signals={"country": "CN"}),)))

    found = ledger.entries()[0].versions[0]
    assert (found.state, found.copies) == (State.SEEN, (copy,))


def test_new_version_joins_and_its_elder_stays(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make, version: Make
) -> None:
    """A version uploaded in between is new; the one before it keeps its state though it is no longer current."""
    entry = seen(document(), State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED)
    elder = replace(entry.document.current, current=False)
    grown = replace(entry.document, versions=(elder, version("D1-v2", 2)), etag="doc-2")

    assert record(grown) == RecordedPage(1, 0, 1)

    found = ledger.entry(grown.ref)
    assert found is not None
    assert found.document == grown
    assert [known.state for known in found.versions] == [State.LINKED, State.SEEN]


def test_vanished_version_is_kept_apart(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make, version: Make
) -> None:
    """A version that the CRM no longer lists is no version of the document, but is not forgotten."""
    both = document(versions=(version("v1", 1), version("v2", 2)))
    seen(both, State.KEPT)
    record(replace(both, versions=both.versions[:1], etag="less"))

    entry = ledger.entries()[0]

    assert [known.id for known in entry.document.versions] == ["v1"]
    assert [(known.version.id, known.gone) for known in entry.versions] == [("v1", False), ("v2", True)]


@pytest.mark.parametrize("last", [(), (State.ERASED,)])
def test_removed_original_is_not_described_by_what_stands_there_now(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make, last: tuple[State, ...]
) -> None:
    """What the CRM shows in place of a moved document changes neither its state nor what is needed to restore it."""
    entry = seen(document(), State.PLANNED, State.COPIED, State.VERIFIED, State.DONE, *last)
    stub = replace(entry.document, title="stub", etag="stub", versions=(replace(entry.document.current, size=9),))

    assert record(stub) == RecordedPage(0, 0, 1, (entry.document.ref,))
    assert ledger.entry(entry.document.ref) == entry


def test_moved_version_stays_though_another_one_joins(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make, version: Make
) -> None:
    """A version whose original we removed stays as it is, also when a new version stands beside it."""
    entry = seen(document(), State.PLANNED, State.COPIED, State.VERIFIED, State.DONE)
    stub = replace(entry.document.current, size=9, etag="stub")

    record(replace(entry.document, versions=(stub, version("v2", 2)), etag="more"))

    moved, new = ledger.entries()[0].versions
    assert moved == entry.versions[0]
    assert (new.version.id, new.state) == ("v2", State.SEEN)


def test_restored_document_stays_restored_until_its_bytes_change(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make
) -> None:
    """Another title does not undo a restore; another version content does."""
    path = [State.PLANNED, State.COPIED, State.VERIFIED, State.LINKED, State.DONE, State.RESTORED]
    entry = seen(document(), *path)

    record(replace(entry.document, title="renamed"))
    assert ledger.entries()[0].versions[0].state is State.RESTORED
    record(replace(entry.document, versions=(replace(entry.document.current, etag="edited"),)))
    assert ledger.entries()[0].versions[0].state is State.SEEN


def test_deleted_and_back_again(ledger: Ledger, record: Make, document: Make) -> None:
    """A deletion marks a known document once, an unknown one never; seen again, it is back."""
    known, unknown = document("D1"), DocumentRef("sf", "ContentDocument", "D9")
    record(known)
    for _ in range(2):
        record(deleted=(known.ref, unknown))
    assert ledger.entries()[0].deleted
    record(known)

    assert not ledger.entries()[0].deleted
    assert [event.type for event in ledger.events()] == ["seen", "deleted", "reappeared"]


def test_scan_state_goes_with_the_page(ledger: Ledger, document: Make, clock: Make) -> None:
    """Cursor, watermark, end and blind spots are those of the pages recorded so far."""
    blind = Finding(Severity.ERROR, "NO_QUERY_ALL", "cannot see all", "grant it", "private files")
    other = Finding(Severity.WARNING, "X", "y")
    assert ledger.scan_state("sf", "ContentDocument") is None

    def record(since: str | None, **page: Any) -> Any:
        ledger.record_page("sf", "ContentDocument", Page(**({"documents": ()} | page)), since=since)
        state = ledger.scan_state("sf", "ContentDocument")
        assert state is not None
        return (state.since, state.cursor, state.watermark, state.finished, state.blind_spots)

    assert record(None, documents=(document(),), cursor="c1", blind_spots=(blind,)) == (
        None,
        "c1",
        None,
        None,
        (blind,),
    )
    assert record(None, cursor="c1", blind_spots=(blind,)) == (None, "c1", None, None, (blind,))
    assert record(None, watermark="w1", blind_spots=(other,)) == (None, None, "w1", clock(), (blind, other))
    assert record("w1", cursor="c2") == ("w1", "c2", "w1", clock(), ())
    assert record("w1", watermark="w1", blind_spots=(other,)) == ("w1", None, "w1", clock(), (other,))
    assert record("w1", watermark="w1") == ("w1", None, "w1", clock(), ())


def test_page_of_another_kind_is_refused(ledger: Ledger, document: Make) -> None:
    """A connector that mixes its kinds is stopped before anything is written."""
    with pytest.raises(Permanent, match="sf/ContentDocument/D1"):
        ledger.record_page("sf", "Attachment", Page(documents=(document(),)), since=None)

    assert ledger.entries() == []


def test_id_that_is_no_text_is_refused(record: Make, document: Make, version: Make) -> None:
    """An id that no database can hold is named, spelled out."""
    with pytest.raises(Permanent, match=r"\\ud800"):
        record(document("\ud800", versions=(version("v1"),)))


def test_lying_sizes_do_no_harm(ledger: Ledger, record: Make, document: Make, version: Make) -> None:
    """Sizes beyond all measure are kept as the CRM says them, and can still be added up."""
    lies = document(versions=(version("v1", 1, size=10**30), version("v2", 2, size=-5)))
    record(lies)

    assert ledger.entries()[0].document == lies
    assert ledger.tally()["sf", "ContentDocument", State.SEEN] == Tally(2, 1, 1 << 40)


def test_tally_counts_versions_documents_and_bytes(ledger: Ledger, record: Make, document: Make, version: Make) -> None:
    """A document counts in each state that one of its versions is in; an unknown size counts nothing."""
    two = document("D1", versions=(version("a", 1), version("b", 2)))
    record(two, document("D2"), document("D3", versions=(version("c", size=None),)))
    ledger.record_page(
        "crm2", "note", Page(documents=(replace(two, ref=DocumentRef("crm2", "note", "N")),)), since=None
    )
    ledger.advance([Step(ledger.entries()[0].versions[0].pk, State.KEPT)])

    assert ledger.tally() == {
        ("sf", "ContentDocument", State.SEEN): Tally(3, 3, 300),
        ("sf", "ContentDocument", State.KEPT): Tally(1, 1, 100),
        ("crm2", "note", State.SEEN): Tally(2, 1, 300),
    }


def test_entries_by_state_come_once_each_in_pages(ledger: Ledger, record: Make, document: Make, version: Make) -> None:
    """Pages by state hold each matching document once, whole, in order, whatever its kind and source."""
    many = [document(f"D{i}", versions=(version(f"{i}a", 1), version(f"{i}b", 2))) for i in range(7)]
    record(*many[:4])
    others = tuple(replace(it, ref=DocumentRef("crm2", "note", it.ref.id)) for it in many[4:])
    ledger.record_page("crm2", "note", Page(documents=others), since=None)
    ledger.advance([Step(ledger.entries()[i].versions[0].pk, State.KEPT) for i in (0, 5)])

    def walk(**filters: Any) -> list[int]:
        pks: list[int] = []
        while page := ledger.entries(after=pks[-1] if pks else 0, limit=2, **filters):
            assert all(len(entry.versions) == 2 for entry in page)
            pks.extend(entry.pk for entry in page)
        return pks

    assert walk() == walk(states={State.SEEN, State.KEPT}) == [1, 2, 3, 4, 5, 6, 7]
    assert walk(states={State.KEPT}) == [1, 6]
    assert walk(states={State.KEPT}, source="crm2") == [6]
    assert walk(source="crm2", kind="note") == walk(states={State.SEEN}, kind="note") == [5, 6, 7]
    assert ledger.pending({State.KEPT, State.DONE})
    assert not ledger.pending({State.DONE, State.LINKED})


def test_entries_by_number_keep_the_order(ledger: Ledger, record: Make, document: Make) -> None:
    """Documents come in the order asked for, twice if asked twice; unknown numbers are left out."""
    record(document("D1"), document("D2"))

    assert [entry.pk for entry in ledger.entries_by_pk([2, 99, 1, 2])] == [2, 1, 2]


def test_more_documents_than_a_statement_takes(ledger: Ledger, record: Make, document: Make) -> None:
    """A page of thousands is compared and read in parts."""
    many = [document(f"D{i}", title="t") for i in range(1201)]
    record(*many)

    assert record(*many) == RecordedPage(0, 0, 1201)
    assert [entry.document for entry in ledger.entries_by_pk(range(1, 1202))] == many


def replaced(ledger: Ledger, entry: Entry, fresh: Document) -> Entry:
    ledger.replace_document(entry.pk, fresh)
    found = ledger.entry(fresh.ref)
    assert found is not None
    return found


def test_restored_document_under_new_ids(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make, version: Make
) -> None:
    """After a restore the old reference and the new one lead to the same document, history and copies kept."""
    old = document("OLD", versions=(version("o1", 1), version("o2", 2)))
    entry = seen(old, State.PLANNED)
    copy = Copy("de", "k", Digest.of(b"x"))
    ledger.advance([Step(entry.versions[1].pk, State.COPIED, copy=copy)])
    fresh = document("NEW", versions=(version("n1", 1), version("n2", 2)))

    found = replaced(ledger, entry, fresh)

    assert (found.pk, found.document) == (entry.pk, fresh)
    assert ledger.entry(old.ref) == found
    assert [(known.pk, known.version.id, known.state, known.copies) for known in found.versions] == [
        (entry.versions[0].pk, "n1", State.PLANNED, ()),
        (entry.versions[1].pk, "n2", State.COPIED, (copy,)),
    ]
    assert record(fresh) == RecordedPage(0, 0, 2)


def test_restored_twice_leads_on(ledger: Ledger, seen: Callable[..., Entry], document: Make) -> None:
    """All references that a document ever had lead to it."""
    entry = seen(document("A"))
    for name in ("B", "C", "A", "D"):
        found = replaced(ledger, entry, document(name))
        assert found.document.ref.id == name

    for name in "ABCD":
        assert ledger.entry(DocumentRef("sf", "ContentDocument", name)) == found


def test_restored_document_that_a_scan_met_first(
    ledger: Ledger, record: Make, seen: Callable[..., Entry], document: Make
) -> None:
    """A scan that came between the restore and its record leaves no second document to be moved."""
    entry = seen(document("OLD"), State.KEPT)
    fresh = document("NEW")
    record(fresh)

    found = replaced(ledger, entry, fresh)

    assert (found.pk, found.document) == (entry.pk, fresh)
    assert not ledger.pending({State.SEEN})
    assert [other.deleted for other in ledger.entries() if other.pk != entry.pk] == [True]


def test_restored_document_in_place(ledger: Ledger, seen: Callable[..., Entry], document: Make) -> None:
    """A document that is restored under its own ids is described afresh."""
    entry = seen(document())
    fresh = replace(entry.document, etag="after", versions=(replace(entry.document.current, etag="after"),))

    assert replaced(ledger, entry, fresh).document == fresh


def test_restored_with_more_versions(ledger: Ledger, seen: Callable[..., Entry], document: Make, version: Make) -> None:
    """A version that came with the restore begins as seen."""
    entry = seen(document(), State.KEPT)

    found = replaced(ledger, entry, document("NEW", versions=(version("n1", 1), version("n2", 2))))

    assert [(known.version.id, known.state) for known in found.versions] == [("n1", State.KEPT), ("n2", State.SEEN)]


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_repeated_page_is_no_change(data: st.DataObject, clock_now: Make) -> None:
    """Whatever pages came before, and whatever states versions are in, the last page again changes nothing."""
    ids = st.sampled_from(["a", "b", "c"])
    versions = st.builds(
        Version,
        id=ids,
        number=st.integers(1, 3),
        name=st.text(max_size=5),
        size=st.none() | st.integers(0, 5),
        checksum=st.none() | st.builds(Checksum, st.just("md5"), st.sampled_from(["x", "y"])),
        etag=ids,
    )
    documents = st.builds(
        Document,
        ref=st.builds(DocumentRef, st.just("sf"), st.just("k"), ids),
        title=st.text(max_size=5),
        versions=st.lists(versions, max_size=3, unique_by=lambda version: version.id).map(tuple),
        parents=st.lists(st.builds(Parent, type=ids, id=ids), max_size=2).map(tuple),
        etag=ids,
    )
    pages = st.builds(
        Page,
        documents=st.lists(documents, max_size=4, unique_by=lambda document: document.ref).map(tuple),
        cursor=st.none() | ids,
        watermark=ids,
    )
    with TemporaryDirectory() as folder, open_ledger(Path(folder) / "l.db", now=clock_now) as ledger:
        for page in data.draw(st.lists(pages, min_size=1, max_size=3)):
            ledger.record_page("sf", "k", page, since=None)
            for entry in ledger.entries():
                for version in entry.versions:
                    if version.state is State.SEEN:
                        to = data.draw(st.sampled_from([State.SEEN, State.KEPT, State.PLANNED]))
                        ledger.advance([Step(version.pk, to)] if to is not State.SEEN else [])
        before = (ledger.entries(), ledger.events(), ledger.scan_state("sf", "k"), ledger.tally())
        again = ledger.record_page("sf", "k", page, since=None)

        assert (again.new_versions, again.changed) == (0, 0)
        assert again.unchanged == sum(len(document.versions) for document in page.documents)
        assert (ledger.entries(), ledger.events(), ledger.scan_state("sf", "k"), ledger.tally()) == before
