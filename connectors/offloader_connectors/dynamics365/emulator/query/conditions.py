"""Filters: from the tree to a test of a row, and the part of it that an index answers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.errors import bad_query, no_property
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.query import functions
from offloader_connectors.dynamics365.emulator.query.syntax import (
    Call,
    Compare,
    Expression,
    Joined,
    Literal,
    Negated,
    Path,
    Some,
    aliased,
    array_values,
)
from offloader_connectors.dynamics365.emulator.schema import CHOICES, NUMBERS, TEXT, Column, Table
from offloader_connectors.dynamics365.emulator.store import Row
from offloader_connectors.dynamics365.emulator.values import parse_stamp

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

Test = Callable[[Row], bool]
Read = Callable[[Row], Any]
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_SORTED = {"versionnumber", "createdon", "modifiedon"}
#: most values of one condition
_MOST_VALUES = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path ends: the column, its table, and the lookups on the way (with the table that each leads to)."""

    column: Column
    table: Table
    steps: tuple[tuple[Column, frozenset[str]], ...] = ()


class Resolver:
    """Finds columns by the names that OData has for them."""

    def __init__(self, org: Org, table: Table) -> None:
        self.org = org
        self.table = table

    def target(self, names: Sequence[str]) -> Target:
        """Raises DataverseError for a name that the table does not have."""
        table, steps = self.table, []
        for name in names[:-1]:
            column, tables = self.step(table, name)
            steps.append((column, frozenset(tables)))
            table = self.org.table(tables[0])
        found = table.wires.get(names[-1])
        if found is None or not found.readable:
            raise no_property(names[-1], table.name)
        return Target(found, table, tuple(steps))

    def step(self, table: Table, name: str) -> tuple[Column, tuple[str, ...]]:
        """A single-valued navigation property: its lookup and the tables it leads to. Raises DataverseError."""
        if name not in table.single:
            raise no_property(name, table.name)
        column, targets = table.single[name]
        if len(column.targets) > 1 and not column.type == "owner" and not self.org.options.polymorphic_paths:
            raise bad_query(f"The navigation property '{name}' can lead to several tables and cannot be used here.")
        return column, tuple(target.table for target in targets)

    def reader(self, target: Target) -> Read:
        """A function from a row to the value at the end of a path; text comes in lower case, lookups as ids."""
        name, plain = target.column.name, target.column.type
        if target.column.type == "body":
            name = f"_{name}"
        tables = self.org.store.tables

        def last(row: Row) -> Any:
            value = row.get(name)
            if isinstance(value, tuple):
                return value[1]
            return value.lower() if plain in TEXT and value is not None else value

        if not target.steps:
            return last

        def far(row: Row | None) -> Any:
            for column, allowed in target.steps:
                held = row.get(column.name) if row else None
                row = tables[held[0]].get(held[1]) if held and held[0] in allowed else None
            return last(row) if row else None

        return far


def literal_value(column: Column, literal: Literal, table: Table) -> Any:
    """A literal as `Resolver.reader` gives it. Raises DataverseError for one of the wrong type."""
    value = literal.value
    if literal.kind == "null":
        return None
    if column.type == "uniqueidentifier" or column.is_lookup or column.type == "file":
        found = normal(value)
        if found is not None:
            return found
    elif column.type in TEXT and literal.kind in {"string", "guid"}:
        return str(value).lower()
    elif column.type in {"datetime", "date"} and literal.kind in {"moment", "string"}:
        found = parse_stamp(value)
        # Edm.Date and Edm.DateTimeOffset are not compared with each other (OData)
        if found is not None and not (column.type == "date" and literal.kind == "moment" and "T" in value.upper()):
            return found[:10] if column.type == "date" else found
    elif column.type == "boolean" and literal.kind == "boolean":
        return value
    elif column.type in NUMBERS | CHOICES and literal.kind in {"number", "string"}:
        return _as_number(column, literal, table)
    raise _incompatible(column, literal, table)


def _as_number(column: Column, literal: Literal, table: Table) -> Any:
    if literal.kind == "number":
        return literal.value
    try:
        return int(literal.value) if column.type in CHOICES | {"integer", "bigint"} else float(literal.value)
    except ValueError:
        raise _incompatible(column, literal, table) from None


