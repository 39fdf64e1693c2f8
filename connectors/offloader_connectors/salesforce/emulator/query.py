"""Runs SOQL for a user: finds the rows by index where there is one, keeps what the user may see, renders pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offloader_connectors.salesforce.emulator.aggregates import aggregate, is_aggregate
from offloader_connectors.salesforce.emulator.conditions import Conditions, conjuncts, literal_value, mentioned
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.record_access import record_access_rows
from offloader_connectors.salesforce.emulator.render import Renderer
from offloader_connectors.salesforce.emulator.resolve import Resolver
from offloader_connectors.salesforce.emulator.schema import TEXT, Field, SObject
from offloader_connectors.salesforce.emulator.soql import (
    Call,
    Compare,
    Expression,
    Key,
    Path,
    Query,
    Within,
    located,
    parse,
)
from offloader_connectors.salesforce.emulator.store import Row, folded

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org
    from offloader_connectors.salesforce.emulator.sharing import Access, Actor

_LINK_FILTER = (
    "Implementation restriction: ContentDocumentLink requires a filter by a single Id on ContentDocumentId or "
    "LinkedEntityId using the equals operator or multiple Id's using the IN operator."
)
_SORTED = {"Id", "ContentDocumentId", "SystemModstamp", "CreatedDate", "LastModifiedDate", "LinkedEntityId", "ParentId"}
MAX_OFFSET = 2000
MAX_TEXT = 100_000


@dataclass(slots=True)
class Result:
    """Everything that a query found; pages are rendered when asked for."""

    rows: Sequence[Any]
    render: Callable[[Any], dict[str, Any]]
    #: count of `COUNT()`, which has no records
    count: int | None = None
    #: rows with bodies come one a page
    one_by_one: bool = False

    @property
    def total(self) -> int:
        return len(self.rows) if self.count is None else self.count


class Queries:
    """Runs queries on an org. The caller holds the store's lock."""

    def __init__(self, org: Org, access: Access) -> None:
        self._org = org
        self._access = access

    def run(self, text: str, actor: Actor, *, version: float, base: str, deleted: bool = False) -> Result:
        """`base` is the path of the API version, for record URLs; `deleted` includes the bin and archived files.

        Raises SalesforceError.
        """
        if len(text) > MAX_TEXT:
            raise SalesforceError("QUERY_TOO_COMPLICATED", "Query is too long: the maximum is 100,000 characters")
        return _Run(self._org, self._access, text, actor, version, base, deleted).result(parse(text))


