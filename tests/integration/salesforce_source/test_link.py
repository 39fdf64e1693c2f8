"""Replacing files by links, and removing originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from offloader.errors import Transient
from offloader.model import Document, Link
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import SalesforceSource
from tests.integration.clock import CREATED

from .conftest import World, everything, request


def files(source: SalesforceSource) -> list[Document]:
    return sorted(everything(source.scan("ContentDocument")).values(), key=lambda each: each.title)


def only(source: SalesforceSource, kind: str = "ContentDocument") -> Document:
    (document,) = everything(source.scan(kind)).values()
    return document


def linked(requests: Sequence[LinkRequest], outcomes: Sequence[Outcome]) -> list[LinkRequest]:
    """The requests as the engine hands them on after linking."""
    return [replace(each, link_ref=dict(outcome.link_ref)) for each, outcome in zip(requests, outcomes, strict=True)]


def shares(world: World, document: str, but: str | None = None) -> dict[str, tuple[str, str]]:
    rows = world.org.store.where("ContentDocumentLink", "ContentDocumentId", document)
    return {
        row["LinkedEntityId"]: (row["ShareType"], row["Visibility"])
        for row in rows
        if not row["IsDeleted"] and row["LinkedEntityId"] != but
    }


def links_of(world: World) -> list[dict[str, Any]]:
    return [row for row in world.org.rows("ContentVersion") if row.get("ContentUrl") and not row["IsDeleted"]]


class TestLink:
    def test_same_title_owner_parents_sharing_and_dates(self, world: World, source: SalesforceSource) -> None:
        """A link stands where the file stood, for the same people, with the same dates, and the file is untouched."""
        group = world.org.insert("CollaborationGroup", {"Name": "g"})
        parents = [
            FileParent(world.account, "I", "InternalUsers"),
            FileParent(world.other, "V", "AllUsers"),
            FileParent(group, "C", "AllUsers"),
        ]
        original = world.file("contract", parents=parents, Description="signed").document_id
        wanted = request(only(source))

        (outcome,) = source.link([wanted])

        assert outcome.status is Status.DONE
        (link,) = links_of(world)
        assert outcome.link_ref == {"document": link["ContentDocumentId"], "version": link["Id"]}
        assert (link["Title"], link["ContentUrl"], link["OwnerId"]) == ("contract.pdf", wanted.link.url, world.owner)
        assert (link["Description"], link["ContentSize"]) == ("signed", 0)
        assert link["CreatedDate"] == CREATED.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        assert link["CreatedById"] == world.owner
        assert shares(world, link["ContentDocumentId"]) == shares(world, original)
        assert not world.org.get(original)["IsDeleted"]

    def test_a_link_follows_records_that_are_back(self, world: World, source: SalesforceSource) -> None:
        """A link file is shared with a record that was made anew, beside all that people have shared it with since; one
        that somebody has deleted is not made again.
        """
        world.file("contract", parents=[FileParent(world.account, "V", "InternalUsers")])
        document = only(source)
        (wanted,) = linked([request(document)], source.link([request(document)]))
        name = wanted.link_ref["document"]
        fields = {"ContentDocumentId": name, "LinkedEntityId": world.other, "ShareType": "I", "Visibility": "AllUsers"}
        world.org.insert("ContentDocumentLink", fields)
        world.org.delete(world.account)
        back = world.org.insert("Account", {"Name": "back", "OwnerId": world.owner})
        parents = (replace(document.parents[0], id=back),)
        anew = replace(wanted, document=replace(document, parents=parents), anew=True)

        assert [each.status for each in source.link([anew])] == [Status.DONE]

        assert shares(world, name, but=world.owner).keys() == {world.other, back}
        assert len(links_of(world)) == 1
        world.org.delete(name)
        assert [each.status for each in source.link([anew])] == [Status.GONE]
        assert links_of(world) == []

    def test_two_calls_for_two_hundred(self, world: World, source: SalesforceSource) -> None:
        """Two hundred links with several parents each are made and read back in two calls."""
        for number in range(200):
            parents = [world.account, world.other] if number % 5 == 0 else [world.account]
            world.file(f"f{number}", parents=[FileParent(each, "V", "AllUsers") for each in parents])
        requests = [request(each) for each in files(source)]
        world.reset_counters()

        outcomes = source.link(requests)

        assert {outcome.status for outcome in outcomes} == {Status.DONE}
        assert sum(world.calls().values()) <= 2

    def test_three_hundred_parents(self, world: World, source: SalesforceSource) -> None:
        """A file with three hundred parents gets a link with the same three hundred."""
        accounts = [world.org.insert("Account", {"Name": f"a{n}"}) for n in range(300)]
        original = world.file("wide", parents=accounts).document_id
        (outcome,) = source.link([request(only(source))])

        assert outcome.status is Status.DONE
        assert shares(world, outcome.link_ref["document"]) == shares(world, original)

    def test_no_parent(self, world: World, source: SalesforceSource) -> None:
        """A file that hangs on nothing gets a link that its owner has."""
        world.file("alone", parents=[])
        (outcome,) = source.link([request(only(source))])

        assert outcome.status is Status.DONE
        assert set(shares(world, outcome.link_ref["document"])) == {world.owner}

    def test_private_on_records_stays_private(self, world: World, source: SalesforceSource) -> None:
        """A file that is private on its records gets a link that is, too."""
        world.file("private", SharingPrivacy="P")
        (outcome,) = source.link([request(only(source))])

        assert world.org.get(outcome.link_ref["document"])["SharingPrivacy"] == "P"

    @pytest.mark.parametrize("name", ["a\r\nb", "quote' OR Id != '", "\u202etxt.exe", "x" * 255, "🙂", '"', "\\"])
    def test_hostile_titles(self, world: World, source: SalesforceSource, name: str) -> None:
        """Any title can be linked, found again and removed."""
        world.file(name, path="x.txt")
        requests = [request(only(source))]
        outcomes = source.link(requests)

        assert source.link([replace(requests[0], attempted=True)])[0].link_ref == outcomes[0].link_ref
        assert source.remove(linked(requests, outcomes))[0].status is Status.DONE

    def test_asked_again(self, world: World, source: SalesforceSource) -> None:
        """Asked again, the same link is found and no second one made."""
        world.file()
        wanted = request(only(source))
        (first,) = source.link([wanted])

        (again,) = world.source().link([replace(wanted, attempted=True)])
        (unasked,) = source.link([wanted])

        assert first.link_ref == again.link_ref == unasked.link_ref
        assert len(links_of(world)) == 1

    def test_an_earlier_link_is_corrected(self, world: World, source: SalesforceSource) -> None:
        """An earlier link with too many, too few or other shares ends with exactly the file's."""
        world.file("f", parents=[FileParent(world.account, "I", "InternalUsers")])
        wanted = request(only(source))
        (first,) = source.link([wanted])
        document = first.link_ref["document"]
        extra = world.org.insert("ContentDocumentLink", {"ContentDocumentId": document, "LinkedEntityId": world.other})
        (own,) = [
            row
            for row in world.org.store.where("ContentDocumentLink", "ContentDocumentId", document)
            if row["LinkedEntityId"] == world.account
        ]
        world.org.update(own["Id"], {"Visibility": "AllUsers"})

        (outcome,) = source.link([replace(wanted, attempted=True)])

        assert outcome.status is Status.DONE
        assert shares(world, document, but=world.owner) == {world.account: ("I", "InternalUsers")}
        assert world.org.get(extra)["IsDeleted"]

    def test_a_link_that_is_too_long(self, world: World, source: SalesforceSource) -> None:
        """A link that the field cannot hold is refused without a call."""
        world.file()
        document = only(source)
        world.reset_counters()

        (outcome,) = source.link([LinkRequest(document=document, link=Link("k", "https://x.example/" + "x" * 1300))])

        assert outcome.status is Status.REFUSED
        assert not world.calls()

    def test_inactive_owner(self, world: World, source: SalesforceSource) -> None:
        """Where the org takes no inactive owner, the running user owns the link, on the same parents; that is noted,
        and no fault when the link is read back or the original is removed.
        """
        leaver = world.org.user(username="leaver@example.com")
        originals = [world.file("a", owner=leaver).document_id, world.file("b").document_id]
        wanted_shares = shares(world, originals[0], but=leaver)
        world.org.user(username="leaver@example.com", active=False)
        found = [request(each) for each in files(source)]

        outcomes = source.link(found)

        running = world.org.integration_user
        assert [each.status for each in outcomes] == [Status.DONE, Status.DONE]
        assert [each.link_ref.get("owner") for each in outcomes] == ["running user", None]
        owners = [world.org.get(each.link_ref["document"])["OwnerId"] for each in outcomes]
        assert owners == [running, world.owner]
        assert shares(world, outcomes[0].link_ref["document"], but=running) == wanted_shares
        done = linked(found, outcomes)
        assert [each.status for each in world.source().inspect(done)] == [Status.DONE, Status.DONE]
        again = world.source().link([replace(each, attempted=True, link_ref={}) for each in done])
        assert [(each.status, dict(each.link_ref)) for each in again] == [
            (each.status, dict(each.link_ref)) for each in outcomes
        ]
        assert [each.status for each in world.source().remove(done)] == [Status.DONE, Status.DONE]

    def test_inactive_owners_break_one_batch(self, world: World, source: SalesforceSource) -> None:
        """Only the first batch with an inactive owner takes more than two calls, and tries none of them twice."""
        leaver = world.org.user(username="leaver@example.com")
        for number in range(6):
            world.file(f"f{number}", owner=(leaver, world.owner)[number % 2])
        world.org.user(username="leaver@example.com", active=False)
        found = [request(each) for each in files(source)]
        calls = []
        for part in (found[:3], found[3:]):
            world.reset_counters()
            assert {each.status for each in source.link(part)} == {Status.DONE}
            calls.append(sum(world.calls().values()))

        assert calls[0] <= 5
        assert calls[1] == 2

    def test_owner_left_since_the_scan(self, world: World, source: SalesforceSource) -> None:
        """An owner who was active when the file was read, and is not any more, does not stop the link."""
        leaver = world.org.user(username="leaver@example.com")
        world.file("a", owner=leaver)
        wanted = request(only(source))
        world.org.user(username="leaver@example.com", active=False)

        (outcome,) = source.link([wanted])

        assert outcome.status is Status.DONE
        assert source.remove(linked([wanted], [outcome]))[0].status is Status.DONE

    def test_inactive_owner_of_a_file_shared_with_the_running_user(
        self, world: World, source: SalesforceSource
    ) -> None:
        """The running user's own share of the file stands in its ownership of the link."""
        leaver = world.org.user(username="leaver@example.com")
        world.file("a", owner=leaver, parents=[world.account, world.org.integration_user])
        world.org.user(username="leaver@example.com", active=False)
        wanted = request(only(source))

        (outcome,) = source.link([wanted])

        assert outcome.status is Status.DONE
        assert source.inspect(linked([wanted], [outcome]))[0].status is Status.DONE
        assert source.remove(linked([wanted], [outcome]))[0].status is Status.DONE

    def test_sent_email(self, world: World, source: SalesforceSource) -> None:
        """A file on a sent e-mail is refused without the permission, and nothing is left behind."""
        permissions = ["ViewAllData", "QueryAllFiles", "ModifyAllData", "CreateAuditFields"]
        world.org.user(username="integration@offloader.example", permissions=permissions)
        case = world.org.insert("Case", {"Subject": "s", "AccountId": world.account})
        email = world.email(ParentId=case)
        world.file("mailed", parents=[FileParent(email, "V", "AllUsers"), FileParent(case, "V", "AllUsers")])
        document = replace(only(source), skip=None)

        (outcome,) = source.link([request(document)])

        assert outcome.status is Status.REFUSED
        assert "draft" in outcome.reason
        assert not links_of(world)

    def test_parent_deleted_in_between(self, world: World, source: SalesforceSource) -> None:
        """If a parent went away since the file was read, the link is not left half-made."""
        world.file("f", parents=[world.account, world.other])
        wanted = request(only(source))
        world.org.delete(world.other)

        (outcome,) = source.link([wanted])

        assert outcome.status is Status.CONFLICT
        assert not links_of(world)

    def test_locked_rows(self, world: World, source: SalesforceSource) -> None:
        """An item that is locked is to be tried again, its neighbours are done, and the next try completes it."""
        for number in range(3):
            world.file(f"f{number}", parents=[world.account, world.other])
        requests = [request(each) for each in files(source)]
        world.fault(
            on="collections.upsert", do="item", item=1, code="UNABLE_TO_LOCK_ROW", message="unable to obtain", times=1
        )

        outcomes = source.link(requests)

        assert [each.status for each in outcomes] == [Status.DONE, Status.RETRY, Status.DONE]
        (again,) = source.link([replace(requests[1], attempted=True)])
        assert again.status is Status.DONE
        assert len(links_of(world)) == 3


