"""`SourceContract`: the port's docstrings, clause by clause, as tests. Needs pytest.

    class TestMyCrm(SourceContract):
        kinds = MyCrm.CAPABILITIES.kinds

        @pytest.fixture
        def bench(self) -> SourceBench:
            return MyBench(...)

Tests that take `two_step`, `in_place`, `versioned` or `shared` run for the kinds that declare it, all others for
every kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import pytest

from offloader.errors import IntegrityError, Transient
from offloader.model import Document, DocumentRef, Link, Version
from offloader.ports import Access, Delivery, KindCapabilities, LinkRequest, Page, Status
from offloader.testing.bench import SourceBench

T = TypeVar("T")
FILTERS: dict[str, Callable[[KindCapabilities], bool]] = {
    "kind": lambda kind: True,
    "two_step": lambda kind: not kind.strategy.in_place,
    "in_place": lambda kind: kind.strategy.in_place,
    "versioned": lambda kind: kind.versions,
    "shared": lambda kind: kind.multi_parent,
}


class SourceContract:
    """Every source must pass."""

    #: the kinds to test; a kind whose documents differ in strategy can stand here twice, with `replace`
    kinds: ClassVar[Sequence[KindCapabilities]] = ()

    def pytest_generate_tests(self, metafunc: Any) -> None:
        for name, fits in FILTERS.items():
            if name in metafunc.fixturenames:
                chosen = [
                    pytest.param(kind, id=f"{kind.kind}-{kind.strategy.value}") for kind in self.kinds if fits(kind)
                ]
                reason = f"capability: the source has no kind that is {name}"
                metafunc.parametrize(name, chosen or [pytest.param(None, marks=pytest.mark.skip(reason=reason))])

    @pytest.fixture
    def bench(self) -> SourceBench:
        raise NotImplementedError("a contract's subclass brings the bench")

    # scan, fetch

    def test_scan_lists_every_document_whole(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A scan lists all documents with versions, names, sizes and parents, on pages that end with a watermark."""
        refs = [bench.make(kind, bytes([number]) * (number + 1)) for number in range(5)]
        pages = [*bench.source.scan(kind.kind)]
        found = {document.ref: document for page in pages for document in page.documents}
        assert found.keys() >= set(refs)
        for number, ref in enumerate(refs):
            document = found[ref]
            assert document.strategy is kind.strategy
            assert document.skip is None
            assert len(document.parents) == 1
            assert document.current.name == "report.pdf"
            size = document.current.size
            assert size is not None or not kind.size_known
            assert size is None or abs(size - (number + 1)) <= document.current.size_slack
        assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
        assert pages[-1].watermark
        assert not pages[-1].blind_spots

    def test_scan_and_fetch_agree(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """What a scan lists is what fetch reads."""
        ref = bench.make(kind, b"same")
        assert scanned(bench, kind)[ref] == fetch(bench, ref)

    def test_versions_come_oldest_first(self, bench: SourceBench, versioned: KindCapabilities) -> None:
        """A document has all its versions, numbered from the oldest; only the newest is current."""
        document = fetch(bench, bench.make(versioned, b"one", b"two!", b"three"))
        assert [version.number for version in document.versions] == [1, 2, 3]
        assert [version.current for version in document.versions] == [False, False, True]
        assert bodies(bench, document) == [b"one", b"two!", b"three"]

    def test_all_parents_are_listed(self, bench: SourceBench, shared: KindCapabilities) -> None:
        """A document that hangs on three records has these three parents."""
        assert len({parent.id for parent in fetch(bench, bench.make(shared, b"x", parents=3)).parents}) == 3

    def test_a_scan_resumes_at_a_cursor(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """From any page's cursor on, a scan goes on with the documents that are still missing, to the same end."""
        refs = {bench.make(kind, b"x") for _ in range(5)}
        pages = [*bench.source.scan(kind.kind)]
        assert len(pages) > 1, "the bench's source must list on small pages"
        for number, page in enumerate(pages[:-1]):
            rest = [*bench.source.scan(kind.kind, cursor=page.cursor)]
            seen = refs_of([*pages[: number + 1], *rest])
            assert seen >= refs
            assert not refs_of(rest) >= refs
            assert rest[-1].watermark

    def test_since_returns_what_changed(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """With a watermark, a scan lists what was made or edited since then; an overlap may bring more."""
        edited = bench.make(kind, b"before")
        watermark = [*bench.source.scan(kind.kind)][-1].watermark
        assert watermark
        bench.edit(edited, b"after it")
        made = bench.make(kind, b"new")
        assert refs_of(bench.source.scan(kind.kind, since=watermark)) >= {edited, made}

    def test_a_watermark_misses_nothing_that_happens_during_the_scan(
        self, bench: SourceBench, kind: KindCapabilities
    ) -> None:
        """What changes between the first page and the last comes with this scan or with the next one."""
        refs = [bench.make(kind, b"x") for _ in range(5)]
        pages: list[Page] = []
        for page in bench.source.scan(kind.kind):
            if not pages:
                for ref in refs:
                    bench.edit(ref, b"edited meanwhile")
            pages.append(page)
        again = bench.source.scan(kind.kind, since=pages[-1].watermark)
        latest = {document.ref: document.etag for page in [*pages, *again] for document in page.documents}
        assert {ref: latest[ref] for ref in refs} == {ref: fetch(bench, ref).etag for ref in refs}

    def test_only_certain_deletions_are_reported(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A document that is there is never reported deleted, in a full scan or since a watermark."""
        kept, gone = bench.make(kind, b"kept"), bench.make(kind, b"gone")
        watermark = [*bench.source.scan(kind.kind)][-1].watermark
        bench.delete(gone)
        full, later = [*bench.source.scan(kind.kind)], [*bench.source.scan(kind.kind, since=watermark)]
        assert gone not in refs_of(full)
        assert gone not in refs_of(later)
        assert kept not in {ref for page in [*full, *later] for ref in page.deleted}

    def test_what_must_stay_comes_with_a_reason(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A document that must not be offloaded is listed with `skip` set, code and sentence."""
        ref = bench.make_unmovable(kind)
        if ref is None:
            pytest.skip("capability: the CRM has no document of this kind that must stay")
        skip = scanned(bench, kind)[ref].skip
        assert skip
        assert skip.code
        assert skip.reason

    def test_a_blind_scan_says_so(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A scan that cannot see all documents says what it hides and what to do about it, and so does check."""
        hidden = bench.make(kind, b"x")
        if not bench.blind(hidden):
            pytest.skip("capability: the CRM shows this kind to everybody")
        pages = [*bench.source.scan(kind.kind)]
        assert hidden not in refs_of(pages)
        spots = [spot for page in pages for spot in page.blind_spots]
        assert spots
        assert all(spot.hides and spot.remedy for spot in spots)
        assert any(finding.hides and finding.remedy for finding in bench.source.check())

    def test_fetch_answers_in_order(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Fetch answers one document for each reference, in their order, and None for one that is gone."""
        first, gone, last = (bench.make(kind, body) for body in (b"1", b"22", b"333"))
        bench.delete(gone)
        found = bench.source.fetch([last, gone, first])
        assert [document and document.ref for document in found] == [last, None, first]

    def test_refresh_reads_what_the_records_say_now(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """The signals of a document's records are read without the document, as a scan reads them."""
        if not bench.source.capabilities.refresh:
            pytest.skip("capability: the source does not declare refresh")
        ref = bench.make(kind, b"x")
        document = fetch(bench, ref)
        bare = replace(document, parents=tuple(replace(each, signals={}) for each in document.parents))
        assert [each.parents for each in bench.source.refresh([bare])] == [document.parents]
        bench.delete(ref)
        assert [each.parents for each in bench.source.refresh([bare])] == [document.parents]

    def test_an_edit_changes_the_etag(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """The etag is stable while nobody edits, and another one after an edit of the same size."""
        ref = bench.make(kind, b"before")
        before = fetch(bench, ref).etag
        assert before
        assert fetch(bench, ref).etag == before
        bench.edit(ref, b"after!")
        assert fetch(bench, ref).etag != before

    def test_hostile_names_survive(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Names come as the CRM has them, can be linked, and come back from a restore unchanged."""
        for name in bench.names:
            document = fetch(bench, bench.make(kind, b"x", name=name))
            assert document.current.name == name
            wanted = replaced(bench, document)
            assert restored(bench, wanted, [b"x"]).current.name == name

    # read

    def test_read_delivers_the_bytes(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Each version is delivered once with exactly its bytes; an empty file too, where there can be one."""
        contents = [b"" if bench.empty else b"-", b"\x00\xff\r\n", bytes(range(256)) * 2000]
        documents = [fetch(bench, bench.make(kind, content)) for content in contents]
        wanted = [document.version_ref(document.current) for document in documents]
        got: dict[object, bytes] = {}
        for start in range(0, len(wanted), bench.source.capabilities.read_batch):
            for delivery in bench.source.read(wanted[start : start + bench.source.capabilities.read_batch]):
                assert delivery.ref not in got
                got[delivery.ref] = consumed(delivery)
        assert [got[ref] for ref in wanted] == contents

    def test_a_checksum_is_of_the_bytes(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A published checksum has the declared algorithm and fits the bytes."""
        checksum = fetch(bench, bench.make(kind, b"sum")).current.checksum
        assert (checksum.algorithm if checksum else None) == kind.checksum
        if checksum:
            assert checksum.hex == hashlib.new(checksum.algorithm, b"sum", usedforsecurity=False).hexdigest()

    def test_a_body_that_ends_early_raises(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A truncated download raises Transient or IntegrityError, and the next one succeeds."""
        body = b"0123456789" * 5000
        document = fetch(bench, bench.make(kind, body))
        bench.cut_next_body(document.version_ref(document.current))
        with pytest.raises((Transient, IntegrityError)):
            bodies(bench, document)
        assert bodies(bench, document) == [body]

    def test_a_missing_version_is_an_error_of_its_delivery(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A version that is gone is delivered as an error, and does not disturb the others."""
        gone, kept = (fetch(bench, bench.make(kind, body)) for body in (b"gone", b"kept"))
        bench.delete(gone.ref)
        got = []
        for document in (gone, kept):
            got += [*bench.source.read([document.version_ref(document.current)])]
        assert got[0].error is not None
        assert got[0].chunks is None
        assert got[1].error is None

    # link, inspect

    def test_link_answers_in_order(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Link answers one outcome for each request, in order; a document that is gone does not disturb the others."""
        documents = [fetch(bench, bench.make(kind, b"x" * (number + 1))) for number in range(3)]
        bench.delete(documents[0].ref)
        requests = [request(document) for document in documents]
        statuses = [outcome.status for outcome in bench.source.link(requests)]
        assert statuses == [Status.GONE, linked_status(kind), linked_status(kind)]
        assert [bench.links_to(each.link.url) for each in requests] == [0, 1, 1]

    def test_a_link_stands_where_the_document_stood(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """The link has the document's title and owner, and hangs on exactly its parents, shared as it was."""
        document = fetch(bench, bench.make(kind, b"x", parents=3 if kind.multi_parent else 1))
        wanted = linked(bench, document)
        seen = bench.link_at(wanted.link.url)
        assert (seen.title, seen.owner) == (document.title, document.owner)
        assert seen.parents == {parent.id: parent.sharing for parent in document.parents}

    def test_a_linked_original_stays(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """In two-step kinds linking leaves the original as it was."""
        ref = bench.make(two_step, b"original")
        document = fetch(bench, ref)
        only(bench.source.link([request(document)]))
        assert bench.bytes_of(ref) == [b"original"]
        assert fetch(bench, ref).etag == document.etag

    def test_linking_in_place_replaces_the_bytes(self, bench: SourceBench, in_place: KindCapabilities) -> None:
        """In in-place kinds linking answers REPLACED, and the CRM holds the original's bytes no more."""
        ref = bench.make(in_place, b"original" * 1000)
        assert only(bench.source.link([request(fetch(bench, ref))])).status is Status.REPLACED
        assert b"original" * 1000 not in (bench.bytes_of(ref) or [])

    def test_a_replaced_document_is_not_offered_again(self, bench: SourceBench, in_place: KindCapabilities) -> None:
        """A scan does not offer a stub for moving."""
        ref = bench.make(in_place, b"original")
        only(bench.source.link([request(fetch(bench, ref))]))
        stub = scanned(bench, in_place).get(ref)
        assert stub is None or stub.skip is not None

    def test_a_link_is_not_offered_for_moving(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """A scan does not offer our own link for moving."""
        ref = bench.make(two_step, b"original")
        only(bench.source.link([request(fetch(bench, ref))]))
        assert {found.ref for found in scanned(bench, two_step).values() if found.skip is None} == {ref}

    def test_link_again_makes_no_second_link(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Asked again with `attempted`, link finds its earlier link and says what it said before."""
        wanted = request(fetch(bench, bench.make(kind, b"x")))
        first = only(bench.source.link([wanted]))
        second = only(bench.source.link([replace(wanted, attempted=True)]))
        assert (second.status, dict(second.link_ref)) == (first.status, dict(first.link_ref))
        assert bench.links_to(wanted.link.url) == 1

    def test_attempted_without_an_earlier_try_links(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """With `attempted`, but no link there, link makes it."""
        wanted = replace(request(fetch(bench, bench.make(kind, b"x"))), attempted=True)
        assert only(bench.source.link([wanted])).status is linked_status(kind)
        assert bench.links_to(wanted.link.url) == 1

    @pytest.mark.parametrize("attempted", [False, True])
    def test_an_edit_beats_linking_in_place(
        self, bench: SourceBench, in_place: KindCapabilities, attempted: bool
    ) -> None:
        """A document that a user edited since it was read is not replaced: CONFLICT, and the edit stays."""
        ref = bench.make(in_place, b"before")
        document = fetch(bench, ref)
        bench.edit(ref, b"after!")
        outcome = only(bench.source.link([replace(request(document), attempted=attempted)]))
        assert outcome.status is Status.CONFLICT
        assert outcome.reason
        assert bench.bytes_of(ref) == [b"after!"]

    def test_inspect_changes_nothing(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Inspect says GONE before linking and DONE after it, and leaves the CRM as it is."""
        wanted = request(fetch(bench, bench.make(kind, b"x")))
        for expected in (Status.GONE, Status.DONE):
            before = bench.state()
            assert only(bench.source.inspect([wanted])).status is expected
            assert bench.state() == before
            only(bench.source.link([wanted]))

    # remove

    def test_remove_takes_unchanged_originals_away(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """An unchanged document with its link in place is removed, the link stays; asked again, it is DONE."""
        ref = bench.make(two_step, b"original")
        wanted = linked(bench, fetch(bench, ref))
        assert only(bench.source.remove([wanted])).status is Status.DONE
        assert bench.bytes_of(ref) is None
        assert bench.links_to(wanted.link.url) == 1
        assert only(bench.source.remove([wanted])).status is Status.DONE

    def test_an_edit_beats_removal(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """A document that changed since it was read is not removed: CONFLICT, and all its bytes are there."""
        ref = bench.make(two_step, b"before")
        wanted = linked(bench, fetch(bench, ref))
        bench.edit(ref, b"after!")
        outcome = only(bench.source.remove([wanted]))
        assert outcome.status is Status.CONFLICT
        assert outcome.reason
        assert b"after!" in (bench.bytes_of(ref) or [])

    def test_changed_parents_beat_removal(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """A document whose parents changed since it was read is not removed: CONFLICT."""
        ref = bench.make(two_step, b"original")
        wanted = linked(bench, fetch(bench, ref))
        if bench.reparent(ref) is False:
            pytest.skip("capability: documents of this kind stay with their record for ever")
        assert only(bench.source.remove([wanted])).status is Status.CONFLICT
        assert bench.bytes_of(ref) == [b"original"]

    def test_nothing_is_removed_without_its_link(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """A document whose link was never made, or was taken away, is not removed: CONFLICT."""
        never, taken = (bench.make(two_step, body) for body in (b"never", b"taken"))
        requests = [request(fetch(bench, never)), linked(bench, fetch(bench, taken))]
        bench.drop_link(requests[1].link.url)
        assert [outcome.status for outcome in bench.source.remove(requests)] == [Status.CONFLICT] * 2
        assert (bench.bytes_of(never), bench.bytes_of(taken)) == ([b"never"], [b"taken"])

    def test_remove_answers_in_order(self, bench: SourceBench, two_step: KindCapabilities) -> None:
        """Each item of a batch has its own outcome, in order."""
        refs = [bench.make(two_step, body) for body in (b"1", b"2", b"3")]
        requests = [linked(bench, fetch(bench, ref)) for ref in refs]
        bench.edit(refs[0], b"edited")
        statuses = [outcome.status for outcome in bench.source.remove(requests)]
        assert statuses == [Status.CONFLICT, Status.DONE, Status.DONE]

    def test_remove_leaves_a_placeholder_in_place(self, bench: SourceBench, in_place: KindCapabilities) -> None:
        """In in-place kinds remove answers DONE while the placeholder stands, and leaves it."""
        wanted = linked(bench, fetch(bench, bench.make(in_place, b"original")))
        assert only(bench.source.remove([wanted])).status is Status.DONE
        assert bench.links_to(wanted.link.url) == 1

    def test_remove_notices_what_was_put_back_in_place(self, bench: SourceBench, in_place: KindCapabilities) -> None:
        """In in-place kinds remove answers CONFLICT where other bytes stand again, and keeps them."""
        ref = bench.make(in_place, b"original" * 1000)
        wanted = linked(bench, fetch(bench, ref))
        bench.edit(ref, b"original" * 1000)
        outcome = only(bench.source.remove([wanted]))
        assert outcome.status is Status.CONFLICT
        assert outcome.reason
        assert bench.bytes_of(ref) == [b"original" * 1000]

    # restore, unlink

    def test_restore_brings_everything_back(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """A restored document has the bytes of all versions, the title, names, owner, parents and sharing."""
        contents = [b"first", b"second" * 50000] if kind.versions else [b"only" * 50000]
        document = fetch(bench, bench.make(kind, *contents, parents=2 if kind.multi_parent else 1))
        back = restored(bench, replaced(bench, document), contents)
        assert bench.bytes_of(back.ref) == contents
        assert back == fetch(bench, back.ref)
        assert back.skip is None
        assert (back.title, back.owner, sharing(back)) == (document.title, document.owner, sharing(document))
        assert [version.name for version in back.versions] == [version.name for version in document.versions]

    def test_restore_twice_is_once(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Asked again with `attempted`, restore makes no second document."""
        wanted = replaced(bench, fetch(bench, bench.make(kind, b"body")))
        first = restored(bench, wanted, [b"body"])
        second = restored(bench, replace(wanted, attempted=True), [b"body"])
        assert second.ref == first.ref
        assert bench.bytes_of(first.ref) == [b"body"]
        offered = [found for found in scanned(bench, kind).values() if found.skip is None]
        assert [found.ref for found in offered] == [first.ref]

    def test_a_restore_that_breaks_off_leaves_no_half_document(
        self, bench: SourceBench, kind: KindCapabilities
    ) -> None:
        """When the bytes cannot be had, the error passes, the link stays, and the next try restores everything."""
        wanted = replaced(bench, fetch(bench, bench.make(kind, b"body")))

        def broken(version: Version) -> Iterator[bytes]:
            yield b"bo"
            raise Transient("the store does not answer")

        with pytest.raises(Transient):
            bench.source.restore(wanted, broken)
        assert bench.links_to(wanted.link.url) == 1
        back = restored(bench, replace(wanted, attempted=True), [b"body"])
        assert bench.bytes_of(back.ref) == [b"body"]

    def test_unlink_takes_the_link_away(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """After a restore, unlink leaves the document and no link; asked again, it is DONE."""
        wanted = replaced(bench, fetch(bench, bench.make(kind, b"body")))
        back = restored(bench, wanted, [b"body"])
        for _ in range(2):
            assert only(bench.source.unlink([wanted])).status is Status.DONE
            assert bench.links_to(wanted.link.url) == 0
        assert bench.bytes_of(back.ref) == [b"body"]

    def test_a_restored_document_can_move_again(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """After restore and unlink, the document can be replaced anew."""
        wanted = replaced(bench, fetch(bench, bench.make(kind, b"body")))
        back = restored(bench, wanted, [b"body"])
        only(bench.source.unlink([wanted]))
        again = replaced(bench, back)
        assert bench.links_to(again.link.url) == 1

    # may_read

    def test_may_read_asks_the_crm(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Who may see a parent may read, before and after the replacement; others and unknown users may not."""
        if not bench.source.capabilities.user_check:
            pytest.skip("capability: the source does not declare user_check")
        document = fetch(bench, bench.make(kind, b"x"))
        reader, stranger = bench.reader(document.ref), bench.stranger()
        wanted = request(document)
        users = (reader, stranger, "nobody' OR '1'='1", "")
        expected = [Access.YES, Access.NO, Access.NO, Access.NO]
        assert [only(bench.source.may_read(user, [wanted])) for user in users] == expected
        wanted = replaced(bench, document)
        assert [only(bench.source.may_read(user, [wanted])) for user in users] == expected

    def test_may_read_answers_in_order(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Each document of a batch has its own answer, in order."""
        if not bench.source.capabilities.user_check:
            pytest.skip("capability: the source does not declare user_check")
        documents = [fetch(bench, bench.make(kind, body)) for body in (b"1", b"2", b"3")]
        reader = bench.reader(documents[0].ref)
        answers = bench.source.may_read(reader, [request(document) for document in documents])
        assert [*answers] == [Access.YES, Access.NO, Access.NO]

    # check, usage

    def test_usage_counts_grow(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Calls are counted by operation; asking for the counts is free."""
        bench.make(kind, b"x")
        before = bench.source.usage()
        assert bench.source.usage() == before
        [*bench.source.scan(kind.kind)]
        after = bench.source.usage()
        assert sum(after.requests.values()) > sum(before.requests.values())
        assert all(after.requests[operation] >= count for operation, count in before.requests.items())

    def test_check_says_what_to_do(self, bench: SourceBench) -> None:
        """Every finding has a code and a message, and every bad one a remedy."""
        for finding in bench.source.check():
            assert finding.code
            assert finding.message
            assert finding.remedy or finding.severity.value == "ok"

    def test_reading_calls_change_nothing(self, bench: SourceBench, kind: KindCapabilities) -> None:
        """Check, scan, fetch, read and may_read leave the CRM as it is."""
        document = fetch(bench, bench.make(kind, b"x"))
        reader = bench.reader(document.ref)
        before = bench.state()
        bench.source.check()
        scanned(bench, kind)
        bodies(bench, document)
        bench.source.may_read(reader, [request(document)])
        assert bench.state() == before


def fetch(bench: SourceBench, ref: DocumentRef) -> Document:
    """Read one document that must be there."""
    (document,) = bench.source.fetch([ref])
    assert document is not None
    return document


def scanned(bench: SourceBench, kind: KindCapabilities) -> dict[DocumentRef, Document]:
    return {document.ref: document for page in bench.source.scan(kind.kind) for document in page.documents}


def refs_of(pages: Iterable[Page]) -> set[DocumentRef]:
    return {document.ref for page in pages for document in page.documents}


def consumed(delivery: Delivery) -> bytes:
    assert delivery.error is None
    assert delivery.chunks is not None
    return b"".join(delivery.chunks)


def bodies(bench: SourceBench, document: Document) -> list[bytes]:
    """Read all versions, one at a time."""
    return [
        consumed(delivery)
        for version in document.versions
        for delivery in bench.source.read([document.version_ref(version)])
    ]


def request(document: Document) -> LinkRequest:
    """Ask for the link that belongs to this state of the document."""
    name = f"{document.ref.kind}-{document.ref.id}-{document.current.id}".replace("/", "_")
    return LinkRequest(document=document, link=Link(name, f"https://files.example.com/d/{name}"))


def only(answers: Sequence[T]) -> T:
    """Return the one answer to one request."""
    (answer,) = answers
    return answer


def linked_status(kind: KindCapabilities) -> Status:
    return Status.REPLACED if kind.strategy.in_place else Status.DONE


def linked(bench: SourceBench, document: Document) -> LinkRequest:
    """Link the document, and return the request that later calls make."""
    wanted = request(document)
    outcome = only(bench.source.link([wanted]))
    assert outcome.status in (Status.DONE, Status.REPLACED), outcome.reason
    return replace(wanted, link_ref=outcome.link_ref)


def replaced(bench: SourceBench, document: Document) -> LinkRequest:
    """Link the document and remove the original."""
    wanted = linked(bench, document)
    outcome = only(bench.source.remove([wanted]))
    assert outcome.status is Status.DONE, outcome.reason
    return wanted


def restored(bench: SourceBench, wanted: LinkRequest, contents: Sequence[bytes]) -> Document:
    """Put the document back in pieces of uneven size."""

    def stream(version: Version) -> Iterator[bytes]:
        data = contents[wanted.document.versions.index(version)]
        return (data[start : start + 7777] for start in range(0, len(data), 7777))

    outcome = bench.source.restore(wanted, stream)
    assert outcome.status is Status.DONE, outcome.reason
    assert outcome.document is not None
    return outcome.document


def sharing(document: Document) -> set[tuple[str, str, tuple[tuple[str, str], ...]]]:
    return {(parent.type, parent.id, tuple(sorted(parent.sharing.items()))) for parent in document.parents}