def _incompatible(column: Column, literal: Literal, table: Table) -> Exception:
    text = (
        f"A binary operator with incompatible types was detected. '{literal.value}' cannot be compared with the column "
        f"'{column.name}' of '{table.name}', which is of type {column.type}."
    )
    return bad_query(text)


class Conditions:
    """Compiles the filter of one query."""

    def __init__(self, resolver: Resolver, options: Mapping[str, str]) -> None:
        self._resolver = resolver
        self._org = resolver.org
        self._options = options

    def compile(self, where: Expression) -> Test:
        """Raises DataverseError."""
        if isinstance(where, Joined):
            tests = [self.compile(part) for part in where.parts]
            if where.operator == "and":
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)
        if isinstance(where, Negated):
            test = self.compile(where.part)
            return lambda row: not test(row)
        if isinstance(where, Some):
            return self._some(where)
        return self._call(where) if isinstance(where, Call) else self._compare(where)

    def _column(self, path: Path) -> tuple[Target, Read]:
        target = self._resolver.target(path.names)
        if target.table.name == "email" and target.column.name == "description":
            raise bad_query("The column 'description' of 'email' cannot be used in a filter.")
        return target, self._resolver.reader(target)

    def _compare(self, where: Compare) -> Test:
        left, sign, right = where.left, where.operator, where.right
        if isinstance(left, Literal):
            left, right = right, left
            sign = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}.get(sign, sign)
        if not isinstance(left, Path):
            raise bad_query("A condition needs a column.")
        target, read = self._column(left)
        if isinstance(right, Path):
            other, against = self._column(right)
            if other.column.type != target.column.type:
                raise bad_query("A binary operator with incompatible types was detected.")
            return _ranged(read, sign, against)
        literal = aliased(right, self._options)
        if target.column.type in {"body", "image"} and literal.kind != "null":
            raise bad_query(f"The column '{target.column.name}' cannot be used in this filter.")
        value = literal_value(target.column, literal, target.table)
        if sign == "eq":
            return lambda row: bool(read(row) == value)
        if sign == "ne":
            return lambda row: bool(read(row) != value)
        return _ranged(read, sign, lambda _: value)

    def _call(self, where: Call) -> Test:
        if where.named:
            return self._function(where)
        if where.name not in _TEXT_TESTS or len(where.arguments) != 2:
            raise bad_query(f"An unknown function with name '{where.name}' was found.")
        path, literal = where.arguments
        if not isinstance(path, Path) or not isinstance(literal, Literal):
            raise bad_query(f"{where.name} takes a column and a text.")
        target, read = self._column(path)
        literal = aliased(literal, self._options)
        if target.column.type not in TEXT or literal.kind != "string":
            raise bad_query(f"{where.name} takes a text column and a text.")
        test, wanted = _TEXT_TESTS[where.name], literal.value.lower()
        return lambda row: read(row) is not None and test(read(row), wanted)

    def _function(self, where: Call) -> Test:
        target, values = self.function(where)
        read = self._resolver.reader(target)
        name = where.name.rpartition(".")[2]
        if name in {"In", "NotIn"}:
            wanted = {literal_value(target.column, Literal("string", value), target.table) for value in values}
            return (lambda row: read(row) in wanted) if name == "In" else (lambda row: read(row) not in wanted)
        return functions.test(name, target.column, target.table, read, values, self._org.now())

    def function(self, where: Call) -> tuple[Target, list[str]]:
        """The column and the values of a query function. Raises DataverseError."""
        named = {name: aliased(literal, self._options) for name, literal in where.named.items()}
        if "PropertyName" not in named:
            raise bad_query(f"{where.name} needs the parameter PropertyName.")
        target = self._resolver.target(self._names(str(named["PropertyName"].value)))
        values: list[str] = []
        for name in ("PropertyValues", "PropertyValue", "PropertyValue1", "PropertyValue2"):
            if name in named and named[name].kind == "array":
                quotes = self._org.options.single_quoted_in
                values += array_values(named[name].value, single_quotes=quotes)
            elif name in named:
                values.append(str(named[name].value))
        if len(values) > _MOST_VALUES:
            raise bad_query("The number of parameters in a condition exceeded the maximum limit.")
        return target, values

    def _names(self, name: str) -> tuple[str, ...]:
        """A query function takes a lookup by its logical name as well."""
        column = self._resolver.table.columns.get(name)
        return (column.wire,) if column is not None else tuple(name.split("/"))

    def _some(self, where: Some) -> Test:
        collections = self._org.schema.collections[self._resolver.table.name]
        if len(where.path) != 1 or where.path[0] not in collections:
            raise no_property("/".join(where.path), self._resolver.table.name)
        child, column = collections[where.path[0]]
        inner = Conditions(Resolver(self._org, self._org.table(child)), self._options)
        test = inner.compile(_bare(where.inner, where.variable)) if where.inner is not None else (lambda _: True)
        store, key = self._org.store, self._resolver.table.key
        combine = all if where.every else any
        return lambda row: combine(test(found) for found in store.where(child, column.name, row[key]))

    # -- what an index answers ---------------------------------------------------------------------

    def keys(self, where: Expression | None) -> Sequence[str] | None:
        """Ids of rows outside of which the filter finds nothing, if an index tells."""
        table, store = self._resolver.table, self._org.store
        for part in conjuncts(where):
            found = self._equal(part)
            if found is None or None in found[1]:
                continue
            name, values = found
            if name == table.key:
                rows = store.tables[table.name]
                return [value for value in values if value in rows]
            if store.has_index(table.name, name):
                return list({key: None for value in values for key in store.keys_where(table.name, name, value)})
        return None

    def _equal(self, part: Expression) -> tuple[str, list[Any]] | None:
        """A condition that a column has one of some values."""
        if isinstance(part, Joined):
            return self._any_of(part) if part.operator == "or" else None
        if isinstance(part, Call) and part.name == "Microsoft.Dynamics.CRM.In":
            target, texts = self.function(part)
            literals = [Literal("string", text) for text in texts]
        elif isinstance(part, Compare) and part.operator == "eq" and isinstance(part.left, Path):
            if not isinstance(part.right, Literal):
                return None
            target, literals = self._resolver.target(part.left.names), [aliased(part.right, self._options)]
        else:
            return None
        values = [literal_value(target.column, literal, target.table) for literal in literals]
        return None if target.steps else (target.column.name, list(dict.fromkeys(values)))

    def _any_of(self, either: Joined) -> tuple[str, list[Any]] | None:
        found = [self._equal(part) for part in either.parts]
        names = {item[0] for item in found if item}
        if None in found or len(names) != 1:
            return None
        return names.pop(), list(dict.fromkeys(value for item in found if item for value in item[1]))

    def bounds(self, where: Expression | None) -> tuple[str, Any, Any] | None:
        """A range of a sorted column outside of which the filter finds nothing: name, low, high."""
        found: dict[str, list[Any]] = {}
        for part in conjuncts(where):
            if not isinstance(part, Compare) or not isinstance(part.left, Path) or not isinstance(part.right, Literal):
                continue
            if len(part.left.names) != 1 or part.left.names[0] not in _SORTED or part.operator in {"eq", "ne"}:
                continue
            target = self._resolver.target(part.left.names)
            value = literal_value(target.column, aliased(part.right, self._options), target.table)
            if value is not None:
                found.setdefault(target.column.name, [None, None])[part.operator[0] == "l"] = value
        for name, (low, high) in found.items():
            return name, low, high
        return None


def _ranged(read: Read, sign: str, against: Read) -> Test:
    apply = _OPERATORS[sign]

    def test(row: Row) -> bool:
        left, right = read(row), against(row)
        return left is not None and right is not None and apply(left, right)

    return test


def conjuncts(where: Expression | None) -> Iterator[Expression]:
    """The parts that must all hold."""
    if isinstance(where, Joined) and where.operator == "and":
        for part in where.parts:
            yield from conjuncts(part)
    elif where is not None:
        yield where


def _bare(where: Expression, variable: str) -> Expression:
    """A lambda's condition with its variable taken off the paths."""

    def path(item: Any) -> Any:
        if isinstance(item, Path) and item.names[0] == variable:
            return Path(item.names[1:])
        return item

    if isinstance(where, Joined):
        return Joined(where.operator, tuple(_bare(part, variable) for part in where.parts))
    if isinstance(where, Negated):
        return Negated(_bare(where.part, variable))
    if isinstance(where, Compare):
        return Compare(path(where.left), where.operator, path(where.right))
    if isinstance(where, Call):
        return Call(where.name, tuple(path(item) for item in where.arguments), where.named)
    return Some(path(Path(where.path)).names, where.every, where.variable, where.inner)
