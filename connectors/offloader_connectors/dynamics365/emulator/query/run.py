"""Runs list and single-row queries for a caller: finds the rows, by index where there is one, pages and shapes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import total_ordering
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.errors import bad_query, not_found
from offloader_connectors.dynamics365.emulator.ids import database_order, normal
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.query import paging
from offloader_connectors.dynamics365.emulator.query.aggregates import applied
from offloader_connectors.dynamics365.emulator.query.changes import count_changes, track, tracked
from offloader_connectors.dynamics365.emulator.query.conditions import Conditions, Resolver, Target
from offloader_connectors.dynamics365.emulator.query.fetchxml import fetched
from offloader_connectors.dynamics365.emulator.query.shape import Shape, name_of, shape
from offloader_connectors.dynamics365.emulator.query.syntax import Order, parse_filter, parse_orderby
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.dynamics365.emulator.store import Row

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.caller import Caller
    from offloader_connectors.dynamics365.emulator.org import Org

_COUNT = "Microsoft.Dynamics.CRM.totalrecordcount"
_EXCEEDED = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"
_KNOWN = {
    "$select", "$filter", "$orderby", "$top", "$count", "$expand", "$apply", "$skiptoken", "$deltatoken", "$format",
}  # fmt: skip
_DEFAULT_PREFER = Prefer()


@total_ordering
class _Backwards:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __lt__(self, other: _Backwards) -> bool:
        return bool(other.value < self.value)


class Query:
    """One list query on a table; `within` restricts it to the rows whose lookup leads to a record."""

    def __init__(
        self,
        org: Org,
        caller: Caller,
        table: Table,
        options: Mapping[str, str],
        *,
        within: tuple[Column, str] | None = None,
    ) -> None:
        self.org = org
        self.caller = caller
        self.table = table
        self.options = options
        self.within = within
        self.resolver = Resolver(org, table)
        self.conditions = Conditions(self.resolver, options)
        self.where = parse_filter(options["$filter"]) if options.get("$filter") else None
        self.orders = self._orders()

    def _orders(self) -> list[tuple[Order, Target, Callable[[Row], Any]]]:
        found = []
        for order in parse_orderby(self.options["$orderby"]) if self.options.get("$orderby") else []:
            target = self.resolver.target(order.path)
            read = self.resolver.reader(target)
            found.append((order, target, self._by_name(target) if target.column.is_lookup else read))
            if target.column.name == self.table.key and not target.steps:
                break
        return found

    def _by_name(self, target: Target) -> Callable[[Row], Any]:
        """A lookup is ordered by the name of the row that it leads to."""
        org, column = self.org, target.column

        def read(row: Row) -> Any:
            held = row.get(column.name)
            return (name_of(org, *held) or "").lower() if held else None

        return read

    # -- order -------------------------------------------------------------------------------------

    @property
    def order_names(self) -> list[str]:
        """The columns that a paging cookie names; the primary key is always the last."""
        names = ["_".join(order.path) for order, _, _ in self.orders]
        return names if names and names[-1] == self.table.key else [*names, self.table.key]

    def position(self, row: Row) -> tuple[Any, ...]:
        """What a paging cookie keeps of a row."""
        values = [read(row) for _, _, read in self.orders]
        return tuple(values if len(values) == len(self.order_names) else [*values, row[self.table.key]])

    def _rank_of(self, position: Sequence[Any]) -> tuple[Any, ...]:
        """A position as something that sorts as the query wants; nothing sorts before anything."""
        ways = [order.descending for order, _, _ in self.orders]
        ways += [False] * (len(position) - len(ways))
        ranks = []
        for index, (value, descending) in enumerate(zip(position, ways, strict=True)):
            last = index == len(position) - 1
            held = database_order(value) if last and self.org.store.database_order else value
            rank = (value is not None, held if value is not None else 0)
            ranks.append(_Backwards(rank) if descending else rank)
        return tuple(ranks)

    def rank(self, row: Row) -> tuple[Any, ...]:
        return self._rank_of(self.position(row))

    # -- rows --------------------------------------------------------------------------------------

    def rows(self, after: Sequence[Any] | None = None, limit: int | None = None) -> list[Row]:
        """The caller's rows in order, after a position; with `limit`, one more than so many at most."""
        test = self.conditions.compile(self.where) if self.where is not None else None
        candidates, presorted = self._candidates(after)
        may_read, name = self.caller.may_read, self.table.name
        found: list[Row] = []
        for row in candidates:
            if (test is None or test(row)) and may_read(name, row):
                found.append(row)
                if presorted and limit is not None and len(found) > limit:
                    break
        if presorted:
            return found
        found.sort(key=self.rank)
        if after is not None:
            mark = self._rank_of(after)
            found = [row for row in found if self.rank(row) > mark]
        return found

    def _candidates(self, after: Sequence[Any] | None) -> tuple[Iterable[Row], bool]:
        """The rows to look at, and whether they come in order and after the position."""
        store, name = self.org.store, self.table.name
        table = store.tables[name]
        if self.within is not None:
            return store.where(name, self.within[0].name, self.within[1]), False
        keys = self.conditions.keys(self.where)
        if keys is not None:
            return [table[key] for key in keys], False
        ordered, bounds = self._ordered_by(), self.conditions.bounds(self.where)
        if ordered is not None and (bounds is None or bounds[0] == ordered):
            low = None
            if after is not None:
                low = store.sort_key(name, ordered, after[-1], {ordered: after[0]})
            if bounds and bounds[1] is not None:
                low = bounds[1] if low is None else max(low, bounds[1])
            pairs = store.between(name, ordered, low, None)
            mark = None if after is None else self._rank_of(after)
            rows = (table[key] for _, key in pairs)
            return (rows if mark is None else (row for row in rows if self.rank(row) > mark)), True
        if bounds is not None:
            return [table[key] for _, key in store.between(name, *bounds)], False
        return table.values(), False

    def _ordered_by(self) -> str | None:
        """The sorted index that gives the wanted order: of the key, or of the row version, both unique."""
        if not self.orders:
            return self.table.key
        order, target, _ = self.orders[0]
        if order.descending or target.steps or target.column.name not in {self.table.key, "versionnumber"}:
            return None
        return target.column.name


