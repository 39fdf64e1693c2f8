"""Signals: columns of the parents, and of records that they lead to, that can trigger rules.

Read hop by hop: each hop is one batch of In() lists over all tables. A path is `column`, or `lookup/column` and so on:
`customerid/address1_country` of a case is the country of its customer, whichever table that is in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from offloader.errors import AuthError, Permanent
from offloader.model import Document, Parent
from offloader_connectors import fields
from offloader_connectors.dynamics365 import odata, rows
from offloader_connectors.dynamics365.api import Api, Part
from offloader_connectors.dynamics365.environment import Environment, is_choice, is_lookup
from offloader_connectors.dynamics365.rows import Row

Paths = Mapping[str, tuple[str, ...]]
#: a record, by table and id
Key = tuple[str, str]

#: the customer of a record is an account, or a contact, who may have an address or an employer who has one
_CUSTOMER = ("customerid/address1_country", "customerid/parentcustomerid/address1_country")
_CONTACT = ("parentcontactid/address1_country", "parentcontactid/parentcustomerid/address1_country")
_ACCOUNT = "parentaccountid/address1_country"
DEFAULTS: Mapping[str, Paths] = {
    "*": {"owner": ("ownerid",), "business_unit": ("owningbusinessunit",)},
    "account": {"country": ("address1_country",)},
    "contact": {"country": ("address1_country", "parentcustomerid/address1_country")},
    "lead": {"country": ("address1_country", _ACCOUNT, *_CONTACT)},
    "opportunity": {"country": (_ACCOUNT, *_CUSTOMER, *_CONTACT)},
    **{each: {"country": _CUSTOMER} for each in ("incident", "quote", "salesorder", "invoice", "contract")},
}
#: activities have the signals of the record that they are about, where they lack their own
BEHIND: Mapping[str, str] = dict.fromkeys(
    ("email", "phonecall", "task", "appointment", "letter", "fax"), "regardingobjectid"
)
#: of the activity itself, never of the record behind it
_OWN = frozenset({"owner", "business_unit"})
#: records remembered during one scan
REMEMBERED = 20_000
#: lists in one batch: 14,000 records
_LISTS = 20
#: longest chain of records; longer ones are a mistake or a circle
_HOPS = 8


def merged(configured: Mapping[str, Mapping[str, str | tuple[str, ...]]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The defaults with the operator's additions; an empty list takes a default away."""
    result = {table: dict(paths) for table, paths in DEFAULTS.items()}
    for table, paths in configured.items():
        for signal, path in paths.items():
            result.setdefault(table, {})[signal] = (path,) if isinstance(path, str) else tuple(path)
    return result


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of a record: values by column, and the records that its lookups lead to."""

    values: Mapping[str, str]
    leads_to: Mapping[str, Key]


class Signals:
    """Reads parents' signals and remembers records for the length of one scan. Used by one thread."""

    def __init__(
        self, api: Api, environment: Environment, configured: Mapping[str, Paths], tables: Collection[str]
    ) -> None:
        """`tables`: those whose records will be asked for; their columns are looked up all at once."""
        self._api = api
        self._environment = environment
        self._tables = tables
        self._configured = configured
        self._names = odata.unique(
            segment
            for paths in configured.values()
            for each in paths.values()
            for path in each
            for segment in path.split("/")
        )
        self._known: OrderedDict[Key, Record | None] = OrderedDict()

    def annotate(self, documents: Iterable[Document]) -> list[Document]:
        """Return the documents with their parents' signals. A parent that cannot be seen has none: unknown.

        Documents without an owner of their own have their only parent's. Documents that must stay anyway come back
        as they are: nothing is decided by their parents.
        """
        documents = list(documents)
        parents = odata.unique((each.type, each.id) for doc in documents if doc.skip is None for each in doc.parents)
        found = self._evaluate(parents)
        result = [each if each.skip else self._with(each, found) for each in documents]
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return result

    def _with(self, document: Document, found: Mapping[Key, Mapping[str, str]]) -> Document:
        parents = tuple(replace(each, signals=found[each.type, each.id]) for each in document.parents)
        return replace(document, parents=parents, owner=document.owner or self._owner(document.parents))

    def _owner(self, parents: Sequence[Parent]) -> str | None:
        record = self._known.get((parents[0].type, parents[0].id)) if len(parents) == 1 else None
        return record.values.get("ownerid") or None if record else None

    def _evaluate(self, keys: Sequence[Key]) -> dict[Key, Mapping[str, str]]:
        """Signals by record. Every round reads the records that some path still needs."""
        for _ in range(_HOPS):
            missing: dict[Key, None] = {}
            found = {key: self._signals(key, missing) for key in keys}
            if not missing:
                break
            self._read(list(missing))
        return found

    def _signals(self, key: Key, missing: dict[Key, None]) -> Mapping[str, str]:
        record = self._record(key, missing)
        if record is None:
            return {}
        own = {
            signal: self._first(record, paths, missing)
            for signal, paths in {**self._configured.get("*", {}), **self._configured.get(key[0], {})}.items()
            if paths
        }
        behind = record.leads_to.get(BEHIND.get(key[0], ""))
        if behind is None:
            return own
        more = self._signals(behind, missing) if behind[0] not in BEHIND else {}
        return {**own, **{name: value for name, value in more.items() if name not in _OWN and not own.get(name)}}

    def _first(self, record: Record, paths: Sequence[str], missing: dict[Key, None]) -> str:
        """The first of the paths' values that is not empty."""
        return next((value for path in paths if (value := self._value(record, path, missing))), "")

    def _value(self, record: Record, path: str, missing: dict[Key, None]) -> str:
        *lookups, column = path.split("/")
        at: Record | None = record
        for lookup in lookups:
            leads_to = at.leads_to.get(lookup) if at else None
            at = self._record(leads_to, missing) if leads_to else None
        return at.values.get(column, "") if at else ""

    def _record(self, key: Key, missing: dict[Key, None]) -> Record | None:
        if key not in self._known:
            missing[key] = None
            return None
        self._known.move_to_end(key)
        return self._known[key]

    # -- reading ------------------------------------------------------------------------------------------------

    def _read(self, keys: Sequence[Key]) -> None:
        by_table: dict[str, list[str]] = {}
        for table, record in keys:
            by_table.setdefault(table, []).append(record)
        shown = self._environment.tables()
        self._environment.attributes(table for table in {**dict.fromkeys(self._tables), **by_table} if table in shown)
        asked = [(table, part) for table, ids in by_table.items() for part in self._lists(table, ids)]
        self._known.update(dict.fromkeys(keys))
        parts = odata.chunks([part for _, part in asked], _LISTS)
        answers = (answer for some in parts for answer in self._api.batch("batch", some))
        for (table, _), answer in zip(asked, answers, strict=True):
            error = answer.error()
            if error is not None and (isinstance(error, AuthError) or not isinstance(error, Permanent)):
                raise error
            for row in answer.rows() if error is None else ():
                self._remember(table, row)

    def _lists(self, table: str, ids: Sequence[str]) -> Iterator[Part]:
        """Queries for records of a table; none for a table that is not shown."""
        known = self._environment.tables().get(table)
        types = self._types(table) if known else {}
        if known is None or not types:
            return
        columns = odata.unique([known.primary_id, *self._columns(table, types)])
        for some in odata.chunks(ids, odata.IDS_PER_LIST):
            path = odata.select(known.set_name, columns, filter=odata.in_list(known.primary_id, some))
            yield Part("GET", path, headers=_WITH_LABELS, operation=f"list.{table}")

    def _types(self, table: str) -> Mapping[str, str]:
        return self._environment.attributes([table])[table]

    def _columns(self, table: str, types: Mapping[str, str]) -> list[str]:
        """The columns to read of a table: all that any path may need of it."""
        wanted = odata.unique([*self._names, "ownerid", BEHIND.get(table, "ownerid")])
        return [_property(name, types[name]) for name in wanted if name in types]

    def _remember(self, table: str, row: Row) -> None:
        known, types = self._environment.table(table), self._types(table)
        values: dict[str, str] = {}
        leads_to: dict[str, Key] = {}
        for name, type_name in types.items():
            shown = _property(name, type_name)
            if shown not in row:
                continue
            label = rows.optional(row, f"{shown}@{rows.FORMATTED}") if is_choice(type_name) else None
            values[name] = label or fields.scalar(row[shown])
            target, record = rows.table_of(row, shown), rows.optional_guid(row, shown)
            if is_lookup(type_name) and target and record:
                leads_to[name] = (target, record)
        self._known[table, rows.guid(row, known.primary_id)] = Record(values, leads_to)


_WITH_LABELS = {"Prefer": f'odata.include-annotations="{rows.LOOKUP_TABLE},{rows.FORMATTED}"'}


def _property(name: str, type_name: str) -> str:
    """A column's name in an answer."""
    return f"_{name}_value" if is_lookup(type_name) else name
