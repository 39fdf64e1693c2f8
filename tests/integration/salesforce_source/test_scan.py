"""Listing documents of an org."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from offloader.errors import Permanent
from offloader.model import Strategy
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import SalesforceSource
from tests.integration.clock import CREATED

from .conftest import World, everything, request


class TestFiles:
    def test_whole_documents(self, world: World, source: SalesforceSource) -> None:
        """A file comes with all versions in order, its parents, their sharing and their signals."""
        ids = world.file(
            "contract", b"one", b"two!", parents=[FileParent(world.account, "I", "InternalUsers"), world.other]
        )

        (document,) = everything(source.scan("ContentDocument")).values()

        assert document.ref.id == ids.document_id
        assert [version.id for version in document.versions] == list(ids.version_ids)
        assert [(version.number, version.size, version.current) for version in document.versions] == [
            (1, 3, False),
            (2, 4, True),
        ]
        assert document.versions[0].checksum is not None
        assert document.versions[0].checksum.algorithm == "md5"
        assert document.versions[0].name == "contract.pdf"
        assert (document.title, document.owner, document.created) == ("contract", world.owner, CREATED)
        parents = {parent.id: parent for parent in document.parents}
        assert set(parents) == {world.account, world.other}
        assert parents[world.account].type == "Account"
        assert parents[world.account].sharing == {"ShareType": "I", "Visibility": "InternalUsers"}
        assert parents[world.account].signals == {"country": "DE", "record_type": "", "owner": world.owner}
        assert parents[world.other].signals["country"] == "France"
        assert document.strategy is Strategy.NEW_LINK_THEN_DELETE
        assert document.skip is None

    def test_pages_resume(self, world: World) -> None:
        """A scan that is broken off after any page goes on at its cursor, and misses and repeats nothing."""
        ids = {world.file(f"f{n}", *[b"x"] * (1 + n % 3)).document_id: 1 + n % 3 for n in range(250)}
        source = world.source(page_size=200)
        seen: dict[str, int] = {}
        listed = 0
        cursor, pages = None, 0
        while True:
            page = next(iter(source.scan("ContentDocument", cursor=cursor)))
            seen |= {document.ref.id: len(document.versions) for document in page.documents}
            listed += len(page.documents)
            pages += 1
            cursor = page.cursor
            if cursor is None:
                break

        assert pages >= 3
        assert page.watermark
        assert listed == 250
        assert seen == ids

    def test_a_document_with_more_versions_than_a_page(self, world: World) -> None:
        """A document whose versions fill more than a page is still listed whole, and once."""
        ids = world.file("many", *[b"x"] * 230)
        world.file("after")

        documents = everything(world.source(page_size=200).scan("ContentDocument"))

        assert len(documents) == 2
        assert len(documents[ids.document_id].versions) == 230

    def test_three_hundred_parents(self, world: World, source: SalesforceSource) -> None:
        """Every parent of a widely shared file is found."""
        accounts = [world.org.insert("Account", {"Name": f"a{n}", "BillingCountryCode": "NL"}) for n in range(300)]
        world.file("wide", parents=accounts)

        (document,) = everything(source.scan("ContentDocument")).values()

        assert {parent.id for parent in document.parents} == set(accounts)
        assert {parent.signals["country"] for parent in document.parents} == {"NL"}

    @pytest.mark.parametrize(
        "name",
        ["../../etc/passwd", "a\r\nb", "quote' OR Id != '", "back\\slash", "\u202etxt.exe", "x" * 250, "🙂", "%2e"],
    )
    def test_hostile_titles(self, world: World, source: SalesforceSource, name: str) -> None:
        """A title is handed on raw, whatever is in it."""
        world.file(name, path="x.txt")

        (document,) = everything(source.scan("ContentDocument")).values()

        assert document.title == name

    def test_skips(self, world: World, source: SalesforceSource) -> None:
        """What must not be moved comes with the reason; our own links do not come at all."""
        note = world.file("note", path="note.snote").document_id
        foreign = world.org.get(
            world.org.insert(
                "ContentVersion", {"Title": "elsewhere", "ContentUrl": "https://x.example", "OwnerId": world.owner}
            )
        )["ContentDocumentId"]
        world.org.insert(
            "ContentVersion",
            {"Title": "ours", "ContentUrl": "https://y.example", "Offload_Key__c": "k", "OwnerId": world.owner},
        )
        external = world.file("external", ContentLocation="E").document_id
        asset = world.file("logo", IsAssetEnabled=True).document_id
        bad = world.file("bad", MalwareScanStatus="Malicious").document_id
        plain = world.file("plain").document_id

        found = everything(source.scan("ContentDocument"))

        codes = {key: document.skip.code if document.skip else None for key, document in found.items()}
        assert codes == {
            note: "note",
            foreign: "link",
            external: "external",
            asset: "asset",
            bad: "malicious",
            plain: None,
        }

    def test_feed_posts_keep_their_files(self, world: World, source: SalesforceSource) -> None:
        """A file on a feed post stays."""
        ids = world.file("posted")
        post = world.org.insert("FeedItem", {"ParentId": world.account, "Body": "look", "Type": "ContentPost"})
        world.org.insert("FeedAttachment", {"FeedEntityId": post, "Type": "Content", "RecordId": ids.version_ids[0]})

        (document,) = everything(source.scan("ContentDocument")).values()

        assert document.skip is not None
        assert document.skip.code == "feed"

    def test_without_query_all_files(self, world: World, source: SalesforceSource) -> None:
        """A scan that cannot see every file says so on every page."""
        world.file("hidden")
        world.org.user(username="integration@offloader.example", permissions=["ViewAllData", "ModifyAllData"])

        pages = list(source.scan("ContentDocument"))

        assert not everything(iter(pages))
        assert all("no-query-all-files" in {each.code for each in page.blind_spots} for page in pages)
        assert all(each.hides for page in pages for each in page.blind_spots)

    def test_configured_signals(self, world: World) -> None:
        """Any field of the parent can be a signal; one that the org has not is left out, so it counts as unknown."""
        world.org.update(world.account, {"Offload_Category__c": "secret"})
        world.file()
        source = world.source(
            signals={"Account": {"category": "Offload_Category__c", "nothing": "Nope__c", "owner": []}}
        )

        (document,) = everything(source.scan("ContentDocument")).values()

        assert document.parents[0].signals == {"country": "DE", "record_type": "", "category": "secret"}

    def test_a_parent_that_cannot_be_seen_has_no_signals(self, world: World, source: SalesforceSource) -> None:
        """Signals of an invisible parent are absent, not empty."""
        world.org.user(username="integration@offloader.example", permissions=["QueryAllFiles"])
        world.file()

        (document,) = everything(source.scan("ContentDocument")).values()

        assert document.parents[0].signals == {}


class TestChanges:
    def mark(self, source: SalesforceSource, kind: str = "ContentDocument", since: str | None = None) -> str:
        page = list(source.scan(kind, since=since))[-1]
        assert page.watermark
        return page.watermark

    @pytest.mark.parametrize("kind", ["ContentDocument", "Attachment"])
    def test_nothing_changed_costs_little(self, world: World, source: SalesforceSource, kind: str) -> None:
        """Finding that nothing changed takes three calls at most, however many documents there are."""
        for number in range(30):
            world.file(f"f{number}")
        world.clock.move(hours=2)
        mark = self.mark(source, kind)
        world.clock.move(hours=2)
        for _ in range(2):
            world.reset_counters()
            pages = list(source.scan(kind, since=mark))

            assert not everything(iter(pages))
            assert sum(world.calls().values()) <= 3
            assert pages[-1].watermark
            mark = pages[-1].watermark

    def test_new_changed_and_deleted_files(self, world: World, source: SalesforceSource) -> None:
        """New versions, new files, new parents and deletions are found; the rest is not listed again."""
        kept, grown, shared, gone = (world.file(name) for name in ("kept", "grown", "shared", "gone"))
        world.clock.move(hours=2)
        mark = self.mark(source)
        world.clock.move(hours=2)
        world.org.insert(
            "ContentVersion",
            {"ContentDocumentId": grown.document_id, "Title": "grown", "PathOnClient": "g.pdf", "VersionData": b"v2"},
        )
        world.org.insert(
            "ContentDocumentLink", {"ContentDocumentId": shared.document_id, "LinkedEntityId": world.other}
        )
        world.org.delete(gone.document_id)
        fresh = world.org.insert(
            "ContentVersion", {"Title": "n", "PathOnClient": "n.pdf", "VersionData": b"n", "OwnerId": world.owner}
        )

        pages = list(source.scan("ContentDocument", since=mark))

        found = everything(iter(pages))
        assert set(found) == {grown.document_id, shared.document_id, world.org.get(fresh)["ContentDocumentId"]}
        assert len(found[grown.document_id].versions) == 2
        assert len(found[shared.document_id].parents) == 2
        assert {ref.id for page in pages for ref in page.deleted} == {gone.document_id}
        assert kept.document_id not in found

    def test_overlap(self, world: World, source: SalesforceSource) -> None:
        """A change that was committed late, with a time before the watermark, is found by the overlap."""
        world.clock.move(hours=2)
        mark = self.mark(source)
        at = world.clock.now
        ids = world.file("late")
        for record in (ids.document_id, *ids.version_ids):
            world.org.update(record, {"SystemModstamp": at.replace(minute=at.minute).isoformat()})

        assert ids.document_id in everything(source.scan("ContentDocument", since=mark))
        assert ids.document_id not in everything(
            world.source(overlap=0).scan("ContentDocument", since=self.later(mark))
        )

    @staticmethod
    def later(mark: str) -> str:
        state = json.loads(mark)
        return json.dumps(state | {"at": state["at"].replace("2026", "2027")})

    def test_watermark_is_the_start(self, world: World, source: SalesforceSource) -> None:
        """The watermark never passes the server's time at which the scan began."""
        for number in range(3):
            world.file(f"f{number}")
        began = world.clock.now
        pages = source.scan("ContentDocument")
        first = next(pages)
        world.clock.move(hours=1)
        last = [first, *pages][-1]

        assert last.watermark
        assert json.loads(last.watermark)["at"] == began.strftime("%Y-%m-%dT%H:%M:%SZ")

    @pytest.mark.parametrize("mark", ["", "x", "[]", '{"at": 5}', '{"at": "x"}', "{}"])
    def test_unreadable_watermark(self, source: SalesforceSource, mark: str) -> None:
        """A watermark that cannot be read is an error, not a scan of nothing."""
        with pytest.raises(Permanent):
            list(source.scan("ContentDocument", since=mark))

    def test_attachments(self, world: World, source: SalesforceSource) -> None:
        """Changed and deleted attachments are found."""
        changed, gone, _ = (world.attachment(world.account, name) for name in ("changed", "gone", "kept"))
        world.clock.move(hours=2)
        mark = self.mark(source, "Attachment")
        world.clock.move(hours=2)
        world.org.update(changed, {"Name": "renamed"})
        world.org.delete(gone)

        pages = list(source.scan("Attachment", since=mark))

        assert set(everything(iter(pages))) == {changed}
        assert {ref.id for page in pages for ref in page.deleted} == {gone}