class TestAttachmentsOfRecords:
    def test_link_on_the_same_record(self, world: World, source: SalesforceSource) -> None:
        """An attachment is replaced by a link file on its record, then removed."""
        original = world.attachment(world.account, "scan.pdf", description="d")
        requests = [request(only(source, "Attachment"))]

        outcomes = source.link(requests)
        removed = source.remove(linked(requests, outcomes))

        assert outcomes[0].status is removed[0].status is Status.DONE
        (link,) = links_of(world)
        assert (link["Title"], link["OwnerId"], link["Description"]) == ("scan.pdf", world.owner, "d")
        assert shares(world, link["ContentDocumentId"], but=world.owner) == {world.account: ("V", "AllUsers")}
        assert world.org.get(original)["IsDeleted"]

    def test_private(self, world: World, source: SalesforceSource) -> None:
        """The link of a private attachment is not shown to everybody who sees the record."""
        world.attachment(world.account, is_private=True)
        (outcome,) = source.link([request(only(source, "Attachment"))])

        assert world.org.get(outcome.link_ref["document"])["SharingPrivacy"] == "P"

    def test_changed(self, world: World, source: SalesforceSource) -> None:
        """An attachment that was changed after it was read is not removed."""
        original = world.attachment(world.account)
        requests = [request(only(source, "Attachment"))]
        outcomes = source.link(requests)
        world.clock.move(seconds=5)
        world.org.update(original, {"Body": b"newer"})

        assert source.remove(linked(requests, outcomes))[0].status is Status.CONFLICT
        assert not world.org.get(original)["IsDeleted"]


