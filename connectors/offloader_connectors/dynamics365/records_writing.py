"""Creating records again, and setting fields of records.

A record gets the id that it had, so that links and references from outside lead to it again, and so that a creation
whose answer was lost is found instead of made twice (Web API guide, "Create a table row"); where that id is taken, the
CRM gives another. State and status are set
afterwards: a new row is always open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from offloader.errors import AuthError, Conflict, Permanent
from offloader.ports import Status
from offloader.records import Deleted, Record, RecordRef, Value
from offloader_connectors.dynamics365 import odata, stubbing, trouble
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.records_deleting import NO_ID, PORTION, Deleter
from offloader_connectors.dynamics365.records_types import BROUGHT_IN, CREATED, TABLE_OF, Column, Kind, Types
from offloader_connectors.dynamics365.rows import Row

_STATE = ("statecode", "statuscode")
#: of a look-up that leads to users and teams, the table that its relationship names
_OWNERS = "owner"
_TAKEN = Deleted(status=Status.CONFLICT, reason="a record with this id is there already")
#: the end of an address
_ADDRESS = re.compile(r"\(([0-9a-fA-F-]{36})\)$")
_UNSEEN = "written, and not shown yet"


class Writer:
    """Creates and changes rows. Thread-safe."""

    def __init__(
        self,
        name: str,
        api: Api,
        known: Environment,
        types: Types,
        deleter: Deleter,
        options: DynamicsOptions,
    ) -> None:
        self._name = name
        self._api = api
        self._environment = known
        self._types = types
        self._sent = deleter.sent
        self._headers = stubbing.write_headers(options)

    def create(self, records: Sequence[Record]) -> list[Deleted]:
        """Create records with their own ids, in order."""
        return self._in_order(records, self._create)

    def set_fields(self, records: Sequence[Record]) -> list[Deleted]:
        """Set these fields of records that are there, if they are still as they were where an etag is given."""
        return self._in_order(records, self._set)

    def _in_order(self, records: Sequence[Record], act: Any) -> list[Deleted]:
        found: dict[tuple[str, str], Deleted] = {}
        for type_name in odata.unique(record.ref.type for record in records):
            kind = self._types.of(type_name)
            wanted = {each.ref.id.lower(): each for each in records if each.ref.type == type_name}
            known = [key for key in wanted if odata.is_guid(key)]
            for some in odata.chunks(known, PORTION):
                found.update(
                    ((type_name, key), each) for key, each in act(kind, {key: wanted[key] for key in some}).items()
                )
        return [found.get((record.ref.type, record.ref.id.lower()), NO_ID) for record in records]

    # -- new rows -----------------------------------------------------------------------------------------------

    def _create(self, kind: Kind, wanted: Mapping[str, Record]) -> dict[str, Deleted]:
        bodies, found = self._bodies(kind, wanted, creating=True)
        ids = list(bodies)
        # a row that is there after a lost answer is ours by its id
        none: dict[str, Mapping[str, Value]] = {key: {} for key in ids}
        found |= self._sending(kind, [self._creation(kind, {kind.key: key, **bodies[key]}) for key in ids], none)
        taken = [key for key in ids if found[key] is _TAKEN]
        found |= self._afresh(kind, {key: bodies[key] for key in taken})
        return found | self._states(kind, {key: found[key] for key in ids}, wanted)

    def _afresh(self, kind: Kind, bodies: Mapping[str, Any]) -> dict[str, Deleted]:
        """Create records whose ids are taken, under ids that the CRM gives."""
        if not bodies:
            return {}
        parts = [self._creation(kind, body) for body in bodies.values()]
        found = {}
        for key, answer in zip(bodies, self._api.batch(f"create.{kind.name}", parts), strict=True):
            made = _ADDRESS.search(answer.headers.get("OData-EntityId", ""))
            if answer.ok and made is not None and odata.is_guid(made[1]):
                ref = RecordRef(self._name, kind.name, made[1].lower())
                found[key] = Deleted(status=Status.DONE, ref=ref)
            else:
                found[key] = _failed(answer, None)
        return found

    def _states(self, kind: Kind, made: Mapping[str, Deleted], wanted: Mapping[str, Record]) -> dict[str, Deleted]:
        """Close new rows whose records were not open."""
        bodies: dict[str, Any] = {}
        for key, each in made.items():
            if each.status is Status.DONE and each.ref is not None and (body := _state_of(kind, wanted[key].fields)):
                bodies[key] = (each.ref, body)
        if not bodies:
            return {}
        ids = [ref.id for ref, _ in bodies.values()]
        parts = [self._change(kind, ref.id, body, "*") for ref, body in bodies.values()]
        answers, _ = self._sent(f"patch.{kind.name}", kind, ids, parts)
        return {
            key: Deleted(
                status=Status.DONE, reason=f"created, and its state could not be set: {answer.error()}", ref=ref
            )
            for (key, (ref, _)), answer in zip(bodies.items(), answers, strict=True)
            if not answer.ok
        }

    def _creation(self, kind: Kind, body: Any) -> Part:
        return Part("POST", kind.table.set_name, body, self._headers, operation=f"create.{kind.name}")

    # -- rows that are there ------------------------------------------------------------------------------------

    def _set(self, kind: Kind, wanted: Mapping[str, Record]) -> dict[str, Deleted]:
        bodies, found = self._bodies(kind, wanted, creating=False)
        ids = list(bodies)
        parts = [self._change(kind, key, bodies[key], wanted[key].etag or "*") for key in ids]
        return found | self._sending(kind, parts, {key: wanted[key].fields for key in ids})

    def _change(self, kind: Kind, key: str, body: Any, match: str) -> Part:
        headers = {"If-Match": match, **self._headers}
        path = odata.record(kind.table.set_name, key)
        return Part("PATCH", path, body, headers, operation=f"patch.{kind.name}")

    def _sending(
        self, kind: Kind, parts: Sequence[Part], wanted: Mapping[str, Mapping[str, Value]]
    ) -> dict[str, Deleted]:
        """Send one write for each record; `wanted`: by id, what stands there if a write was done."""
        if not parts:
            return {}
        ids = list(wanted)
        answers, there = self._sent(f"write.{kind.name}", kind, ids, parts, kind.wires)
        return {
            key: _outcome(answer, there.get(key), kind, wanted[key], RecordRef(self._name, kind.name, key))
            for key, answer in zip(ids, answers, strict=True)
        }

    # -- bodies -------------------------------------------------------------------------------------------------

    def _bodies(
        self, kind: Kind, wanted: Mapping[str, Record], *, creating: bool
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Deleted]]:
        """The JSON of each, and what became of those that have none."""
        bodies: dict[str, dict[str, Any]] = {}
        refused: dict[str, Deleted] = {}
        for key, record in wanted.items():
            body = self._body(kind, record.fields, creating=creating)
            if isinstance(body, Deleted):
                refused[key] = body
            else:
                bodies[key] = body
        return bodies, refused

    def _body(self, kind: Kind, fields: Mapping[str, Value], *, creating: bool) -> dict[str, Any] | Deleted:
        """The JSON of these fields; REFUSED where a reference cannot be written. What cannot be set is passed over."""
        body: dict[str, Any] = {}
        for name, value in fields.items():
            column = kind.columns.get(name)
            if column is None or name == kind.key or (name in _STATE and creating):
                continue
            if not (column.creatable if creating else column.updatable) or (creating and value is None):
                continue
            if not column.is_lookup:
                body[BROUGHT_IN if name == CREATED else name] = value
                continue
            bound = self._bound(kind, column, value, fields)
            if isinstance(bound, str):
                return Deleted(status=Status.REFUSED, reason=bound)
            body |= bound
        return body

    def _bound(
        self, kind: Kind, column: Column, value: Value, fields: Mapping[str, Value]
    ) -> dict[str, str | None] | str:
        """A reference as it is written; a sentence if it cannot be."""
        table = fields.get(f"{column.name}{TABLE_OF}") or (None if column.many else column.refers_to[0])
        if value is None and table is None:
            names = [name for (lookup, _), name in kind.navigation.items() if lookup == column.name]
            return dict.fromkeys(names[:1])
        known = self._environment.tables().get(str(table)) if table is not None else None
        name = kind.navigation.get((column.name, str(table))) or kind.navigation.get((column.name, _OWNERS))
        if known is None or name is None:
            return f"nothing says to which table {column.name} leads ({column.name}{TABLE_OF})"
        if value is None:
            return {name: None}
        if not odata.is_guid(str(value)):
            return f"{column.name} is no record id"
        return {f"{name}@odata.bind": f"/{odata.record(known.set_name, str(value))}"}


def _state_of(kind: Kind, fields: Mapping[str, Value]) -> dict[str, Value]:
    """State and status of a row that was not open."""
    if not fields.get("statecode"):
        return {}
    return {name: fields[name] for name in _STATE if name in kind.columns and fields.get(name) is not None}


def _outcome(answer: Answer, row: Row | None, kind: Kind, fields: Mapping[str, Value], ref: RecordRef) -> Deleted:
    """What became of a write, by its answer and by what stands there afterwards."""
    error = answer.error()
    if error is None:
        return Deleted(status=Status.DONE, ref=ref, reason="" if row is not None else _UNSEEN)
    if answer.code == trouble.EXISTS:
        return _TAKEN
    if not isinstance(error, Permanent) and row is not None and _stands(kind, row, fields):
        return Deleted(status=Status.DONE, ref=ref)
    return _failed(answer, row)


def _failed(answer: Answer, row: Row | None) -> Deleted:
    error, status = answer.error(), Status.RETRY
    if answer.status == 404 and row is None:
        status = Status.GONE
    elif isinstance(error, Conflict):
        status = Status.CONFLICT
    elif isinstance(error, Permanent) and not isinstance(error, AuthError):
        status = Status.REFUSED
    return Deleted(status=status, reason=str(error or "the CRM does not say what it made"))


def _stands(kind: Kind, row: Row, fields: Mapping[str, Value]) -> bool:
    """Whether all of these fields that a client can set have these values now."""
    for name, value in fields.items():
        column = kind.columns.get(name)
        if column is None or value is None or name in _STATE or name == kind.key or not column.updatable:
            continue
        held = row.get(column.wire)
        if (str(held).lower() != str(value).lower()) if column.is_lookup else held != value:
            return False
    return True
