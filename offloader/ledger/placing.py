"""Writing down where else the bytes of versions lie now, without a transition: they were moved before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.engine import Connection, Row

from offloader.errors import Permanent
from offloader.ledger.bulk import chunks, execute_many
from offloader.ledger.journal import Journal
from offloader.ledger.moving import COPY, copy_data, copy_row
from offloader.ledger.schema import copies, versions
from offloader.ledger.values import Copy

_EQUAL = (
    select(versions.c.document, copies.c.key)
    .join(copies, copies.c.version == versions.c.pk)
    .where(
        copies.c.sha256 == bindparam("sha256"),
        copies.c.store == bindparam("store"),
        copies.c.size == bindparam("size"),
        ~copies.c.stale,
        copies.c.verified_at.is_not(None),
    )
    .order_by(copies.c.version)
    .limit(bindparam("limit"))
)


def place(
    placed: Sequence[tuple[int, Copy]], rules: Mapping[int, str], event: str
) -> Callable[[Connection, Journal], None]:
    """A job that adds copies to versions (pks), each with an event; `rules`: by version, what caused it."""

    def job(connection: Connection, journal: Journal) -> None:
        owners: dict[int, int] = {}
        for part in chunks(sorted({pk for pk, _ in placed})):
            found = connection.execute(select(versions.c.pk, versions.c.document).where(versions.c.pk.in_(part)))
            owners.update({row.pk: row.document for row in found})
        for pk, copy in placed:
            if pk not in owners:
                raise Permanent(f"the ledger knows no version number {pk}")
            journal.add(event, document=owners[pk], version=pk, rule=rules.get(pk), data={"copy": copy_data(copy)})
        execute_many(connection, COPY, [copy_row(pk, copy) for pk, copy in placed])

    return job


def repeated(connection: Connection, after: str, limit: int) -> Sequence[Row[tuple[str, int, int]]]:
    """SHA-256, size and number of versions of bytes that more than one version has, in order, above `after`."""
    query = (
        select(copies.c.sha256, copies.c.size, func.count(copies.c.version.distinct()).label("versions"))
        .where(~copies.c.stale, copies.c.sha256 > after)
        .group_by(copies.c.sha256, copies.c.size)
        .having(func.count(copies.c.version.distinct()) > 1)
        .order_by(copies.c.sha256)
        .limit(limit)
    )
    return connection.execute(query).all()


def holders(connection: Connection, sums: Sequence[str]) -> list[int]:
    """Documents (pks, in order) that hold bytes with one of these SHA-256."""
    found: set[int] = set()
    query = select(versions.c.document).join(copies, versions.c.pk == copies.c.version)
    for part in chunks(list(sums)):
        found.update(connection.execute(query.where(copies.c.sha256.in_(part), ~copies.c.stale)).scalars())
    return sorted(found)


def referenced(
    connection: Connection, store: str, key: str, documents: Collection[int], besides: Collection[int]
) -> bool:
    """Whether a version of none of these documents, and none of these versions, has a copy under this key."""
    query = (
        select(versions.c.document, versions.c.pk)
        .join(copies, copies.c.version == versions.c.pk)
        .where(copies.c.store == store, copies.c.key == key)
    )
    return any(document not in documents and pk not in besides for document, pk in connection.execute(query))


def equal(connection: Connection, store: str, sha256: str, size: int, limit: int) -> list[tuple[int, str]]:
    """Up to `limit` documents with a verified copy of these bytes in the store, the oldest first, each with its key."""
    key = {"sha256": sha256, "store": store, "size": size, "limit": limit}
    return [(document, where) for document, where in connection.execute(_EQUAL, key)]