class TestAttachments:
    def test_of_records_and_emails(self, world: World, source: SalesforceSource) -> None:
        """Attachments come with their parent; those of e-mails are replaced in place and inherit the record's
        signals.
        """
        case = world.org.insert("Case", {"Subject": "s", "AccountId": world.account})
        email = world.email(ParentId=case)
        plain, mailed = world.attachment(world.account), world.attachment(email, "mail.pdf")

        found = everything(source.scan("Attachment"))

        assert found[plain].strategy is Strategy.NEW_LINK_THEN_DELETE
        assert found[mailed].strategy is Strategy.STUB_IN_PLACE
        assert found[mailed].parents[0].type == "EmailMessage"
        assert found[mailed].parents[0].signals["country"] == "DE"
        assert found[plain].versions[0].size == len(b"scanned")

    def test_without_modify_all_data(self, world: World, source: SalesforceSource) -> None:
        """Without Modify All Data the scan says that e-mails' attachments are hidden."""
        world.org.user(username="integration@offloader.example", permissions=["ViewAllData", "QueryAllFiles"])

        (page,) = source.scan("Attachment")

        assert [each.code for each in page.blind_spots] == ["no-modify-all-data"]

    def test_pages(self, world: World) -> None:
        """All attachments are listed once over several pages."""
        ids = {world.attachment(world.account, f"a{number}") for number in range(410)}

        pages = list(world.source(page_size=200).scan("Attachment"))

        listed = [document.ref.id for page in pages for document in page.documents]
        assert len(pages) == 3
        assert len(listed) == 410
        assert set(listed) == ids


