"""How many calls the whole job takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from offloader.model import Document, DocumentRef
from offloader.ports import LinkRequest, Status
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import SalesforceSource

from .conftest import World, everything, request

KINDS = ("ContentDocument", "Attachment")


def carry_out(source: SalesforceSource, found: list[Document]) -> None:
    """Link and remove documents in the batches that the source declares."""
    size, removal = source.capabilities.link_batch, source.capabilities.remove_batch
    requests: list[LinkRequest] = []
    for start in range(0, len(found), size):
        part = [request(each) for each in found[start : start + size]]
        outcomes = source.link(part)
        assert {each.status for each in outcomes} == {Status.DONE}
        requests += [replace(each, link_ref=dict(done.link_ref)) for each, done in zip(part, outcomes, strict=True)]
    for start in range(0, len(requests), removal):
        assert {each.status for each in source.remove(requests[start : start + removal])} == {Status.DONE}


@pytest.mark.slow
def test_two_thousand_versions(world: World, source: SalesforceSource) -> None:
    """Everything but the downloads takes 40 calls at most for 2,000 versions with 1.2 parents each, logins included."""
    cases = [world.org.insert("Case", {"Subject": f"c{n}", "AccountId": world.account}) for n in range(50)]
    leads = [world.org.insert("Lead", {"LastName": f"l{n}", "Company": "x", "CountryCode": "FR"}) for n in range(50)]
    for number in range(1800):
        parents = [(world.account, cases[number % 50], leads[number % 50])[number % 3]]
        if number % 5 == 0:
            parents.append(world.other)
        shared = [FileParent(each, "V", "AllUsers" if number % 2 else "InternalUsers") for each in parents]
        world.file(f"f{number:04}", *[b"x"] * (2 if number % 9 == 0 else 1), parents=shared)
    world.reset_counters()

    found = list(everything(source.scan("ContentDocument")).values())
    everything(source.scan("Attachment"))
    carry_out(source, found)

    assert sum(len(each.versions) for each in found) == 2000
    assert world.emulator.counters.total <= 40, world.emulator.counters.outer
    assert world.emulator.counters.total == sum(source.usage().requests.values())


def marks(source: SalesforceSource) -> dict[str, str]:
    """The watermark of a full scan of each kind."""
    return {kind: list(source.scan(kind))[-1].watermark or "" for kind in KINDS}


def changes(world: World, since: dict[str, str], **options: Any) -> dict[str, tuple[int, set[str], set[DocumentRef]]]:
    """What a new process finds of each kind: calls with logins, documents that may move, deletions."""
    found = {}
    for kind in KINDS:
        source = world.source(**options)
        world.reset_counters()
        pages = list(source.scan(kind, since=since[kind]))
        open_ = {each.ref.id for page in pages for each in page.documents if each.skip is None}
        found[kind] = world.emulator.counters.total, open_, {ref for page in pages for ref in page.deleted}
    return found


def half_moved_world(world: World, files: int, attachments: int) -> None:
    """Files, attachments of records and of e-mails, old enough to be outside any overlap."""
    email = world.email(ParentId=world.org.insert("Case", {"Subject": "s", "AccountId": world.account}))
    for number in range(files):
        world.file(
            f"f{number:04}", parents=[FileParent(each, "V", "AllUsers") for each in (world.account, world.other)]
        )
    for number in range(attachments):
        world.attachment((world.account, email)[number % 2], f"a{number:04}.pdf", b"scanned" * 2000)
    world.clock.move(hours=2)


def test_scan_right_after_a_run(world: World, source: SalesforceSource) -> None:
    """What a run of ours leaves behind costs the next scan, in a new process, three calls a kind at most."""
    half_moved_world(world, files=150, attachments=40)
    before = marks(source)
    documents = [each for kind in KINDS for each in everything(source.scan(kind)).values()]
    for request_ in (documents[:150], documents[150:]):
        stubs = [each for each in request_ if each.strategy.in_place]
        carry_out(source, [each for each in request_ if not each.strategy.in_place])
        source.link([request(each) for each in stubs])

    found = changes(world, before)

    assert [calls for calls, _, _ in found.values()] == [2, 2]
    assert not any(open_ for _, open_, _ in found.values())
    assert len(found["ContentDocument"][2]) == 150


@pytest.mark.slow
def test_scan_right_after_a_large_run(world: World, source: SalesforceSource) -> None:
    """The scan after a run of 2,000 files takes three calls at most."""
    half_moved_world(world, files=2000, attachments=0)
    before = marks(source)
    carry_out(source, list(everything(source.scan("ContentDocument")).values()))

    assert changes(world, before)["ContentDocument"][0] <= 3


@pytest.mark.parametrize("links", [None, "plain"])
def test_changes_of_others_among_ours(world: World, source: SalesforceSource, links: str | None) -> None:
    """A user's share, unshare and deletion are found amid the changes of a run, however links are asked for."""
    half_moved_world(world, files=20, attachments=0)
    before = marks(source)
    if links:
        before["ContentDocument"] = before["ContentDocument"].replace("}", f', "links": "{links}"}}')
    documents = sorted(everything(source.scan("ContentDocument")).values(), key=lambda each: each.title)
    carry_out(source, documents[:15])
    world.clock.move(hours=1)
    shared, unshared, deleted = (each.ref.id for each in documents[15:18])
    third = world.org.insert("Account", {"Name": "third"})
    world.org.insert("ContentDocumentLink", {"ContentDocumentId": shared, "LinkedEntityId": third})
    mine = world.org.store.where("ContentDocumentLink", "ContentDocumentId", unshared)
    world.org.delete(next(row["Id"] for row in mine if row["LinkedEntityId"] == world.other))
    world.org.delete(deleted)

    _, open_, gone = changes(world, before)["ContentDocument"]

    assert open_ == {shared, unshared}
    assert {ref.id for ref in gone} == {deleted, *(each.ref.id for each in documents[:15])}


def test_permissions_are_asked_once_for_both_kinds(world: World, source: SalesforceSource) -> None:
    """Scanning the second kind right after the first takes one call, and a minute later asks permissions again."""
    list(source.scan("ContentDocument"))
    world.reset_counters()
    list(source.scan("Attachment"))
    assert world.calls() == {"query": 1}

    world.clock.move(minutes=1)
    world.org.user(username="integration@offloader.example", permissions=["ViewAllData", "QueryAllFiles"])
    (page,) = source.scan("Attachment")
    assert [each.code for each in page.blind_spots] == ["no-modify-all-data"]


def test_describes_travel_together(world: World, source: SalesforceSource) -> None:
    """All types of a page's parents are described in one call; where the org refuses that, one by one."""
    case = world.org.insert("Case", {"Subject": "s", "AccountId": world.account})
    lead = world.org.insert("Lead", {"LastName": "l", "Company": "x", "CountryCode": "FR"})
    world.file("f", parents=[world.account, case, lead])
    expected = everything(source.scan("ContentDocument"))
    assert world.calls()["describe"] == 1
    assert {each.signals["country"] for document in expected.values() for each in document.parents} == {"DE", "FR"}

    world.reset_counters()
    alone = world.source()
    alone._org._describes_together = False
    assert everything(alone.scan("ContentDocument")) == expected
    assert world.calls()["describe"] == 4