class TestStubs:
    @pytest.fixture
    def email(self, world: World) -> str:
        case = world.org.insert("Case", {"Subject": "s", "AccountId": world.account})
        return world.email(ParentId=case)

    def test_in_place(self, world: World, source: SalesforceSource, email: str) -> None:
        """An e-mail's attachment becomes a placeholder under the same id, and is recognised as such."""
        original = world.attachment(email, "mail.pdf", b"x" * 5000)
        wanted = request(only(source, "Attachment"))

        (outcome,) = source.link([wanted])

        row = world.org.get(original)
        assert outcome.status is Status.REPLACED
        assert row["Name"] == "mail.pdf.url"
        assert row["BodyLength"] < 500
        again = only(source, "Attachment")
        assert again.skip is not None
        assert again.skip.code == "own_link"
        assert source.link([replace(wanted, attempted=True)])[0].status is Status.REPLACED
        assert source.inspect([wanted])[0].status is Status.DONE
        assert source.remove([wanted])[0].status is source.unlink([wanted])[0].status is Status.DONE

    def test_changed(self, world: World, source: SalesforceSource, email: str) -> None:
        """An attachment that changed since it was read is left alone."""
        original = world.attachment(email)
        wanted = request(only(source, "Attachment"))
        world.clock.move(seconds=5)
        world.org.update(original, {"Body": b"newer!"})

        assert source.link([wanted])[0].status is Status.CONFLICT
        assert world.org.get(original)["BodyLength"] == 6

    def test_gone(self, world: World, source: SalesforceSource, email: str) -> None:
        """An attachment that was deleted is gone."""
        original = world.attachment(email)
        wanted = request(only(source, "Attachment"))
        world.org.delete(original)

        assert source.link([wanted])[0].status is Status.GONE

    def test_lost_answer(self, world: World, source: SalesforceSource, email: str) -> None:
        """When the answer is lost after the act, the next try finds the placeholder."""
        world.attachment(email)
        wanted = request(only(source, "Attachment"))
        world.fault(on="collections.update", do="drop_after_commit", times=1)
        with pytest.raises(Transient) as caught:
            source.link([wanted])

        assert caught.value.maybe_done
        assert source.link([replace(wanted, attempted=True)])[0].status is Status.REPLACED


