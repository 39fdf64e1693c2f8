"""What every `Records` must keep, clause by clause. Needs pytest.

Subclass `RecordsContract` and give the fixture `world`: a CRM with the records that are described there. Times and
ids are the CRM's own; nothing here knows a vendor.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import pytest

from offloader.errors import ConfigError
from offloader.ports import Status
from offloader.records import Child, Deletion, OnDelete, Record, RecordPage, RecordQuery, RecordRef, Records


class World(Protocol):
    """A CRM to test against.

    `type` has an age field, a text field `text_field` that can be set, and one CASCADE child type. There are three or
    more records older than `before`, one younger, and one of the older has a child (`parent`).
    """

    records: Records
    type: str
    age_field: str
    text_field: str
    before: datetime
    parent: RecordRef
    #: a record that is younger than `before`
    young: RecordRef

    def touch(self, ref: RecordRef) -> None:
        """Change a record as a user does."""

    def remove(self, ref: RecordRef) -> None:
        """Delete a record as a user does, into the bin where there is one."""


class RecordsContract:
    """The clauses of `offloader.records.Records`."""

    @pytest.fixture
    @abstractmethod
    def world(self) -> World:
        """A fresh CRM."""

    def test_find_gives_only_what_is_older(self, world: World) -> None:
        """Every record found is older than the moment, and younger ones do not come."""
        found = _found(world)

        assert len(found) >= 3
        assert world.young not in [record.ref for record in found]
        assert all(record.fields[world.age_field] for record in found)

    def test_find_has_a_stable_order_and_resumes(self, world: World) -> None:
        """The same query gives the same order again, and a cursor goes on after its page."""
        assert [each.ref for each in _found(world)] == [each.ref for each in _found(world)]
        pages = list(world.records.find(_query(world)))
        assert pages[-1].cursor is None
        for number, page in enumerate(pages[:-1]):
            rest = _all(world.records.find(_query(world), cursor=page.cursor))
            assert [each.ref for each in rest] == [each.ref for later in pages[number + 1 :] for each in later.records]

    def test_find_brings_the_fields_asked_for(self, world: World) -> None:
        """A further field that is asked for comes along."""
        found = _all(world.records.find(_query(world, fields=[world.text_field])))

        assert all(world.text_field in record.fields for record in found)

    def test_equals_narrows(self, world: World) -> None:
        """Only records with one of the values are found; a value with quotes in it is only a value."""
        one = next(each for each in _all(world.records.find(_query(world, fields=[world.text_field]))))
        value = one.fields[world.text_field]
        query = replace(_query(world, fields=[world.text_field]), equals={world.text_field: [value, "x' OR 1=1 --"]})

        found = _all(world.records.find(query))

        assert one.ref in [each.ref for each in found]
        assert all(each.fields[world.text_field] == value for each in found)

    def test_an_unknown_type_or_field_is_a_configuration_error(self, world: World) -> None:
        """A type or a field that the CRM does not have is named in a ConfigError."""
        with pytest.raises(ConfigError):
            world.records.describe("No_Such_Type_Here")
        with pytest.raises(ConfigError, match="no_such_field_here"):
            list(world.records.find(_query(world, fields=["no_such_field_here"])))

    def test_describe_names_fields_and_children(self, world: World) -> None:
        """A type's metadata name its age field and the children that go with it."""
        described = world.records.describe(world.type)

        assert world.age_field in {each.name for each in described.fields}
        assert _cascade(world) in described.children

    def test_fetch_answers_in_order_and_whole(self, world: World) -> None:
        """Records come in the order asked for, with all fields, and None where there is none."""
        refs = [record.ref for record in _found(world)][:3]
        missing = replace(refs[0], id=_other_id(refs[0].id))

        first, none, last = world.records.fetch([refs[1], missing, refs[0]])

        assert none is None
        assert first is not None
        assert last is not None
        assert (first.ref, last.ref) == (refs[1], refs[0])
        assert world.text_field in first.fields

    def test_an_etag_changes_with_the_row(self, world: World) -> None:
        """The etag is the same as long as nobody touches the record, and another one afterwards."""
        before = _fetched(world, world.parent)
        assert _fetched(world, world.parent).etag == before.etag
        world.touch(world.parent)
        assert _fetched(world, world.parent).etag != before.etag

    def test_children_name_their_parent(self, world: World) -> None:
        """Children come whole, and their look-up names the parent that was asked for."""
        child = _cascade(world)
        found = _all(world.records.children([world.parent], child))

        assert found
        assert all(each.fields[child.field] == world.parent.id for each in found)

    def test_a_record_changed_since_is_not_deleted(self, world: World) -> None:
        """A deletion with an older etag is a CONFLICT, and the record stays."""
        read = _fetched(world, world.parent)
        world.touch(world.parent)

        (outcome,) = world.records.delete([Deletion(world.parent, read.etag)])

        assert outcome.status is Status.CONFLICT
        assert world.records.fetch([world.parent]) != [None]
        assert list(world.records.gone([world.parent])) == [Status.CONFLICT]

    def test_deletion_takes_the_children_along(self, world: World) -> None:
        """A deleted record is certainly gone, and its cascading children are not there any more."""
        children = [each.ref for each in _all(world.records.children([world.parent], _cascade(world)))]

        (outcome,) = world.records.delete([Deletion(world.parent, _fetched(world, world.parent).etag)])

        assert outcome.status is Status.DONE
        assert list(world.records.gone([world.parent])) == [Status.DONE]
        assert list(world.records.fetch(children)) == [None] * len(children)

    def test_a_batch_is_answered_in_order(self, world: World) -> None:
        """One that changed does not keep the others from being deleted, and each answer is at its place."""
        refs = [record.ref for record in _found(world)][:3]
        read = [_fetched(world, ref) for ref in refs]
        world.touch(refs[1])

        outcomes = world.records.delete([Deletion(each.ref, each.etag) for each in read])

        assert [each.status for each in outcomes] == [Status.DONE, Status.CONFLICT, Status.DONE]

    def test_what_is_not_there_is_gone(self, world: World) -> None:
        """Deleting what a user has deleted already says GONE."""
        read = _fetched(world, world.parent)
        world.remove(world.parent)

        (outcome,) = world.records.delete([Deletion(world.parent, read.etag)])

        assert outcome.status is Status.GONE

    def test_what_never_was_is_no_deletion(self, world: World) -> None:
        """A record that is merely not found is not said to be deleted."""
        missing = replace(world.parent, id=_other_id(world.parent.id))

        assert list(world.records.gone([missing])) == [Status.REFUSED]

    def test_the_bin_gives_back_what_it_holds(self, world: World) -> None:
        """Where there is a bin, a deleted record comes back under its id with its children; else it is REFUSED."""
        child = _cascade(world)
        children = [each.ref for each in _all(world.records.children([world.parent], child))]
        world.records.delete([Deletion(world.parent, _fetched(world, world.parent).etag)])

        (outcome,) = world.records.undelete([world.parent])

        if world.records.describe(world.type).bin_days is None:
            assert outcome.status is Status.REFUSED
            return
        assert outcome.status is Status.DONE
        assert [each.ref for each in _all(world.records.children([world.parent], child))] == children

    def test_create_passes_over_what_cannot_be_set(self, world: World) -> None:
        """A record made of another one's fields is a new one with the same text, under an id of its own."""
        whole = _fetched(world, world.parent)

        (outcome,) = world.records.create([whole])

        assert outcome.status is Status.DONE
        assert outcome.ref is not None
        assert outcome.ref != world.parent
        made = _fetched(world, outcome.ref)
        assert made.fields[world.text_field] == whole.fields[world.text_field]

    def test_what_was_made_is_found(self, world: World) -> None:
        """A record that was created is among those that may have been; looking makes nothing."""
        whole = _fetched(world, world.parent)
        world.records.delete([Deletion(whole.ref, whole.etag)])

        (outcome,) = world.records.create([whole])

        assert outcome.ref is not None
        found = world.records.made([whole], _fetched(world, outcome.ref).modified or world.before)
        assert outcome.ref in [each.ref for each in found]

    def test_set_fields_changes_only_those(self, world: World) -> None:
        """Fields that are set are read back, and the record's age stays."""
        before = _fetched(world, world.parent)

        (outcome,) = world.records.set_fields([replace(before, fields={world.text_field: "set by the contract"})])

        after = _fetched(world, world.parent)
        assert outcome.status is Status.DONE
        assert after.fields[world.text_field] == "set by the contract"
        assert after.fields[world.age_field] == before.fields[world.age_field]

    def test_identity_and_usage_are_said(self, world: World) -> None:
        """The CRM says who it is, the same each time, and calls are counted."""
        assert world.records.identity() == world.records.identity()
        assert world.records.identity()["organisation"]
        _found(world)
        assert sum(world.records.usage().requests.values()) > 0


def _query(world: World, fields: Sequence[str] = ()) -> RecordQuery:
    return RecordQuery(type=world.type, age_field=world.age_field, before=world.before, fields=fields)


def _all(pages: Iterable[RecordPage]) -> list[Record]:
    return [record for page in pages for record in page.records]


def _found(world: World) -> list[Record]:
    return _all(world.records.find(_query(world)))


def _fetched(world: World, ref: RecordRef) -> Record:
    (record,) = world.records.fetch([ref])
    assert record is not None
    return record


def _cascade(world: World) -> Child:
    children = world.records.describe(world.type).children
    with_some = (
        each
        for each in children
        if each.on_delete is OnDelete.CASCADE
        and not each.documents
        and _all(world.records.children([world.parent], each))
    )
    return next(with_some)


def _other_id(id: str) -> str:
    """An id of the same form that names nothing."""
    digits = "".join("9" if char.isdigit() else char for char in id)
    return digits if digits != id else id[::-1]