class _Run:
    """One run of one query."""

    def __init__(
        self, org: Org, access: Access, text: str, actor: Actor, version: float, base: str, deleted: bool
    ) -> None:
        self.org = org
        self.access = access
        self.text = text
        self.actor = actor
        self.version = version
        self.base = base
        self.deleted = deleted

    def sobject(self, query: Query) -> SObject:
        found = self.org.objects_lower.get(query.name.lower())
        hidden = found is not None and found.name in _SETUP and not self.actor.may("ViewSetup")
        if found is None or not found.queryable or hidden:
            message = (
                f"sObject type '{query.name}' is not supported. If you are attempting to use a custom object, be sure "
                "to append the '__c' after the entity name. Please reference your WSDL or the describe call for the "
                "appropriate names."
            )
            raise located(self.text, query.at, "INVALID_TYPE", message)
        return found

    def result(self, query: Query) -> Result:
        sobject = self.sobject(query)
        resolver = Resolver(self.org, self.access, self.actor, self.text, sobject, query.alias)
        if (query.offset or 0) > MAX_OFFSET:
            raise SalesforceError("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        if sobject.name == "UserRecordAccess":
            rows: list[Row] = record_access_rows(self.org, self.access, query)
            return Result(rows, Renderer(resolver, self.base, query.items, self.children).record)
        if is_aggregate(query):
            return self._aggregate(query, resolver)
        renderer = Renderer(resolver, self.base, query.items, self.children, query.limit)
        rows = self.rows(query, resolver)
        return Result(rows, renderer.record, one_by_one=renderer.has_body)

    def _aggregate(self, query: Query, resolver: Resolver) -> Result:
        only = query.items[0].what
        plain = Query(items=(), name=query.name, alias=query.alias, where=query.where, at=query.at)
        found = self.rows(plain, resolver)
        if len(query.items) == 1 and isinstance(only, Call) and only.name.upper() == "COUNT" and only.argument is None:
            return Result((), dict, count=len(found) if query.limit is None else min(len(found), query.limit))
        records = aggregate(query, resolver, found)
        return Result(records, lambda record: record)

    def children(self, query: Query, kind: str, field: str, parent: Row) -> dict[str, Any] | None:
        """A parent-to-child subquery for one parent."""
        sobject = self.org.objects[kind]
        resolver = Resolver(self.org, self.access, self.actor, self.text, sobject, query.alias)
        renderer = Renderer(resolver, self.base, query.items, self.children)
        keys = self._keys_by(kind, field, parent["Id"])
        rows = self.rows(query, resolver, keys)
        return (
            {"totalSize": len(rows), "done": True, "records": [renderer.record(row) for row in rows]} if rows else None
        )

    def _keys_by(self, kind: str, field: str, value: str) -> Sequence[str]:
        if self.org.store.has_index(kind, field):
            return self.org.store.keys_where(kind, field, value)
        return [key for key, row in self.org.store.tables[kind].items() if row.get(field) == value]

    # -- rows --------------------------------------------------------------------------------------

    def rows(self, query: Query, resolver: Resolver, keys: Sequence[str] | None = None) -> list[Row]:
        """The rows of a query in order, after LIMIT and OFFSET."""
        kind = resolver.sobject.name
        conditions = Conditions(resolver, self.org.now(), self.inner)
        test = conditions.compile(query.where) if query.where else None
        if kind == "ContentDocumentLink" and keys is None:
            self._check_link_filter(query)
        visible = self._visibility(kind, query)
        sorters = [self._sorter(resolver, key) for key in query.order]
        wanted = None if query.limit is None else query.limit + (query.offset or 0)
        candidates, presorted = self._candidates(query, resolver, conditions, keys)
        found: list[Row] = []
        for row in candidates:
            if (test is None or test(row)) and visible(row):
                if presorted and wanted is not None and len(found) >= wanted and found[-1][presorted] != row[presorted]:
                    break
                found.append(row)
        for read, key in reversed(sorters):
            _sort(found, read, key)
        start = query.offset or 0
        return found[start:wanted] if start or wanted is not None else found

    def _candidates(
        self, query: Query, resolver: Resolver, conditions: Conditions, keys: Sequence[str] | None
    ) -> tuple[Iterable[Row], str | None]:
        """The rows to look at, and the field by which they already come in order, if any."""
        kind, store = resolver.sobject.name, self.org.store
        if kind == "UserPermissionAccess":
            return [self._own_permissions()], None
        if kind == "EntityDefinition":
            return [_definition(each) for each in self.org.objects.values()], None
        if kind == "ContentNote":
            return [row for row in store.tables["ContentDocument"].values() if row["FileType"] == "SNOTE"], None
        table = store.tables[kind]
        if keys is None:
            keys = self._keys(query, resolver, conditions)
        if keys is not None:
            return self._alive(table[key] for key in keys if key in table), None
        bounded = self._bounds(query, resolver)
        first = query.order[0] if query.order else None
        if bounded or (first and query.limit is not None):
            name, low, high = bounded or (self._plain_name(resolver, first.what) if first else None, None, None)
            ascending = first and not first.descending and self._plain_name(resolver, first.what) == name
            if name in _SORTED and (bounded or ascending) and not (bounded is None and self._has_nulls(resolver, name)):
                pairs = store.between(kind, str(name), low, high)
                return self._alive(table[key] for _, key in pairs), str(name) if ascending else None
        return self._alive(list(table.values())), None

    def _has_nulls(self, resolver: Resolver, name: str) -> bool:
        return resolver.sobject.fields[name].nillable and name not in {
            "SystemModstamp",
            "CreatedDate",
            "LastModifiedDate",
        }

    def _alive(self, rows: Iterable[Row]) -> Iterator[Row]:
        if self.deleted:
            return iter(rows)
        return (row for row in rows if not row.get("IsDeleted") and not row.get("IsArchived"))

    def _plain_name(self, resolver: Resolver, what: Path | Call) -> str | None:
        if isinstance(what, Call):
            return None
        target = resolver.target(what)
        return None if target.steps else target.field.name

    def _keys(self, query: Query, resolver: Resolver, conditions: Conditions) -> Sequence[str] | None:
        """Ids from `Id =`, `Id IN` or an indexed field, if the condition has one."""
        kind, store = resolver.sobject.name, self.org.store
        for part in conjuncts(query.where):
            found = self._equality(part, resolver, conditions)
            if found is None:
                continue
            field, values = found
            if field.name == "Id":
                return sorted(value for value in values if value)
            if store.has_index(kind, field.name) and None not in values:
                return sorted({key for value in values for key in store.keys_where(kind, field.name, value)})
        return None

    def _equality(self, part: Expression, resolver: Resolver, conditions: Conditions) -> tuple[Field, set[Any]] | None:
        if not isinstance(part, Compare | Within) or isinstance(part.left, Call) or part.operator not in {"=", "IN"}:
            return None
        target = resolver.target(part.left)
        if target.steps or (isinstance(part, Compare) and part.right.kind == "date_literal"):
            return None
        if isinstance(part, Within):
            return target.field, conditions.values(part, target.field)
        return target.field, {literal_value(target.field, part.right)}

    def _bounds(self, query: Query, resolver: Resolver) -> tuple[str, Any, Any] | None:
        """A range on a field that has a sorted index: name, low, high."""
        bounds: dict[str, list[Any]] = {}
        for part in conjuncts(query.where):
            if isinstance(part, Compare) and part.operator in {"<", "<=", ">", ">="} and isinstance(part.left, Path):
                target = resolver.target(part.left)
                if target.steps or target.field.name not in _SORTED or part.right.kind == "date_literal":
                    continue
                pair = bounds.setdefault(target.field.name, [None, None])
                pair[0 if part.operator.startswith(">") else 1] = literal_value(target.field, part.right)
        for name, (low, high) in bounds.items():
            return name, low, high
        return None

    def _sorter(self, resolver: Resolver, key: Key) -> tuple[Callable[[Row], Any], Key]:
        if isinstance(key.what, Call):
            raise SalesforceError("MALFORMED_QUERY", f"Ordering by {key.what.name} needs GROUP BY")
        target = resolver.target(key.what)
        read = resolver.getter(target)
        if target.field.type in TEXT:
            return (lambda row: folded(read(row))), key
        return read, key

    def _own_permissions(self) -> Row:
        row: Row = {f"Permissions{name}": True for name in self.actor.permissions}
        return row | {"Id": "000000000000000AAA", "LastCacheUpdate": self.org.moment()}

    def inner(self, query: Query) -> set[Any]:
        """The values of a semi-join's inner query."""
        sobject = self.sobject(query)
        if sobject.name in {"Task", "Event", "Activity"}:
            raise SalesforceError(
                "MALFORMED_QUERY", f"Entity '{sobject.name}' is not supported for semi join inner selects"
            )
        resolver = Resolver(self.org, self.access, self.actor, self.text, sobject, query.alias)
        what = query.items[0].what
        if len(query.items) != 1 or not isinstance(what, Path):
            raise SalesforceError("MALFORMED_QUERY", "semi join sub-selects can only query one field")
        read = resolver.getter(resolver.target(what))
        return {read(row) for row in self.rows(query, resolver)}

    # -- what the user may see ---------------------------------------------------------------------

    def _check_link_filter(self, query: Query) -> None:
        """Links want a filter by ids, and allow few others ("ContentDocumentLink", Object Reference)."""
        filtered = set()
        for part in conjuncts(query.where):
            if isinstance(part, Compare | Within) and part.operator in {"=", "IN"} and isinstance(part.left, Path):
                filtered.add(part.left.names[-1].lower() if len(part.left.names) == 1 else "")
        free = self.version >= 59 and self.actor.may("QueryAllFiles") and self.actor.may("ViewAllData")
        if not free and not filtered & {"id", "contentdocumentid", "linkedentityid"}:
            raise SalesforceError("MALFORMED_QUERY", _LINK_FILTER)
        for path in mentioned(query.where):
            start = path.names[0].lower()
            if len(path.names) > 1 and (start == "linkedentity" or "linkedentityid" not in filtered):
                text = f"Implementation restriction: ContentDocumentLink does not support filtering on {path} here."
                raise located(self.text, path.at, "MALFORMED_QUERY", text)

    def _visibility(self, kind: str, query: Query) -> Callable[[Row], bool]:
        actor, access = self.actor, self.access
        if kind in {"ContentVersion", "ContentDocument"}:
            return self._file_visibility(kind, query)
        if kind == "ContentDocumentLink":
            return lambda row: access.link_visible(actor, row)
        if kind == "Attachment":
            return lambda row: access.attachment_visible(actor, row)
        if actor.may("ViewAllData") or kind in _OPEN:
            return lambda _: True
        return lambda row: access.can_read(actor, row)

    def _file_visibility(self, kind: str, query: Query) -> Callable[[Row], bool]:
        actor, access = self.actor, self.access
        shown = self._archived_filter(kind)
        if actor.may("QueryAllFiles"):
            return shown
        if self._names_ids(query, {"id", "contentdocumentid"}):
            return lambda row: shown(row) and access.can_read(actor, row)
        name = "ContentDocumentId" if kind == "ContentVersion" else "Id"
        return lambda row: shown(row) and access.listed(actor, row[name])

    def _archived_filter(self, kind: str) -> Callable[[Row], bool]:
        if kind == "ContentDocument" and not self.deleted:
            return lambda row: not row.get("IsArchived")
        return lambda _: True

    def _names_ids(self, query: Query, names: set[str]) -> bool:
        return any(
            isinstance(part, Compare | Within) and part.operator in {"=", "IN"} and str(part.left).lower() in names
            for part in conjuncts(query.where)
        )


#: what only users who may look at the setup can query
_SETUP = {"ApexTrigger", "FlowDefinitionView", "EntityDefinition"}
_OPEN = {
    *_SETUP,
    *(
        "User",
        "UserRole",
        "Profile",
        "PermissionSet",
        "PermissionSetAssignment",
        "UserPermissionAccess",
        "Group",
        "GroupMember",
    ),
    *("CollaborationGroup", "ContentWorkspace", "ContentAsset", "Organization", "RecordType", "Network", "Folder"),
}


def _definition(sobject: SObject) -> Row:
    """An object as the setup lists it: custom ones have an id of their own ("EntityDefinition", Object Reference)."""
    durable = f"01IWz0{sobject.prefix or '':0>9}" if sobject.custom else sobject.name
    return {"Id": "000000000000000AAA", "DurableId": durable, "QualifiedApiName": sobject.name}


def _sort(rows: list[Row], read: Callable[[Row], Any], key: Key) -> None:
    """Stable; nulls come first unless the key says otherwise, in both directions."""
    empty = [row for row in rows if read(row) is None]
    full = sorted((row for row in rows if read(row) is not None), key=read, reverse=key.descending)
    rows[:] = full + empty if key.nulls_last else empty + full