class TestRemove:
    def moved(self, world: World, source: SalesforceSource, count: int = 1) -> list[LinkRequest]:
        for number in range(count):
            world.file(f"f{number:04}", b"1", b"2", parents=[world.account])
        requests = [request(each) for each in files(source)]
        done = []
        for start in range(0, count, 200):
            part = requests[start : start + 200]
            done += linked(part, source.link(part))
        return done

    def test_originals_go_links_stay(self, world: World, source: SalesforceSource) -> None:
        """Originals are deleted, their links stand, and asking again says done."""
        requests = self.moved(world, source, 3)

        first, again = source.remove(requests), source.remove(requests)

        assert {each.status for each in (*first, *again)} == {Status.DONE}
        assert all(world.org.get(each.document.ref.id)["IsDeleted"] for each in requests)
        assert len(links_of(world)) == 3
        assert {each.status for each in source.inspect(requests)} == {Status.DONE}

    def test_two_calls_for_a_thousand(self, world: World, source: SalesforceSource) -> None:
        """Four hundred originals are re-read and deleted in two calls and the pages that the answers need."""
        requests = self.moved(world, source, 400)
        world.reset_counters()

        outcomes = source.remove(requests)

        assert {each.status for each in outcomes} == {Status.DONE}
        assert sum(world.calls().values()) == 2

    def test_new_version(self, world: World, source: SalesforceSource) -> None:
        """A file that got a new version after it was read is never removed, its neighbours are."""
        requests = self.moved(world, source, 2)
        edited = requests[0].document.ref.id
        world.org.insert(
            "ContentVersion",
            {"ContentDocumentId": edited, "Title": "f", "PathOnClient": "f.pdf", "VersionData": b"newer"},
        )

        outcomes = source.remove(requests)

        assert [each.status for each in outcomes] == [Status.CONFLICT, Status.DONE]
        assert not world.org.get(edited)["IsDeleted"]

    def test_new_version_between_the_re_read_of_others(self, world: World, source: SalesforceSource) -> None:
        """A version uploaded while links are made is noticed at removal."""
        world.file("f")
        wanted = request(only(source))
        world.fault(
            on="composite",
            do="edit",
            nth=1,
            change={"action": "new_version", "id": wanted.document.ref.id, "body": "newer"},
        )
        outcomes = source.link([wanted])
        statuses = {each.status for each in source.remove(linked([wanted], outcomes))}

        assert statuses == {Status.CONFLICT}

    def test_parents_changed(self, world: World, source: SalesforceSource) -> None:
        """A file that was shared with somebody else meanwhile is not removed."""
        requests = self.moved(world, source)
        world.org.insert(
            "ContentDocumentLink", {"ContentDocumentId": requests[0].document.ref.id, "LinkedEntityId": world.other}
        )

        (outcome,) = source.remove(requests)

        assert outcome.status is Status.CONFLICT
        assert "parents" in outcome.reason

    @pytest.mark.parametrize("what", ["deleted", "unshared", "readdressed"])
    def test_link_no_longer_stands(self, world: World, source: SalesforceSource, what: str) -> None:
        """Without its link standing as made, the original stays."""
        requests = self.moved(world, source)
        document = requests[0].link_ref["document"]
        if what == "deleted":
            world.org.delete(document)
        elif what == "unshared":
            (share,) = [
                row
                for row in world.org.store.where("ContentDocumentLink", "ContentDocumentId", document)
                if row["LinkedEntityId"] == world.account
            ]
            world.org.delete(share["Id"])
        else:
            world.org.update(requests[0].link_ref["version"], {"ContentUrl": "https://evil.example"})

        (outcome,) = source.remove(requests)

        assert outcome.status is Status.CONFLICT
        assert not world.org.get(requests[0].document.ref.id)["IsDeleted"]
        assert source.inspect(requests)[0].status is (Status.GONE if what == "deleted" else Status.CONFLICT)

    def test_lost_answer(self, world: World, source: SalesforceSource) -> None:
        """When the answer to a deletion is lost, asking again says done."""
        requests = self.moved(world, source)
        world.fault(on="composite", do="drop_after_commit", nth=2, times=1)
        with pytest.raises(Transient) as caught:
            source.remove(requests)

        assert caught.value.maybe_done
        assert source.remove(requests)[0].status is Status.DONE

    def test_locked_row(self, world: World, source: SalesforceSource) -> None:
        """A locked original is to be tried again."""
        requests = self.moved(world, source, 2)
        world.fault(on="collections.delete", do="item", item=0, code="UNABLE_TO_LOCK_ROW", message="locked", times=1)

        assert [each.status for each in source.remove(requests)] == [Status.RETRY, Status.DONE]
        assert {each.status for each in source.remove(requests)} == {Status.DONE}

    def test_without_the_right_to_delete(self, world: World, source: SalesforceSource) -> None:
        """A file that the user may not delete is refused, and says so."""
        requests = self.moved(world, source)
        world.org.user(username="integration@offloader.example", permissions=["ViewAllData", "QueryAllFiles"])

        assert source.remove(requests)[0].status is Status.REFUSED

    def test_unlink(self, world: World, source: SalesforceSource) -> None:
        """Links are taken away; what is no longer our link is left; asking again says done."""
        one, two = self.moved(world, source, 2)
        world.org.update(two.link_ref["version"], {"ContentUrl": "https://other.example"})

        assert [each.status for each in source.unlink([one, two])] == [Status.DONE, Status.CONFLICT]
        assert source.unlink([one])[0].status is Status.DONE
        assert [row["Id"] for row in links_of(world)] == [two.link_ref["version"]]