class TestFetch:
    def test_in_order(self, world: World, source: SalesforceSource) -> None:
        """Documents come back in the order asked for, None for what is not there."""
        one, two = world.file("one"), world.file("two")
        attachment = world.attachment(world.account)
        found = everything(source.scan("ContentDocument")) | everything(source.scan("Attachment"))
        refs = [found[key].ref for key in (two.document_id, attachment, one.document_id)]
        missing = replace(refs[0], id="069000000000001AAA")
        world.org.delete(one.document_id)

        documents = source.fetch([*refs, missing])

        assert documents[0] == found[two.document_id]
        assert documents[1] == found[attachment]
        assert documents[2:] == [None, None]

    def test_sharing_does_not_change_the_etag(self, world: World, source: SalesforceSource) -> None:
        """Sharing a file changes its parents and not its etag; a new version or title changes the etag."""
        ids = world.file()
        (before,) = everything(source.scan("ContentDocument")).values()
        world.org.insert("ContentDocumentLink", {"ContentDocumentId": ids.document_id, "LinkedEntityId": world.other})
        (shared,) = source.fetch([before.ref])
        world.org.update(ids.version_ids[0], {"Title": "renamed"})
        (renamed,) = source.fetch([before.ref])

        assert shared is not None
        assert renamed is not None
        assert shared.etag == before.etag
        assert len(shared.parents) == 2
        assert renamed.etag != before.etag


class TestOrgWithoutExternalId:
    @pytest.fixture
    def org_options(self) -> OrgOptions:
        return OrgOptions(external_id_field=False)

    def test_scan(self, world: World, source: SalesforceSource) -> None:
        """The field is not asked for where the org has it not."""
        world.file()
        (document,) = everything(source.scan("ContentDocument")).values()

        assert request(document).document.skip is None