def children(org: Org, caller: Caller) -> Callable[[Table, Column, str, Mapping[str, str]], list[Row]]:
    """Finds the rows of a collection that is expanded."""

    def find(table: Table, column: Column, parent: str, options: Mapping[str, str]) -> list[Row]:
        rows = Query(org, caller, table, options, within=(column, parent)).rows()
        return rows[: _number(options, "$top", org.options.page_cap)]

    return find


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not text.strip().isdigit():
        raise bad_query(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def check_options(options: Mapping[str, str]) -> None:
    """Raises DataverseError for query options that the platform does not have."""
    if "$skip" in options:
        raise bad_query("Skip Clause is not supported in CRM")
    for name in options:
        if name.startswith("$") and name not in _KNOWN:
            raise bad_query(f"The query parameter {name} is not supported")


def records(
    org: Org,
    caller: Caller,
    table: str,
    options: Mapping[str, str],
    prefer: Prefer = _DEFAULT_PREFER,
    *,
    within: tuple[Column, str] | None = None,
    path: str | None = None,
) -> dict[str, Any]:
    """JSON of a list answer. `path` is where the list stands, if that is not the table's own set.

    Raises DataverseError.
    """
    described = org.table(table)
    org.tick()
    check_options(options)
    if tracked(options, prefer):
        return track(org, caller, described, options, prefer)
    if "fetchXml" in options:
        return fetched(org, caller, described, options, prefer)
    if "$apply" in options:
        return applied(org, caller, described, options)
    query = Query(org, caller, described, options, within=within)
    shaped = shape(org, caller, described, options, prefer, children(org, caller))
    page_size = org.options.page_cap
    if prefer.max_page_size is not None:
        page_size = max(1, min(page_size, prefer.max_page_size))
    cookie = None
    if "$skiptoken" in options:
        cookie = paging.read(options["$skiptoken"], query.order_names, table, options)
    counted = options.get("$count", "").strip().lower() == "true"
    topped = "$top" in options and prefer.max_page_size is None
    size = min(page_size, _number(options, "$top", page_size)) if topped else page_size
    total = len(query.rows()) if counted else None
    rows = query.rows(cookie.last if cookie else None, size)
    page = rows[:size]
    answer: dict[str, Any] = {"@odata.context": f"{org.root}$metadata#{described.set_name}{shaped.selected}"}
    answer |= counts(org, prefer, total)
    answer["value"] = [shaped.row(row) for row in page]
    if len(rows) > size and not topped:
        number = cookie.number + 1 if cookie else 2
        following = paging.Cookie(number, query.position(page[-1]), first=query.position(page[0]))
        token = paging.write(following, query.order_names, table, options)
        answer["@odata.nextLink"] = paging.address(f"{org.root}{path or described.set_name}", options, token)
    return answer


def counts(org: Org, prefer: Prefer, total: int | None) -> dict[str, Any]:
    """What an answer says of the number of rows."""
    found: dict[str, Any] = {}
    cap = org.options.count_cap
    if total is not None:
        found["@odata.count"] = min(total, cap)
    if prefer.wants(_COUNT):
        found[f"@{_COUNT}"] = -1 if total is None else min(total, cap)
    if prefer.wants(_EXCEEDED):
        found[f"@{_EXCEEDED}"] = total is not None and total > cap
    return found


def count(org: Org, caller: Caller, table: str, options: Mapping[str, str], prefer: Prefer = _DEFAULT_PREFER) -> int:
    """What `/$count` says: at most the cap; with a delta token, how many rows changed. Raises DataverseError."""
    check_options(options)
    if tracked(options, prefer):
        return count_changes(org, caller, org.table(table), options)
    return min(len(Query(org, caller, org.table(table), options).rows()), org.options.count_cap)


def readable(org: Org, caller: Caller, table: str, id: str) -> Row:
    """The row, if it is there and the caller may read it. Raises DataverseError."""
    row = org.store.get(table, normal(id) or "")
    if row is None:
        raise not_found(table, id)
    caller.check("Read", table, row)
    return row


def record(
    org: Org, caller: Caller, table: str, id: str, options: Mapping[str, str], prefer: Prefer = _DEFAULT_PREFER
) -> dict[str, Any]:
    """JSON of one row. Raises DataverseError."""
    org.tick()
    check_options(options)
    row, described = readable(org, caller, table, id), org.table(table)
    shaped: Shape = shape(org, caller, described, options, prefer, children(org, caller))
    context = f"{org.root}$metadata#{described.set_name}{shaped.selected}/$entity"
    return {"@odata.context": context, **shaped.row(row)}
