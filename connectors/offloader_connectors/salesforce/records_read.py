"""Reading records: listing by age, children, whole rows, and what has become of an id.

Everything is asked of `queryAll`: `query` leaves out archived activities (SOAP API guide, "queryAll()"), and a stale
record's tasks are archived ones.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from offloader.errors import AuthError, ConfigError, Permanent
from offloader.ports import Status
from offloader.records import Child, Record, RecordPage, RecordQuery, RecordRef, Value
from offloader_connectors.answers import harmless
from offloader_connectors.salesforce import documents, rows, soql
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.records_types import DELETED, LINK, LINKED, STAMP, Known, Types
from offloader_connectors.salesforce.rows import Row

#: rows in one page of a query
PAGE = 2000
#: characters of one statement, with room to spare below 100,000 ("SOQL and SOSL Limits")
_LONGEST = 90_000
_CHARACTERS_PER_ID = 21
#: how far back the log of deletions is asked: it reaches 15 days at most
_LOG = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Seen:
    """How a row stands: its stamp, and whether it is in the recycle bin."""

    etag: str
    deleted: bool


class Reader:
    """Reads records of one org. Thread-safe."""

    def __init__(self, source: str, api: Api, types: Types, facts: Org, now: Callable[[], datetime]) -> None:
        self._source = source
        self._api = api
        self._types = types
        self._org = facts
        self._now = now

    # -- listing ------------------------------------------------------------------------------------------------

    def find(self, query: RecordQuery, cursor: str | None) -> Iterator[RecordPage]:
        """Pages in the order of ids; the cursor is the last id, so that it never expires."""
        known = self._types.known(query.type)
        where = self._where(known, query)
        wanted = soql.unique([query.age_field, *query.equals, *query.empty, *query.fields])
        self._check_selectable(known, wanted)
        fixed = ["Id", STAMP, *(each for each in ("LastModifiedDate", known.name_field) if each in known.columns)]
        names = ", ".join(soql.unique([*(str(each) for each in fixed), *wanted]))
        if cursor is not None and not soql.is_id(cursor):
            raise Permanent("the cursor of the list cannot be read; begin anew")
        while True:
            after = [f"Id > '{soql.id18(cursor)}'"] if cursor else []
            statement = soql.select(names, known.name, " AND ".join([*after, *where]), f"ORDER BY Id LIMIT {PAGE}")
            found = self._api.query(statement, all_rows=True)
            cursor = rows.record_id(found[-1], "Id") if len(found) >= PAGE else None
            yield RecordPage(records=tuple(self._record(known, row, wanted) for row in found), cursor=cursor)
            if cursor is None:
                return

    def _where(self, known: Known, query: RecordQuery) -> list[str]:
        """The conditions of a query, each value written as the field's type wants it. Raises ConfigError."""
        if not known.queryable or STAMP not in known.columns:
            raise ConfigError(f"{known.name} cannot be queried with a {STAMP}, so a change would not be noticed")
        for each in (query.age_field, *query.equals, *query.empty):
            self._check_filter(known, each)
        kind = known.columns[query.age_field].type
        if kind not in ("date", "datetime"):
            raise ConfigError(f"{known.name}.{query.age_field} is no date, but {kind}")
        before = soql.literal(query.before) if kind == "datetime" else query.before.astimezone(UTC).date().isoformat()
        parts = [f"{query.age_field} < {before}"]
        for field, values in query.equals.items():
            if not values:
                parts.append("Id = null")
                continue
            choices = (f"{field} = {_written(known, field, each)}" for each in values)
            parts.append("(" + " OR ".join(choices) + ")")
        parts += [f"{field} = null" for field in query.empty]
        if DELETED in known.columns:
            parts.append(f"{DELETED} = false")
        return parts

    def _check_filter(self, known: Known, field: str) -> None:
        column = known.columns.get(field)
        if column is None:
            raise ConfigError(f"{known.name} has no field {harmless(field, 80)!r} that the running user may see")
        if not column.filterable:
            raise ConfigError(f"{known.name}.{field} cannot be filtered by in Salesforce")

    def _check_selectable(self, known: Known, names: Sequence[str]) -> None:
        for each in names:
            path = "." in each and all(part.isascii() and part.isidentifier() for part in each.split("."))
            if each not in known.whole and not (path and self._org.has_path(known.name, each)):
                raise ConfigError(f"{known.name} has no field {harmless(each, 80)!r} that the running user may see")

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        """Whole rows of the children, a page at a time; those in the recycle bin are not among them."""
        linked = (child.type, child.field) == (documents.FILES, LINKED)
        known = self._types.known(LINK if linked else child.type)
        if not known.queryable or child.field not in known.columns:
            raise Permanent(f"{known.name} cannot be queried by {child.field}, so what hangs on a record stays unknown")
        for page in self._rows(known, child.field, _ids(parents)):
            living = [row for row in page if not rows.flag(row, DELETED)]
            if living:
                yield RecordPage(records=tuple(self._child(known, row, file=linked) for row in living))

    def _child(self, known: Known, row: Row, *, file: bool) -> Record:
        found = self._record(known, row, known.whole)
        if not file:
            return found
        ref = RecordRef(self._source, documents.FILES, rows.record_id(row, "ContentDocumentId"))
        return Record(ref=ref, etag=found.etag, modified=found.modified, fields=found.fields, label=found.label)

    # -- by id --------------------------------------------------------------------------------------------------

    def fetch(self, refs: Sequence[RecordRef]) -> list[Record | None]:
        found: dict[tuple[str, str], Record] = {}
        for type_name, ids in by_type(refs).items():
            known = self._types.known(type_name)
            for page in self._rows(known, "Id", ids):
                for row in page:
                    if not rows.flag(row, DELETED):
                        found[type_name, rows.record_id(row, "Id")] = self._record(known, row, known.whole)
        return [found.get((each.type, soql.id18_or_none(each.id) or "")) for each in refs]

    def made(self, records: Sequence[Record], since: datetime, user: str) -> list[Record]:
        """Whole rows of these records' types that this user, or with audit fields another, made since then.

        SystemModstamp is never set by a client ("Create Audit Fields", Object Reference), so that it finds a row that
        was given an older day of creation; rows that were only changed since then are left out by that day.
        """
        found: list[Record] = []
        for type_name in soql.unique(each.ref.type for each in records):
            known = self._types.known(type_name)
            mine = [each for each in records if each.ref.type == type_name]
            names = ", ".join(known.whole)
            statement = soql.select(names, known.name, f"{STAMP} >= {soql.literal(since)}", "ORDER BY Id")
            for page in self._api.pages([statement], all_rows=True):
                found += [
                    self._record(known, row, known.whole)
                    for row in page
                    if not rows.flag(row, DELETED) and _may_be_of(row, mine, since, user)
                ]
        return found

    def seen(self, type_name: str, ids: Sequence[str]) -> dict[str, Seen]:
        """How each of these rows stands, by id; those that are not found are missing. One call for 10,000 ids."""
        known = self._types.known(type_name)
        fields = [each for each in ("Id", STAMP, DELETED) if each in known.columns]
        statements = [
            soql.select(", ".join(fields), known.name, f"Id IN {soql.id_list(part)}") for part in soql.chunks(ids, PAGE)
        ]
        found = self._api.queries(statements, all_rows=True) if statements else []
        return {
            rows.record_id(row, "Id"): Seen(rows.optional(row, STAMP) or "", rows.flag(row, DELETED))
            for part in found
            for row in part
        }

    def gone(self, refs: Sequence[RecordRef]) -> list[Status]:
        """By the recycle bin, and for what is not even there, by the log of deletions of the last two weeks."""
        stands: dict[str, Seen] = {}
        for type_name, ids in by_type(refs).items():
            stands |= self.seen(type_name, ids)
            if missing := {each for each in ids if each not in stands}:
                stands |= dict.fromkeys(missing & self._logged(type_name), Seen("", deleted=True))
        return [_fate(stands.get(soql.id18_or_none(each.id) or "")) for each in refs]

    def _logged(self, type_name: str) -> set[str]:
        """Ids that the org's log of deletions names ("Get Deleted", REST API guide); none where it gives no log."""
        if not self._types.known(type_name).logged:
            return set()
        end = self._now()
        span = urlencode({"start": soql.literal(end - _LOG), "end": soql.literal(end)})
        try:
            answer = self._api.get("sobject.deleted", f"sobjects/{type_name}/deleted/?{span}").record()
        except AuthError:
            raise
        except Permanent:
            return set()
        found = answer.get("deletedRecords")
        ids = (rows.optional_id(each, "id") for each in (found if isinstance(found, list) else ()))
        return {each for each in ids if each is not None}

    # -- rows ---------------------------------------------------------------------------------------------------

    def _rows(self, known: Known, field: str, ids: Sequence[str]) -> Iterator[Sequence[Row]]:
        """Whole rows whose field is one of these ids, page by page."""
        names = ", ".join(known.whole)
        size = max(1, min(PAGE, (_LONGEST - len(names)) // _CHARACTERS_PER_ID))
        for part in soql.chunks(ids, size):
            yield from self._api.pages(
                [soql.select(names, known.name, f"{field} IN {soql.id_list(part)}")], all_rows=True
            )

    def _record(self, known: Known, row: Row, names: Iterable[str]) -> Record:
        fields = {each: _value(rows.lookup(row, each)) for each in names}
        etag = rows.optional(row, STAMP) or hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
        label = row.get(known.name_field) if known.name_field else None
        return Record(
            ref=RecordRef(self._source, known.name, rows.record_id(row, "Id")),
            etag=etag,
            modified=rows.when(row, "LastModifiedDate") or rows.when(row, STAMP),
            fields=fields,
            label=label if isinstance(label, str) else "",
        )


def by_type(refs: Iterable[RecordRef]) -> Mapping[str, list[str]]:
    """Ids by type, in their long form and once each; what is no record id is left out."""
    found: dict[str, dict[str, None]] = {}
    for each in refs:
        known = soql.id18_or_none(each.id)
        ids = found.setdefault(each.type, {})
        if known is not None:
            ids[known] = None
    return {name: list(ids) for name, ids in found.items()}


def _may_be_of(row: Row, records: Sequence[Record], since: datetime, user: str) -> bool:
    """Whether a row is new, or has the day of creation that one of the records asked for."""
    created = rows.when(row, "CreatedDate")
    given = {each.fields.get("CreatedDate") for each in records}
    if created is None or row.get("CreatedDate") in given:
        return True
    return created >= since and (rows.optional_id(row, "CreatedById") or user) == user


def _ids(refs: Sequence[RecordRef]) -> list[str]:
    return soql.unique(known for each in refs if (known := soql.id18_or_none(each.id)))


def _fate(seen: Seen | None) -> Status:
    if seen is None:
        return Status.REFUSED
    return Status.DONE if seen.deleted else Status.CONFLICT


def _value(found: Any) -> Value:
    """A plain value as it came; anything else as its JSON, so that nothing is lost."""
    if found is None or isinstance(found, str | int | float | bool):
        return found
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def _written(known: Known, field: str, value: Value) -> str:
    """A value in SOQL, by the type of its field. Raises ConfigError."""
    kind = known.columns[field].type
    if value is None:
        return "null"
    try:
        return _LITERALS.get(kind, _text)(value)
    except (ValueError, Permanent) as error:
        shown = harmless(str(value), 80)
        raise ConfigError(f"{known.name}.{field} is of type {kind}: {shown!r} is no value of it") from error


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError
    return soql.quote(value)


def _truth(value: Value) -> str:
    if not isinstance(value, bool):
        raise ValueError
    return "true" if value else "false"


def _number(value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return str(value)


def _moment(value: Value) -> str:
    found = datetime.fromisoformat(str(value))
    return soql.literal(found if found.tzinfo else found.replace(tzinfo=UTC))


def _id(value: Value) -> str:
    return f"'{soql.id18(str(value))}'"


_LITERALS: Mapping[str, Callable[[Value], str]] = {
    "boolean": _truth,
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), _number),
    "date": lambda value: date.fromisoformat(str(value)).isoformat(),
    "datetime": _moment,
    "id": _id,
    "reference": _id,
}
