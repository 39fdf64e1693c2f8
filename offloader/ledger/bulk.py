"""Many rows at once: lists in parts for statements with lists, one prepared statement for many rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

T = TypeVar("T")
#: so that no statement has more parameters than a database takes
CHUNK = 500


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items in order, at most CHUNK at a time."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


@cache
def _compiled(statement: ClauseElement, dialect: Dialect, keys: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
    return (str(compiled), tuple(compiled.positiontup)) if compiled.positional else None


def execute_many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run the statement once for each row (all with the same keys, two or more); return how many rows it touched.

    SQLAlchemy works through each row's parameters in Python, which costs more than the row itself; a driver that
    takes them by position gets them as they are. Values must therefore be what the driver takes: text, numbers,
    bytes, truth values, None; and every parameter of the statement must be in the rows.
    """
    if not rows:
        return 0
    assert isinstance(statement, ClauseElement)
    plain = _compiled(statement, connection.dialect, tuple(rows[0]))
    if plain is None:
        return connection.execute(statement, rows).rowcount
    text, order = plain
    values = [(row[order[0]],) for row in rows] if len(order) == 1 else list(map(itemgetter(*order), rows))
    return connection.exec_driver_sql(text, values).rowcount
