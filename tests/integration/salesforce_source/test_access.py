"""May this user read that document now?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from offloader.model import Document
from offloader.ports import Access, LinkRequest, Status
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import SalesforceSource

from .conftest import World, everything, request


def moved(source: SalesforceSource, kind: str = "ContentDocument") -> dict[str, LinkRequest]:
    """Link and remove every document; by title."""
    wanted = [request(each) for each in everything(source.scan(kind)).values()]
    outcomes = source.link(wanted)
    wanted = [replace(each, link_ref=dict(outcome.link_ref)) for each, outcome in zip(wanted, outcomes, strict=True)]
    assert {each.status for each in source.remove(wanted)} == {Status.DONE}
    return {each.document.title: each for each in wanted}


@pytest.fixture
def reader(world: World) -> str:
    """A user without any right of its own."""
    return world.org.user(username="reader@example.com")


class TestFiles:
    def test_by_record(self, world: World, source: SalesforceSource, reader: str) -> None:
        """Whoever may read a record reads its files, and nobody else; a change counts at once."""
        world.file("a", parents=[world.account])
        world.file("b", parents=[world.other])
        found = moved(source)
        world.org.share(world.account, reader)

        assert list(source.may_read(reader, [found["a"], found["b"]])) == [Access.YES, Access.NO]
        world.org.share(world.account, reader, "None")
        assert list(source.may_read(reader, [found["a"]])) == [Access.NO]

    def test_names(self, world: World, source: SalesforceSource, reader: str) -> None:
        """A user is known by id of either length and by user name; unknown and inactive users read nothing."""
        world.file("a", parents=[FileParent(reader)])
        found = [moved(source)["a"]]

        assert {source.may_read(name, found)[0] for name in (reader, reader[:15], "reader@example.com")} == {Access.YES}
        for name in ("nobody@example.com", "' OR IsActive = true OR Username = '", "005000000000001", ""):
            assert source.may_read(name, found)[0] is Access.NO
        world.org.user(username="reader@example.com", active=False)
        assert source.may_read(reader, found)[0] is Access.NO

    def test_owner_and_group(self, world: World, source: SalesforceSource, reader: str) -> None:
        """The owner reads, and the members of a group that the file is shared with."""
        group = world.org.insert("CollaborationGroup", {"Name": "g"})
        world.org.insert("CollaborationGroupMember", {"CollaborationGroupId": group, "MemberId": reader})
        stranger = world.org.user(username="stranger@example.com")
        world.file("a", parents=[FileParent(group)])
        found = [moved(source)["a"]]

        assert source.may_read(world.owner, found)[0] is Access.YES
        assert source.may_read(reader, found)[0] is Access.YES
        assert source.may_read(stranger, found)[0] is Access.NO

    def test_external_users(self, world: World, source: SalesforceSource) -> None:
        """What is for internal users only is not shown to external ones, whatever they may read."""
        external = world.org.user(username="partner@example.com", external=True)
        world.org.share(world.account, external)
        world.file("inside", parents=[FileParent(world.account, "V", "InternalUsers")])
        world.file("outside", parents=[FileParent(world.account, "V", "AllUsers")])
        found = moved(source)

        assert list(source.may_read(external, [found["inside"], found["outside"]])) == [Access.NO, Access.YES]

    def test_private_on_records(self, world: World, source: SalesforceSource, reader: str) -> None:
        """A file that is private on records is not read through them."""
        world.org.share(world.account, reader)
        world.file("a", SharingPrivacy="P")
        found = [moved(source)["a"]]

        assert source.may_read(reader, found)[0] is Access.NO
        assert source.may_read(world.owner, found)[0] is Access.YES

    def test_before_linking_and_after_deletion(self, world: World, source: SalesforceSource, reader: str) -> None:
        """An unlinked file is judged by itself; a link that was deleted lets nobody in."""
        world.file("a", parents=[FileParent(reader)])
        (document,) = everything(source.scan("ContentDocument")).values()
        assert source.may_read(reader, [request(document)])[0] is Access.YES
        found = moved(source)["a"]
        world.org.delete(found.link_ref["document"])

        assert source.may_read(reader, [found])[0] is Access.NO

    def test_many_records(self, world: World, source: SalesforceSource, reader: str) -> None:
        """More than 200 records are asked in parts."""
        accounts = [world.org.insert("Account", {"Name": f"a{n}", "OwnerId": world.owner}) for n in range(250)]
        world.org.share(accounts[-1], reader)
        world.file("a", parents=accounts)
        (document,) = everything(source.scan("ContentDocument")).values()

        assert source.may_read(reader, [request(document)])[0] is Access.YES

    def test_error_is_unknown(self, world: World, source: SalesforceSource, reader: str) -> None:
        """When the org cannot be asked, nothing is known."""
        world.file("a")
        (document,) = everything(source.scan("ContentDocument")).values()
        world.fault(on="*", do="status", status=503)

        assert list(source.may_read(reader, [request(document)])) == [Access.UNKNOWN]


class TestAttachments:
    def documents(self, source: SalesforceSource) -> dict[str, Document]:
        return {each.title: each for each in everything(source.scan("Attachment")).values()}

    def test_records(self, world: World, source: SalesforceSource, reader: str) -> None:
        """The link of an attachment is read by whom the record is, a private one by its owner alone."""
        world.attachment(world.account, "open")
        world.attachment(world.account, "private", is_private=True)
        world.org.share(world.account, reader)
        found = moved(source, "Attachment")

        assert list(source.may_read(reader, [found["open"], found["private"]])) == [Access.YES, Access.NO]

    def test_emails(self, world: World, source: SalesforceSource, reader: str) -> None:
        """A placeholder is read by whoever may read the record behind its e-mail."""
        case = world.org.insert("Case", {"Subject": "s", "AccountId": world.account, "OwnerId": world.owner})
        world.attachment(world.email(ParentId=case), "mail")
        world.attachment(world.email(), "stray")
        found = moved(source, "Attachment")
        requests = [found["mail"], found["stray"]]

        assert list(source.may_read(reader, requests)) == [Access.NO, Access.NO]
        world.org.share(case, reader)
        assert list(source.may_read(reader, requests)) == [Access.YES, Access.NO]
