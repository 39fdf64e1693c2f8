"""Reading records: lists by age, children, rows afresh, and what says that a row was deleted.

Everything is asked for in `$batch`: there an address may have 65,536 characters, so that long lists of ids and of
columns fit (Web API guide, "Compose HTTP requests and handle errors").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from offloader.errors import AuthError, ConfigError, OffloaderError, Permanent
from offloader.ports import Status
from offloader.records import Child, Record, RecordPage, RecordQuery, RecordRef, Value
from offloader_connectors.dynamics365 import environment, odata, rows
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import FILES, IMAGES, MAILS
from offloader_connectors.dynamics365.records_types import TABLE_OF, Column, Kind, Types
from offloader_connectors.dynamics365.rows import Row

#: ids in one list
_IDS = 500
#: lists in one request
_LISTS = 10
#: of tables with long texts: rows in one list, lists in one request, and characters from which on there are fewer
_HEAVY_ROWS, _HEAVY_LISTS, _HEAVY_TEXT = 100, 4, 16 << 20
#: ids in one FetchXML query, which takes more room for each
_FETCH_IDS = 300
_LOOKUPS = f'odata.include-annotations="{rows.LOOKUP_TABLE}"'
_TEXTS = frozenset({"String", "Memo", "EntityName", "MultiSelectPicklist"})
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,20})?", re.ASCII)
_DELETED = 3


class Reader:
    """Reads records. Thread-safe."""

    def __init__(self, name: str, api: Api, known: Environment, types: Types, options: DynamicsOptions) -> None:
        self._name = name
        self._api = api
        self._environment = known
        self._types = types
        self._page = options.page_size

    # -- lists --------------------------------------------------------------------------------------------------

    def find(self, query: RecordQuery, cursor: str | None) -> Iterator[RecordPage]:
        """List records page by page in the order of their ids. Raises ConfigError for columns that there are not."""
        kind = self._types.of(query.type)
        fields = odata.unique([query.age_field, *query.fields])
        wires = odata.unique([*_always(kind), *(_asked(kind, name).wire for name in fields)])
        path: str | None = cursor or odata.select(
            kind.table.set_name, wires, filter=_filter(kind, query), orderby=kind.key
        )
        operation, prefer = f"list.{kind.name}", (f"odata.maxpagesize={self._page}", _LOOKUPS)
        while path is not None:
            answer = self._api.get(operation, path, prefer=prefer)
            link = answer.next_link
            following = None if link is None else self._api.below(link) or link
            if following == path:
                raise rows.malformed(operation, "a page that leads to itself")
            records = tuple(self._record(kind, row, fields) for row in answer.rows())
            yield RecordPage(records=records, cursor=following)
            path = following

    def children(self, parents: Sequence[RecordRef], child: Child) -> Iterator[RecordPage]:
        """Children whole, by the look-up that leads to their parents."""
        kind = self._types.of(child.type)
        if not kind.column(child.field).is_lookup:
            raise ConfigError(f"{child.type}.{child.field} is no look-up")
        ids = odata.unique(odata.guid(parent.id) for parent in parents)
        size = f"odata.maxpagesize={_HEAVY_ROWS if kind.heavy else self._page}"
        for page in self._lists(kind, kind.wires, child.field, ids, (size, _LOOKUPS)):
            if page:
                found = (self._record(kind, row, tuple(kind.columns)) for row in page)
                yield RecordPage(records=tuple(found if not child.documents else map(self._document, found)))

    def fetch(self, refs: Sequence[RecordRef]) -> list[Record | None]:
        """Rows afresh and whole, in order; None for those that are not there."""
        found: dict[tuple[str, str], Record] = {}
        for type_name in odata.unique(ref.type for ref in refs):
            kind = self._types.of(type_name)
            ids = guids(ref for ref in refs if ref.type == type_name)
            for page in self._lists(kind, kind.wires, kind.key, ids, (_LOOKUPS,)):
                records = (self._record(kind, row, tuple(kind.columns)) for row in page)
                found.update(((type_name, record.ref.id), record) for record in records)
        return [found.get((ref.type, ref.id.lower())) for ref in refs]

    def present(self, type_name: str, ids: Sequence[str], wires: Sequence[str] = ()) -> dict[str, Row]:
        """The rows that are there now, by id, with their etags and these columns."""
        kind, found = self._types.of(type_name), dict[str, Row]()
        for page in self._lists(kind, odata.unique((kind.key, *wires)), kind.key, ids, ()):
            found.update((rows.guid(row, kind.key), row) for row in page)
        return found

    def _lists(
        self, kind: Kind, wires: Sequence[str], column: str, ids: Sequence[str], prefer: Sequence[str]
    ) -> Iterator[list[Row]]:
        """All rows whose key or look-up is one of these, page by page."""
        headers = {"Prefer": ",".join(prefer)} if prefer else {}
        heavy, operation = kind.heavy and len(wires) > 1, f"list.{kind.name}"
        size, lists = (_HEAVY_ROWS if heavy and column == kind.key else _IDS), (_HEAVY_LISTS if heavy else _LISTS)
        waiting = [
            odata.select(kind.table.set_name, wires, filter=odata.in_list(column, part))
            for part in odata.chunks(ids, size)
        ]
        while waiting:
            now, waiting = waiting[:lists], waiting[lists:]
            parts = [Part("GET", path, None, headers, operation=operation) for path in now]
            text = 0
            for path, answer in zip(now, self._api.batch("read", parts), strict=True):
                page = answer.require().rows()
                text += _characters(page) if heavy else 0
                yield page
                waiting += self._following(operation, path, answer)
            if text > _HEAVY_TEXT:
                lists = max(1, lists // 2)

    def _following(self, operation: str, path: str, answer: Answer) -> list[str]:
        """The path of the next page, if there is one. Raises Permanent for one that leads elsewhere."""
        link = answer.next_link
        following = None if link is None else self._api.below(link)
        if link is not None and following in {None, path}:
            raise rows.malformed(operation, "a page that leads elsewhere")
        return [] if following is None else [following]

    # -- deleted, or only not seen ------------------------------------------------------------------------------

    def gone(self, refs: Sequence[RecordRef]) -> list[Status]:
        """In order: CONFLICT it is there, DONE the bin or the audit log has its deletion, REFUSED nothing says so.

        A row in the bin was deleted (developer guide, "Restore deleted records with code"). So was one whose last
        entry in the audit log, updates and reads aside, is its deletion (table reference, audit), but only in an
        environment without long-term retention: how that is logged when it takes rows away is not documented.
        """
        found: dict[tuple[str, str], Status] = {}
        for type_name in odata.unique(ref.type for ref in refs):
            ids = guids(ref for ref in refs if ref.type == type_name)
            for some in odata.chunks(ids, _FETCH_IDS * _LISTS):
                found.update(((type_name, each), status) for each, status in self._gone(type_name, some).items())
        return [found.get((ref.type, ref.id.lower()), Status.REFUSED) for ref in refs]

    def _gone(self, type_name: str, ids: Sequence[str]) -> dict[str, Status]:
        kind = self._types.of(type_name)
        lists = list(odata.chunks(ids, _FETCH_IDS))
        paths = [path for some in lists for path in _traces(kind, some)]
        paths.append(odata.select("retentionconfigs", ("retentionconfigid",), top=1))
        *answers, retention = self._api.batch("gone", [Part("GET", path, operation="gone") for path in paths])
        logged = _evidence(retention) == []
        found: dict[str, Status] = {}
        for number, some in enumerate(lists):
            live, binned, audits = answers[3 * number : 3 * number + 3]
            there = {rows.guid(row, kind.key) for row in live.require().rows()}
            deleted = {rows.optional_guid(row, kind.key) for row in _evidence(binned) or ()}
            deleted |= _last_deleted(_evidence(audits) or ()) if logged else set()
            found |= {each: Status.DONE if each in deleted else Status.REFUSED for each in some}
            found |= dict.fromkeys(there, Status.CONFLICT)
        return found

    # -- rows as records ----------------------------------------------------------------------------------------

    def _record(self, kind: Kind, row: Row, names: Sequence[str]) -> Record:
        fields: dict[str, Value] = {}
        for name in names:
            column = _asked(kind, name)
            table = rows.table_of(row, column.wire)
            if name.endswith(TABLE_OF):
                fields[name] = table
                continue
            fields[name] = scalar(row.get(column.wire))
            if column.many and table is not None:
                fields[f"{name}{TABLE_OF}"] = table
        return Record(
            ref=RecordRef(self._name, kind.name, rows.guid(row, kind.key)),
            etag=rows.etag(row),
            modified=rows.when(row, "modifiedon"),
            fields=fields,
            label=rows.optional(row, kind.table.primary_name) or "",
        )

    def _document(self, record: Record) -> Record:
        """The row of a document under the name that the source gives to the document."""
        type_name, key, fields = record.ref.type, record.ref.id, record.fields
        if type_name == MAILS:
            key = str(fields.get("attachmentid") or key)
        elif type_name == "fileattachment":
            table, parent, column = (
                str(fields.get(each) or "") for each in ("objecttypecode", "objectid", "regardingfieldname")
            )
            known = self._environment.file_columns([table])[table].get(column) if odata.is_name(table) else None
            type_name, key = IMAGES if known and known.kind == "image" else FILES, f"{table}:{parent}:{column}"
        ref = RecordRef(self._name, type_name, key)
        return Record(ref=ref, etag=record.etag, modified=record.modified, fields=fields, label=record.label)


def guids(refs: Iterable[RecordRef]) -> list[str]:
    """The ids of these that are ids at all, each once, in lower case."""
    return odata.unique(ref.id.lower() for ref in refs if odata.is_guid(ref.id))


def _characters(page: Sequence[Row]) -> int:
    return sum(len(value) for row in page for value in row.values() if isinstance(value, str))


def scalar(value: object) -> Value:
    """A value of one cell; lists and objects, which no column should have, as their JSON."""
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)


def _always(kind: Kind) -> list[str]:
    """Columns that every record needs."""
    more = (kind.table.primary_name, "modifiedon")
    return [kind.key, *(name for name in more if name in kind.columns)]


def _asked(kind: Kind, name: str) -> Column:
    return kind.column(name.removesuffix(TABLE_OF))


# -- filters ----------------------------------------------------------------------------------------------------


def _filter(kind: Kind, query: RecordQuery) -> str:
    """The encoded filter. Raises ConfigError for columns and values that cannot be."""
    age = kind.column(query.age_field)
    if age.type != "DateTime":
        raise ConfigError(f"{kind.name}.{age.name} is no date")
    if query.before.tzinfo is None:
        raise ConfigError("the moment of a query needs a time zone")
    return odata.both(
        odata.encode(f"{age.wire} lt {_moment(age, query.before)}"),
        *(_equal(kind.column(name), values) for name, values in query.equals.items()),
        *(odata.encode(f"{kind.column(name).wire} eq null") for name in query.empty),
    )


def _moment(column: Column, at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%d}" if column.date_only else odata.moment(at)


def _equal(column: Column, values: Sequence[Value]) -> str:
    if not values:
        raise ConfigError(f"{column.name}: no allowed value is given")
    tests = "%20or%20".join(f"{column.wire}%20eq%20{_literal(column, value)}" for value in values)
    return f"({tests})"


def _literal(column: Column, value: Value) -> str:
    """A value as it is compared with this column, encoded. Raises ConfigError for one that it cannot have."""
    text = str(value).strip()
    if value is None:
        return "null"
    if column.type == "DateTime":
        return _date(column, text)
    if column.type in _TEXTS:
        return odata.literal(str(value))
    if column.is_lookup or column.type == "Uniqueidentifier":
        fits, text = odata.is_guid(text), text.lower()
    elif column.type == "Boolean":
        fits, text = text.lower() in {"true", "false"}, text.lower()
    else:
        fits = not isinstance(value, bool) and _NUMBER.fullmatch(text) is not None
    if not fits:
        hint = "; give the option's number" if environment.is_choice(column.type) else ""
        raise ConfigError(f"{column.name} ({column.type}) cannot be {text[:80]!a}{hint}")
    return odata.encode(text)


def _date(column: Column, text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{column.name} (DateTime) cannot be {text[:80]!a}") from error
    return _moment(column, at if at.tzinfo else at.replace(tzinfo=UTC))


# -- evidence of a deletion -------------------------------------------------------------------------------------


def _traces(kind: Kind, ids: Sequence[str]) -> tuple[str, str, str]:
    """Where these rows can stand: in their table, in its bin, in the audit log."""
    table = kind.table.set_name
    return (
        odata.select(table, (kind.key,), filter=odata.in_list(kind.key, ids)),
        f"{table}?fetchXml={_in_bin(kind, ids)}",
        odata.select("audits", ("_objectid_value", "action", "createdon"), filter=_audited(ids)),
    )


def _in_bin(kind: Kind, ids: Sequence[str]) -> str:
    listed = "".join(f"<value>{odata.guid(each)}</value>" for each in ids)
    condition = f"<condition attribute='{kind.key}' operator='in'>{listed}</condition>"
    entity = f"<entity name='{kind.name}'><attribute name='{kind.key}'/><filter>{condition}</filter></entity>"
    return odata.encode(f"<fetch datasource='bin'>{entity}</fetch>")


def _audited(ids: Sequence[str]) -> str:
    """Entries of these rows that are neither updates nor reads."""
    return odata.both(odata.in_list("objectid", ids), odata.encode("operation ne 2 and operation ne 4"))


def _evidence(answer: Answer) -> list[Row] | None:
    """The rows of an answer that came whole; None where the environment does not have, or show, such a list."""
    error: OffloaderError | None = answer.error()
    if error is None:
        return answer.rows() if answer.next_link is None else None
    if isinstance(error, AuthError) or not isinstance(error, Permanent):
        raise error
    return None


def _last_deleted(entries: Sequence[Row]) -> set[str | None]:
    """Ids whose latest entry is their deletion, and that alone."""
    latest: dict[str, tuple[datetime, set[int | None]]] = {}
    for row in entries:
        key, at, action = rows.optional_guid(row, "_objectid_value"), rows.when(row, "createdon"), row.get("action")
        if key is None or at is None:
            continue
        before = latest.get(key)
        if before is None or at > before[0]:
            latest[key] = (at, {action})
        elif at == before[0]:
            before[1].add(action)
    return {key for key, (_, actions) in latest.items() if actions == {_DELETED}}
