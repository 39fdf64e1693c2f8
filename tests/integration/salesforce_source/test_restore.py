"""Putting documents back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from offloader.errors import IntegrityError, Transient
from offloader.model import Document, Version
from offloader.ports import LinkRequest, Status
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import SalesforceSource

from .conftest import World, everything, read, request


class Shelf:
    """The bodies that were kept, by version."""

    def __init__(self, source: SalesforceSource, document: Document) -> None:
        self.kept = {version.id: read(source, document, index) for index, version in enumerate(document.versions)}

    def __call__(self, version: Version) -> Iterator[bytes]:
        body = self.kept[version.id]
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]


def moved(source: SalesforceSource, kind: str = "ContentDocument") -> tuple[LinkRequest, Shelf]:
    """Move the only document of the org."""
    (document,) = everything(source.scan(kind)).values()
    shelf = Shelf(source, document)
    wanted = request(document)
    (outcome,) = source.link([wanted])
    wanted = replace(wanted, link_ref=dict(outcome.link_ref))
    assert source.remove([wanted])[0].status is Status.DONE
    return wanted, shelf


@pytest.mark.parametrize(
    "options", [OrgOptions(), OrgOptions(external_id_field=False, audit_fields=False)], ids=["full", "bare"]
)
class TestFiles:
    def test_byte_for_byte(self, world: World, options: OrgOptions) -> None:
        """All versions come back in order with title, owner, parents and sharing, and the link can go."""
        world.org.options = options
        source = world.source()
        parents = [FileParent(world.account, "I", "InternalUsers"), FileParent(world.other, "V", "AllUsers")]
        world.file("contract", b"one", b"two" * 5000, parents=parents, Description="d")
        wanted, shelf = moved(source)

        outcome = source.restore(wanted, shelf)

        back = outcome.document
        assert outcome.status is Status.DONE
        assert back is not None
        assert [read(source, back, index) for index in range(2)] == list(shelf.kept.values())
        assert (back.title, back.owner, back.extra["description"]) == ("contract", world.owner, "d")
        assert [(each.id, each.sharing) for each in back.parents] == [
            (each.id, each.sharing) for each in wanted.document.parents
        ]
        assert back.skip is None
        assert source.unlink([wanted])[0].status is Status.DONE
        assert set(everything(source.scan("ContentDocument"))) == {back.ref.id}

    @pytest.mark.parametrize("nth", [1, 2])
    def test_lost_answer(self, world: World, options: OrgOptions, nth: int) -> None:
        """When the answer to an upload is lost, the next try goes on with what is there."""
        world.org.options = options
        source = world.source()
        world.file("contract", b"one", b"two")
        wanted, shelf = moved(source)
        for operation in ("sobject.create", "rows.create", "*create*"):
            world.fault(on=operation, do="drop_after_commit", nth=nth, times=1)
        with pytest.raises(Transient) as caught:
            source.restore(wanted, shelf)
        assert caught.value.maybe_done

        outcome = source.restore(replace(wanted, attempted=True), shelf)

        assert outcome.document is not None
        assert [each.size for each in outcome.document.versions] == [3, 3]
        living = [row for row in world.org.rows("ContentVersion") if not row["IsDeleted"] and not row.get("ContentUrl")]
        assert len(living) == 2


@pytest.mark.parametrize("kind", ["ContentDocument", "Attachment"])
def test_owner_who_has_left(world: World, source: SalesforceSource, kind: str) -> None:
    """What an inactive user owned comes back owned by the running user where the org refuses inactive owners."""
    leaver = world.org.user(username="leaver@example.com")
    if kind == "Attachment":
        world.attachment(world.account, "scan.pdf", b"abc", owner=leaver)
    else:
        world.file("contract", b"one", b"two", owner=leaver)
    wanted, shelf = moved(source, kind)
    world.org.user(username="leaver@example.com", active=False)
    permissions = ["ViewAllData", "QueryAllFiles", "ModifyAllData", "CreateAuditFields"]
    world.org.user(username="integration@offloader.example", permissions=permissions)

    outcome = source.restore(wanted, shelf)

    assert outcome.status is Status.DONE
    assert outcome.document is not None
    assert outcome.document.owner == world.org.integration_user
    assert read(source, outcome.document) == list(shelf.kept.values())[-1]
    assert [each.id for each in outcome.document.parents] == [world.account]


def test_original_still_there(world: World, source: SalesforceSource) -> None:
    """A file that was not removed yet is not uploaded a second time."""
    ids = world.file("f")
    (document,) = everything(source.scan("ContentDocument")).values()

    outcome = source.restore(request(document), lambda _: iter([b"never read"]))

    assert outcome.status is Status.DONE
    assert outcome.document is not None
    assert outcome.document.ref.id == ids.document_id


def test_wrong_body(world: World, source: SalesforceSource) -> None:
    """A body of another size than the version had is never uploaded as that version."""
    world.file("f", b"12345")
    wanted, _ = moved(source)

    with pytest.raises(IntegrityError):
        source.restore(wanted, lambda _: iter([b"123"]))


class TestAttachments:
    def test_of_a_record(self, world: World, source: SalesforceSource) -> None:
        """An attachment is made again on its record; asked again, it is found."""
        world.attachment(world.account, "scan.pdf", b"abc", description="d")
        wanted, shelf = moved(source, "Attachment")

        first = source.restore(wanted, shelf)
        again = source.restore(replace(wanted, attempted=True), shelf)

        assert first.document is not None
        assert again.document is not None
        assert first.document.ref == again.document.ref
        assert read(source, first.document) == b"abc"
        assert (first.document.title, first.document.owner) == ("scan.pdf", world.owner)
        assert first.document.parents[0].id == world.account
        assert first.document.extra["description"] == "d"

    def test_in_place(self, world: World, source: SalesforceSource) -> None:
        """A placeholder becomes the attachment again, under the same id."""
        email = world.email(ParentId=world.org.insert("Case", {"Subject": "s", "AccountId": world.account}))
        original = world.attachment(email, "mail.pdf", b"abc" * 100, description="d")
        wanted, shelf = moved(source, "Attachment")

        outcome = source.restore(wanted, shelf)

        assert outcome.document is not None
        assert outcome.document.ref.id == original
        assert read(source, outcome.document) == b"abc" * 100
        assert (outcome.document.title, outcome.document.extra["description"]) == ("mail.pdf", "d")
        assert outcome.document.skip is None
        assert source.restore(replace(wanted, attempted=True), shelf).status is Status.DONE