class TestLostAnswers:
    @pytest.mark.parametrize("external_id", [True, False])
    @pytest.mark.parametrize("chained", ["auto", "off"])
    @pytest.mark.parametrize("nth", [1, 2, 3, 4])
    def test_every_write(self, world: World, external_id: bool, chained: str, nth: int) -> None:
        """Whichever answer is lost while linking, the next try ends with one complete link."""
        world.org.options = OrgOptions(external_id_field=external_id)
        source = world.source(chained_references=chained)
        original = world.file("f", parents=[FileParent(world.account, "I", "InternalUsers"), world.other]).document_id
        wanted = request(only(source))
        for operation in ("composite", "collections.*"):
            world.fault(on=operation, do="drop_after_commit", nth=nth, times=1)
            try:
                (outcome,) = source.link([wanted])
            except Transient:
                world.emulator.faults.load([])
                (outcome,) = world.source(chained_references=chained).link([replace(wanted, attempted=True)])
            world.emulator.faults.load([])

            assert outcome.status is Status.DONE
            assert len(links_of(world)) == 1
            assert shares(world, outcome.link_ref["document"]) == shares(world, original)
            wanted = replace(wanted, attempted=True)


class TestOtherOrgs:
    @pytest.mark.parametrize(
        "options",
        [
            OrgOptions(external_id_field=False),
            OrgOptions(array_references=False),
            OrgOptions(audit_fields=False),
            OrgOptions(communities=False),
            OrgOptions(link_file_type="UNKNOWN"),
            OrgOptions(external_id_field=False, array_references=False, audit_fields=False),
        ],
        ids=["no-key", "no-chains", "no-audit", "no-sites", "other-type", "nothing"],
    )
    def test_links_and_removes(self, world: World, options: OrgOptions) -> None:
        """Links are made, found again and originals removed, whatever the org lacks."""
        world.org.options = options
        source = world.source()
        for number in range(5):
            parents = [FileParent(each) for each in ([world.account], [world.account, world.other], [])[number % 3]]
            world.file(f"f{number}", parents=parents)
        wanted = [request(each) for each in files(source)]
        outcomes = source.link(wanted)
        again = world.source().link([replace(each, attempted=True) for each in wanted])

        assert {each.status for each in outcomes} == {Status.DONE}
        assert [each.link_ref for each in again] == [each.link_ref for each in outcomes]
        assert {each.status for each in source.remove(linked(wanted, outcomes))} == {Status.DONE}
        assert len(links_of(world)) == 5

    def test_refusals_are_remembered(self, world: World) -> None:
        """What the org refuses once is not tried with the next batch."""
        world.org.options = OrgOptions(array_references=False, audit_fields=False)
        source = world.source()
        for number in range(4):
            world.file(f"f{number}")
        wanted = [request(each) for each in files(source)]
        source.link(wanted[:2])
        world.reset_counters()
        outcomes = source.link(wanted[2:])

        assert {each.status for each in outcomes} == {Status.DONE}
        assert sum(world.calls().values()) <= 4

    def test_sites_switched_off(self, world: World) -> None:
        """Where an org without sites takes AllUsers only, a file for internal users is still linked and removed."""
        world.file("f", parents=[FileParent(world.account, "V", "InternalUsers")])
        world.org.options = OrgOptions(communities=False)
        source = world.source()
        wanted = [request(only(source))]
        outcomes = source.link(wanted)

        assert outcomes[0].status is Status.DONE
        assert source.remove(linked(wanted, outcomes))[0].status is Status.DONE
