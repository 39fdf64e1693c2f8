"""FetchXML ("Query data using FetchXml"): joins, filters, aggregates, pages, and rows in the bin or in retention."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from offloader_connectors.dynamics365.emulator.errors import DataverseError, bad_cookie, invalid
from offloader_connectors.dynamics365.emulator.ids import database_order
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.query import functions
from offloader_connectors.dynamics365.emulator.query.aggregates import measure, too_many
from offloader_connectors.dynamics365.emulator.query.conditions import literal_value
from offloader_connectors.dynamics365.emulator.query.shape import FORMATTED, Shape, formatted, json_value, shape
from offloader_connectors.dynamics365.emulator.query.syntax import Literal
from offloader_connectors.dynamics365.emulator.schema import TEXT, Column, Table
from offloader_connectors.dynamics365.emulator.store import DELETED, RETAINED, Row

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.caller import Caller
    from offloader_connectors.dynamics365.emulator.org import Org

_COOKIE = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
_MORE = "Microsoft.Dynamics.CRM.morerecords"
_TOTAL = "Microsoft.Dynamics.CRM.totalrecordcount"
_SOURCES = {"bin": DELETED, "retained": RETAINED}
#: a row of the result: rows by alias, the table's own under ""
Joined = dict[str, Row | None]
Test = Callable[[Joined], bool]
_AGGREGATES = {"sum": "sum", "avg": "average", "min": "min", "max": "max"}


@dataclass(frozen=True, slots=True)
class _Place:
    """A table of the query under its alias."""

    alias: str
    table: Table


def _parse(text: str) -> ET.Element:
    try:
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ET.ParseError("a document type is not allowed")
        root = ET.fromstring(text)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise DataverseError(400, "0x80041100", f"Invalid Xml. {error}") from error
    if root.tag != "fetch" or root.find("entity") is None:
        raise DataverseError(400, "0x80041100", "Invalid Xml. A fetch with an entity is expected.")
    return root


def _flag(element: ET.Element, name: str) -> bool:
    return element.get(name, "").lower() in {"true", "1"}


def _whole(element: ET.Element, name: str, default: int) -> int:
    text = element.get(name)
    if text is None:
        return default
    if not text.isdigit() or int(text) == 0:
        raise invalid(f"The attribute '{name}' of fetch must be a number above 0.")
    return int(text)


class Fetch:
    """One FetchXML query for a caller."""

    def __init__(self, org: Org, caller: Caller, table: Table, text: str) -> None:
        self._org = org
        self._caller = caller
        self._root = _parse(text)
        entity = self._root.find("entity")
        assert entity is not None
        if entity.get("name") != table.name:
            raise invalid(f"The entity '{entity.get('name')}' is not that of the set '{table.set_name}'.")
        self._entity = entity
        self._table = table
        self._places = {"": _Place("", table)}
        self._collect(entity)

    def _collect(self, element: ET.Element) -> None:
        for link in element.findall("link-entity"):
            table = self._org.schema.tables.get(link.get("name", ""))
            if table is None:
                raise DataverseError(400, "0x80041102", f"The entity with a name = '{link.get('name')}' was not found.")
            alias = link.get("alias") or f"{table.name}{len(self._places)}"
            link.set("alias", alias)
            self._places[alias] = _Place(alias, table)
            self._collect(link)

    def _column(self, table: Table, name: str | None) -> Column:
        column = table.columns.get(name or "")
        if column is None:
            text = f"'{table.name}' entity doesn't contain attribute with Name = '{name}'."
            raise DataverseError(400, "0x80041103", text)
        return column

    # -- rows --------------------------------------------------------------------------------------

    def joined(self) -> list[Joined]:
        """All rows of the result in order."""
        rows: Iterable[Joined] = ({"": row} for row in self._base())
        test = self._tests(self._entity, "")
        found = [row for row in self._links(self._entity, "", rows) if test(row)]
        for alias, order in reversed(list(self._orders())):
            if "attribute" not in order.attrib:
                continue
            column = self._column(self._places[alias].table, order.get("attribute"))
            found.sort(key=lambda row: _sortable(self._value(row, alias, column)), reverse=_flag(order, "descending"))
        return found

    def _base(self) -> list[Row]:
        source, name = self._root.get("datasource"), self._table.name
        store = self._org.store
        if source is not None:
            if source not in _SOURCES:
                raise invalid(f"The data source '{source}' is not known.")
            entries = store.where(_SOURCES[source], "table", name)
            rows = [entry["row"] for entry in entries if source == "retained" or self._org.in_bin(entry)]
        else:
            keys = self._keys()
            table = store.tables[name]
            rows = list(table.values()) if keys is None else [table[key] for key in keys if key in table]
        found = [row for row in rows if self._caller.may_read(name, row)]
        ordered = database_order if store.database_order else str
        return sorted(found, key=lambda row: ordered(row[self._table.key]))

    def _keys(self) -> list[str] | None:
        """Ids from a condition on the key or on an indexed lookup, if all conditions must hold."""
        for outer in self._entity.findall("filter"):
            if outer.get("type", "and") != "and":
                continue
            for condition in outer.findall("condition"):
                if condition.get("entityname") or condition.get("operator") not in {"eq", "in"}:
                    continue
                column = self._column(self._table, condition.get("attribute"))
                values = [self._literal(column, self._table, text) for text in _texts(condition)]
                if column.name == self._table.key:
                    return values
                if self._org.store.has_index(self._table.name, column.name):
                    keys = self._org.store.keys_where
                    return [key for value in values for key in keys(self._table.name, column.name, value)]
        return None

    def _links(self, element: ET.Element, parent: str, rows: Iterable[Joined]) -> Iterable[Joined]:
        for link in element.findall("link-entity"):
            rows = self._link(link, parent, list(rows))
        return rows

    def _link(self, link: ET.Element, parent: str, rows: Sequence[Joined]) -> Iterator[Joined]:
        place = self._places[link.get("alias", "")]
        above = self._places[parent].table
        kind = link.get("link-type", "inner")
        left = self._column(above, link.get("to") or place.table.key)
        right = self._column(place.table, link.get("from") or place.table.key)
        test = self._tests(link, place.alias)
        for row in rows:
            matches = [
                {**row, place.alias: other} for other in self._matching(place, right, self._of(row, parent, left))
            ]
            found = [one for one in self._links(link, place.alias, matches) if test(one)]
            if kind in {"exists", "in", "any"}:
                found = [row] if found else []
            elif kind in {"not any", "not all"}:
                found = [] if found else [row]
            elif not found and kind == "outer":
                found = [{**row, place.alias: None}]
            yield from found

    def _of(self, row: Joined, alias: str, column: Column) -> Any:
        held = row.get(alias)
        return _bare(held.get(column.name)) if held else None

    def _matching(self, place: _Place, column: Column, value: Any) -> list[Row]:
        if value is None:
            return []
        store, name = self._org.store, place.table.name
        if column.name == place.table.key:
            row = store.get(name, value)
            found = [row] if row else []
        else:
            found = store.where(name, column.name, value)
        return [row for row in found if self._caller.may_read(name, row)]

    # -- conditions --------------------------------------------------------------------------------

    def _tests(self, element: ET.Element, alias: str) -> Test:
        tests = [self._filter(item, alias) for item in element.findall("filter")]
        return lambda row: all(test(row) for test in tests)

    def _filter(self, element: ET.Element, alias: str) -> Test:
        tests = [self._filter(item, alias) for item in element.findall("filter")]
        tests += [self._condition(item, alias) for item in element.findall("condition")]
        combine = any if element.get("type", "and") == "or" else all
        return (lambda row: combine(test(row) for test in tests)) if tests else (lambda _: True)

    def _condition(self, element: ET.Element, alias: str) -> Test:
        alias = element.get("entityname") or alias
        place = self._places.get(alias)
        if place is None:
            raise invalid(f"The alias '{alias}' is not known.")
        column = self._column(place.table, element.get("attribute"))
        test = self._test(column, place.table, element.get("operator", "eq"), _texts(element))
        return lambda row: test(self._value(row, place.alias, column))

    def _value(self, row: Joined, alias: str, column: Column) -> Any:
        held = row.get(alias)
        if not held:
            return None
        value = _bare(held.get(f"_{column.name}" if column.type == "body" else column.name))
        return value.lower() if column.type in TEXT and value is not None else value

    def _literal(self, column: Column, table: Table, text: str) -> Any:
        if column.type == "boolean" and text.lower() in {"0", "1", "true", "false"}:
            return text.lower() in {"1", "true"}
        return literal_value(column, Literal("string", text), table)

    def _test(self, column: Column, table: Table, sign: str, texts: Sequence[str]) -> Callable[[Any], bool]:
        if sign in {"null", "not-null"}:
            return lambda held: (held is None) is (sign == "null")
        if sign in {"eq-userid", "ne-userid"}:
            return lambda held: (held == self._caller.user_id) is (sign == "eq-userid")
        if sign in _LIKE:
            match = re.compile(_LIKE[sign](texts[0].lower() if texts else ""), re.DOTALL).fullmatch
            wanted = not sign.startswith("not")
            return lambda held: held is not None and (match(str(held)) is not None) is wanted
        if sign in {"in", "not-in", "eq", "ne", "neq"}:
            values = {self._literal(column, table, text) for text in texts}
            return lambda held: (held in values) is (sign in {"in", "eq"})
        if sign in _RANGES:
            value, compare = self._literal(column, table, texts[0] if texts else ""), _RANGES[sign]
            return lambda held: held is not None and compare(held, value)
        name = "".join(part.capitalize() for part in sign.replace("olderthan", "older-than").split("-"))
        test = functions.test(name, column, table, lambda row: row["value"], texts, self._org.now())
        return lambda held: test({"value": held})

    def _orders(self, element: ET.Element | None = None, alias: str = "") -> Iterator[tuple[str, ET.Element]]:
        element = self._entity if element is None else element
        for order in element.findall("order"):
            yield alias, order
        for link in element.findall("link-entity"):
            yield from self._orders(link, link.get("alias", ""))

    # -- the answer --------------------------------------------------------------------------------

    def answer(self, prefer: Prefer) -> dict[str, Any]:
        """JSON of a list answer."""
        found = self.joined()
        answer: dict[str, Any] = {"@odata.context": f"{self._org.root}$metadata#{self._table.set_name}"}
        if _flag(self._root, "aggregate"):
            if len(found) > self._org.options.aggregate_cap:
                raise too_many()
            return {**answer, "value": self._grouped(found, prefer)}
        cap = self._org.options.page_cap
        size = min(_whole(self._root, "count", cap), cap, _whole(self._root, "top", cap))
        page = 1 if "top" in self._root.attrib else _whole(self._root, "page", 1)
        cookie = self._root.get("paging-cookie")
        if cookie is not None and not cookie.startswith("<cookie page="):
            raise bad_cookie()
        start = (page - 1) * size
        render = self._renderer(prefer)
        rows = [render(row) for row in found[start : start + size]]
        more = len(found) > start + size and "top" not in self._root.attrib
        if _flag(self._root, "returntotalrecordcount") and prefer.wants(_TOTAL):
            answer[f"@{_TOTAL}"] = min(len(found), self._org.options.count_cap)
        if more and prefer.wants(_COOKIE):
            first, last = found[start][""], found[start + size - 1][""]
            assert first is not None
            assert last is not None
            answer[f"@{_COOKIE}"] = self._cookie(page, first, last)
        if prefer.wants(_MORE):
            answer[f"@{_MORE}"] = more
        return {**answer, "value": list({str(row): row for row in rows}.values()) if self._distinct else rows}

    @property
    def _distinct(self) -> bool:
        return _flag(self._root, "distinct")

    def _cookie(self, page: int, first: Row, last: Row) -> str:
        key = self._table.key
        inner = (
            f'<cookie page="{page}"><{key} last="{{{last[key].upper()}}}" first="{{{first[key].upper()}}}" /></cookie>'
        )
        twice = quote(quote(inner, safe=""), safe="")
        return f'<cookie pagenumber="{page + 1}" pagingcookie="{twice}" istracking="False" />'

    def _renderer(self, prefer: Prefer) -> Callable[[Joined], dict[str, Any]]:
        names = [item.get("name", "") for item in self._entity.findall("attribute")]
        wires = [self._column(self._table, name).wire for name in names]
        whole = self._entity.find("all-attributes") is not None or not names
        options = {} if whole else {"$select": ",".join(wires)}
        shaped: Shape = shape(self._org, self._caller, self._table, options, prefer, lambda *_: ())
        linked = list(self._linked(self._entity))

        def render(row: Joined) -> dict[str, Any]:
            base = row[""]
            assert base is not None
            found = shaped.row(base)
            for name, alias, column in linked:
                other = row.get(alias)
                if other is None:
                    continue
                value = json_value(column, other)
                if value is None:
                    continue
                shown = formatted(self._org, column, other.get(column.name)) if shaped.formatted else None
                if shown is not None:
                    found[f"{name}@{FORMATTED}"] = shown
                found[name] = value
            return found

        return render

    def _linked(self, element: ET.Element) -> Iterator[tuple[str, str, Column]]:
        """The columns of linked tables: name in the answer, alias, column."""
        for link in element.findall("link-entity"):
            alias = link.get("alias", "")
            table = self._places[alias].table
            for item in link.findall("attribute"):
                column = self._column(table, item.get("name"))
                yield item.get("alias") or f"{alias}.{column.name}", alias, column
            if link.find("all-attributes") is not None:
                for column in table.columns.values():
                    yield f"{alias}.{column.name}", alias, column
            yield from self._linked(link)

    # -- aggregates --------------------------------------------------------------------------------

    def _measures(self, element: ET.Element, alias: str) -> Iterator[tuple[str, str, Column, ET.Element]]:
        for item in element.findall("attribute"):
            column = self._column(self._places[alias].table, item.get("name"))
            name = item.get("alias")
            if not name:
                raise invalid("Every attribute of an aggregate needs an alias.")
            yield name, alias, column, item
        for link in element.findall("link-entity"):
            yield from self._measures(link, link.get("alias", ""))

    def _grouped(self, rows: Sequence[Joined], prefer: Prefer) -> list[dict[str, Any]]:
        measures = list(self._measures(self._entity, ""))
        keys = [item for item in measures if _flag(item[3], "groupby")]
        groups: dict[tuple[Any, ...], list[Joined]] = {} if keys else {(): []}
        for row in rows:
            groups.setdefault(tuple(self._of(row, alias, column) for _, alias, column, _ in keys), []).append(row)
        found = []
        for key, members in groups.items():
            one: dict[str, Any] = {}
            for (name, _, column, _), value in zip(keys, key, strict=True):
                shown = None if column.is_lookup else formatted(self._org, column, value)
                if shown is not None and prefer.wants(FORMATTED):
                    one[f"{name}@{FORMATTED}"] = shown
                one[name] = value
            for name, alias, column, item in measures:
                if not _flag(item, "groupby"):
                    one[name] = self._measured(members, alias, column, item)
            found.append(one)
        for _, order in reversed(list(self._orders())):
            name = order.get("alias", "")
            found.sort(key=lambda one: _sortable(one.get(name)), reverse=_flag(order, "descending"))
        top = self._root.get("top") or self._root.get("count")
        return found[: int(top)] if top and top.isdigit() else found

    def _measured(self, rows: Sequence[Joined], alias: str, column: Column, item: ET.Element) -> Any:
        kind = item.get("aggregate", "")
        if kind == "count":
            return len(rows)
        values = [self._of(row, alias, column) for row in rows]
        if kind == "countcolumn":
            held = [value for value in values if value is not None]
            return len(set(held)) if _flag(item, "distinct") else len(held)
        if kind not in _AGGREGATES:
            raise invalid(f"The aggregate '{kind}' is not supported.")
        return measure(_AGGREGATES[kind], values)


def _bare(value: Any) -> Any:
    return value[1] if isinstance(value, tuple) else value


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, 0 if value is None else value)


def _texts(condition: ET.Element) -> list[str]:
    listed = [item.text or "" for item in condition.findall("value")]
    return listed or ([condition.get("value", "")] if "value" in condition.attrib else [])


def _pattern(text: str) -> str:
    return re.escape(text).replace("%", ".*").replace("_", ".")


_LIKE: Mapping[str, Callable[[str], str]] = {
    "like": _pattern,
    "not-like": _pattern,
    "begins-with": lambda text: f"{re.escape(text)}.*",
    "not-begin-with": lambda text: f"{re.escape(text)}.*",
    "ends-with": lambda text: f".*{re.escape(text)}",
    "not-end-with": lambda text: f".*{re.escape(text)}",
}
_RANGES: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: bool(left > right),
    "ge": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "le": lambda left, right: bool(left <= right),
}


def fetched(org: Org, caller: Caller, table: Table, options: Mapping[str, str], prefer: Prefer) -> dict[str, Any]:
    """JSON of an answer to `?fetchXml=`. Raises DataverseError."""
    return Fetch(org, caller, table, options["fetchXml"]).answer(prefer)
