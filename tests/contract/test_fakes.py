"""Where the fakes are stricter than a real system, so that a careless engine fails."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from offloader.errors import Permanent, Transient
from offloader.model import Document, DocumentRef, Link, Skip
from offloader.ports import Access, LinkRequest, Status
from offloader.testing import EPOCH, FakeClock, MemorySource, MemoryStore, context


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


def made(source: MemorySource, kind: str = "File", *bodies: bytes) -> Document:
    record = source.crm.record("Account", country="DE")
    return fetched(source, source.crm.document(kind, *(bodies or (b"body",)), parents=[record]))


def fetched(source: MemorySource, ref: DocumentRef) -> Document:
    (document,) = source.fetch([ref])
    assert document
    return document


def request(document: Document) -> LinkRequest:
    return LinkRequest(document=document, link=Link("l", f"https://files.example.com/{document.ref.id}"))


def parents(document: Document) -> set[tuple[str, str]]:
    return {(parent.type, parent.id) for parent in document.parents}


def test_a_repeated_link_without_attempted_is_a_second_link(source: MemorySource) -> None:
    """An engine that forgets `attempted` makes duplicates here too."""
    wanted = request(made(source))
    source.link([wanted])
    source.link([wanted])
    assert len(source.crm.links_to(wanted.link.url)) == 2


def test_batches_are_bounded(source: MemorySource) -> None:
    """More items than the capabilities allow are refused."""
    document = made(source)
    with pytest.raises(Permanent):
        source.link([request(document)] * 201)
    with pytest.raises(Permanent):
        [*source.read([document.version_ref(document.current)] * 5)]


def test_an_earlier_body_cannot_be_read_later(source: MemorySource) -> None:
    """Chunks of a delivery are lost once the next delivery was asked for."""
    documents = [made(source, "File", body) for body in (b"1", b"2")]
    deliveries = [*source.read([each.version_ref(each.current) for each in documents])]
    with pytest.raises(Permanent):
        b"".join(deliveries[0].chunks or ())


def test_unknown_kinds_are_an_error(source: MemorySource) -> None:
    """A kind that the CRM does not have cannot be scanned, nor hold versions that it does not know."""
    with pytest.raises(Permanent):
        [*source.scan("Folder")]
    with pytest.raises(ValueError, match="2 versions"):
        source.crm.document("Note", b"1", b"2")


def test_a_deleted_parent_is_a_conflict(source: MemorySource) -> None:
    """A link is not made when a parent was deleted meanwhile, and a restore does without it."""
    document, later = made(source), made(source)
    source.crm.delete_record((document.parents[0].type, document.parents[0].id))
    assert [outcome.status for outcome in source.link([request(document)])] == [Status.CONFLICT]
    wanted = request(later)
    source.link([wanted])
    source.remove([wanted])
    source.crm.delete_record((later.parents[0].type, later.parents[0].id))
    back = source.restore(wanted, lambda version: [b"body"]).document
    assert back
    assert not parents(back)


@pytest.mark.parametrize("kind", ["File", "Note"])
def test_what_the_crm_refuses(source: MemorySource, kind: str) -> None:
    """A link that is too long, and an inactive owner, are refused for good."""
    owner = source.crm.user("left@example.com")
    document = fetched(source, source.crm.document(kind, b"body", owner=owner))
    long = LinkRequest(document=document, link=Link("l", "https://files.example.com/" + "x" * 300))
    assert source.link([long])[0].status is Status.REFUSED
    source.crm.inactive.add(owner)
    assert source.link([request(document)])[0].status is Status.REFUSED
    assert source.may_read("left@example.com", [request(document)]) == [Access.NO]


def test_a_renamed_or_unshared_document_is_not_removed(source: MemorySource) -> None:
    """Another title, other sharing, one parent less: each is a change that wins over the removal."""
    documents = [made(source) for _ in range(3)]
    requests = [request(document) for document in documents]
    source.link(requests)
    records = [(document.parents[0].type, document.parents[0].id) for document in documents]
    source.crm.rename(documents[0].ref, "other.pdf")
    source.crm.share(documents[1].ref, records[1], {"role": "editor"})
    source.crm.unshare(documents[2].ref, records[2])
    assert [outcome.status for outcome in source.remove(requests)] == [Status.CONFLICT] * 3


def test_a_changed_link_is_noticed(source: MemorySource) -> None:
    """Inspect does not take a link for the requested one when it has another title or hangs elsewhere."""
    wanted = request(made(source))
    source.link([wanted])
    (link,) = source.crm.links_to(wanted.link.url)
    link.title = "other"
    assert source.inspect([wanted])[0].status is Status.CONFLICT
    link.title = wanted.document.title
    link.parents = {}
    assert source.inspect([wanted])[0].status is Status.CONFLICT


def test_in_place_restores_look_first(source: MemorySource) -> None:
    """A row that holds another link, or is gone, or was never replaced, is not overwritten by a restore."""
    replaced, gone, never = (made(source, "Note") for _ in range(3))
    source.link([request(replaced)])
    other = LinkRequest(document=replaced, link=Link("o", "https://files.example.com/other"))
    assert source.restore(other, lambda version: [b"x"]).status is Status.CONFLICT
    source.crm.delete(gone.ref)
    assert source.link([request(gone)])[0].status is Status.GONE
    assert source.restore(request(gone), lambda version: [b"x"]).status is Status.GONE
    assert source.restore(request(never), lambda version: [b"x"]).document == never


def test_a_standing_original_is_not_restored_twice(source: MemorySource) -> None:
    """A two-step document that was never removed is what a restore answers."""
    document = made(source)
    assert source.restore(request(document), lambda version: [b"x"]).document == document
    assert source.crm.bytes_of(document.ref) == [b"body"]


def test_rights_can_be_taken_away(source: MemorySource) -> None:
    """Whoever may see an e-mail may read what hangs on it, until the right is revoked."""
    email = source.crm.email(country="FR")
    document = fetched(source, source.crm.document("Note", b"body", parents=[email], skip=Skip("draft", "a draft")))
    assert document.parents[0].signals == {"country": "FR"}
    user = source.crm.user("reader@example.com")
    source.crm.grant(user, email)
    assert source.may_read(user, [request(document)]) == [Access.YES]
    source.crm.revoke(user, email)
    assert source.may_read(user, [request(document)]) == [Access.NO]


def test_a_spoilt_object_is_measured_as_it_is() -> None:
    """`corrupt` changes what a store gives back, as a bad disk does."""
    store = MemoryStore()
    before = [store.put("a", [b"body"]), store.put("empty", [])]
    for stored in before:
        store.corrupt(stored.key)
        assert store.stat(stored.key) != stored
    with pytest.raises(Permanent):
        store.read("a", offset=-1)


def test_the_clock_moves_only_when_told(tmp_path: Path) -> None:
    """Sleeping moves both clocks; setting back moves only the wall clock, as an operator does."""
    clock = FakeClock()
    outside = context(tmp_path, clock=clock, environ={"A": "b"}, random=0.25)
    outside.sleep(90)
    assert (outside.now(), outside.monotonic(), clock.slept) == (EPOCH + timedelta(seconds=90), 90.0, [90])
    clock.set_back(100)
    assert outside.now() == EPOCH - timedelta(seconds=10)
    assert outside.monotonic() == 90.0
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    assert (outside.random(), outside.environ, outside.directory) == (0.25, {"A": "b"}, tmp_path)


def test_errors_of_a_body_are_the_downloads_own(source: MemorySource) -> None:
    """A cut is used up by one download."""
    document = made(source, "File", b"12345678")
    ref = document.version_ref(document.current)
    source.crm.cut.add(ref)
    (delivery,) = source.read([ref])
    with pytest.raises(Transient):
        b"".join(delivery.chunks or ())
    (again,) = source.read([ref])
    assert b"".join(again.chunks or ()) == b"12345678"
