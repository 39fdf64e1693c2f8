"""Writing down what happens to documents: transitions, copies, links, restores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, select, text, true, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from offloader.audit import canonical
from offloader.errors import Conflict, Permanent, Refused
from offloader.ledger import codec
from offloader.ledger.bulk import chunks, execute_many
from offloader.ledger.journal import Journal, plain, stamp
from offloader.ledger.scanning import Prepared, countable, next_pk, seen, version_row
from offloader.ledger.schema import copies, documents, former_refs, scans, versions
from offloader.ledger.transitions import legal
from offloader.ledger.values import Copy, Step
from offloader.model import Document, DocumentRef, Link, State

Links = Sequence[tuple[int, Link, Mapping[str, str]]]

_STATES = select(versions.c.pk, versions.c.document, versions.c.state).where(
    versions.c.pk.in_(bindparam("pks", expanding=True))
)
_MOVE = (
    update(versions)
    .where(versions.c.pk == bindparam("b_pk"))
    .values(state=bindparam("b_state"), detail=bindparam("b_detail"))
)
_LINK = (
    update(documents)
    .where(documents.c.pk == bindparam("b_pk"))
    .values(link_id=bindparam("b_id"), link_url=bindparam("b_url"), link_ref=bindparam("b_ref"))
)
_RENAME = update(versions).where(versions.c.pk == bindparam("b_pk")).values(id=bindparam("b_id"))
_SCOPE = (
    select(scans.c.pk)
    .join(documents, (documents.c.source == scans.c.source) & (documents.c.kind == scans.c.kind))
    .where(documents.c.pk == bindparam("pk"))
)
COPY = text(
    "INSERT INTO copies "
    "(version, store, key, size, sha256, md5, verified_at, held_size, held_sha256, held_form, stale) "
    "VALUES (:version, :store, :key, :size, :sha256, :md5, :verified_at, :held_size, :held_sha256, :held_form, false) "
    "ON CONFLICT (version, store) DO UPDATE SET key = excluded.key, size = excluded.size, "
    "sha256 = excluded.sha256, md5 = excluded.md5, verified_at = excluded.verified_at, "
    "held_size = excluded.held_size, held_sha256 = excluded.held_sha256, held_form = excluded.held_form, "
    "stale = excluded.stale"
)


def advance(steps: Sequence[Step], links: Links) -> Callable[[Connection, Journal], None]:
    """A job that makes all the steps and sets all the links, or nothing."""
    data = [_event_data(step) for step in steps]
    rows = [copy_row(step.version, copy) for step in steps for copy in step.copies]

    def job(connection: Connection, journal: Journal) -> None:
        known = _known(connection, steps)
        moves = []
        states = {pk: state for pk, (_, state) in known.items()}
        for step, json in zip(steps, data, strict=True):
            pk, to = step.version, step.to
            moves.append({"b_pk": pk, "b_state": to, "b_detail": plain(step.detail)})
            journal.add(
                "transition", document=known[pk][0], version=pk, old=states[pk], new=to, rule=step.rule, data=json
            )
            states[pk] = to
        if moves:
            _move(connection, moves, steps, known)
        execute_many(connection, COPY, rows)
        if links:
            _link(connection, journal, links)

    return job


def _known(connection: Connection, steps: Sequence[Step]) -> dict[int, tuple[int, State]]:
    known: dict[int, tuple[int, State]] = {}
    for part in chunks(list({step.version for step in steps})):
        for pk, document, state in connection.execute(_STATES, {"pks": part}):
            known[pk] = (document, State(state))
    unknown = [step.version for step in steps if step.version not in known]
    if unknown:
        raise Permanent(f"the ledger knows no version number {unknown[0]}")
    return known


def _move(
    connection: Connection,
    moves: Sequence[Mapping[str, Any]],
    steps: Sequence[Step],
    known: Mapping[int, tuple[int, State]],
) -> None:
    try:
        execute_many(connection, _MOVE, moves)
    except IntegrityError as error:
        raise _refused(connection, steps, known) from error


def _refused(connection: Connection, steps: Sequence[Step], known: Mapping[int, tuple[int, State]]) -> Refused:
    """Name the first step that the database cannot have taken."""
    states = {pk: state for pk, (_, state) in known.items()}
    for step in steps:
        state = states[step.version]
        if not legal(state, step.to):
            row = connection.execute(
                select(documents.c.source, documents.c.kind, documents.c.id.label("document"), versions.c.id)
                .join(versions, versions.c.document == documents.c.pk)
                .where(versions.c.pk == step.version)
            ).one()
            name = f"{row.source}/{row.kind}/{row.document} version {row.id}"
            return Refused(f"{name} cannot go from {state} to {step.to}", rule="legal-transitions")
        states[step.version] = step.to
    return Refused("the ledger refuses a transition", rule="legal-transitions")


def _link(connection: Connection, journal: Journal, links: Links) -> None:
    rows = [{"b_pk": pk, "b_id": link.id, "b_url": link.url, "b_ref": canonical(dict(ref))} for pk, link, ref in links]
    if execute_many(connection, _LINK, rows) != len(rows):
        raise Permanent(f"the ledger does not know one of the documents {[pk for pk, _, _ in links][:5]}")
    for pk, link, ref in links:
        journal.add("link", document=pk, data={"link": link.id, "link_ref": dict(ref)})


def _event_data(step: Step) -> str:
    if not step.data and not step.copies:
        return _detail(step.detail)
    data = dict(step.data)
    if step.detail:
        data["detail"] = step.detail
    if step.copy is not None:
        data["copy"] = copy_data(step.copy)
    if step.further:
        data["further"] = [copy_data(copy) for copy in step.further]
    return canonical(data)


@lru_cache(1024)
def _detail(text: str) -> str:
    """Most documents of a plan have one of few reasons."""
    return canonical({"detail": text} if text else {})


def copy_data(copy: Copy) -> dict[str, Any]:
    """A copy as events have it."""
    return {
        "store": copy.store,
        "key": copy.key,
        "size": copy.digest.size,
        "sha256": copy.digest.sha256,
        "verified_at": stamp(copy.verified_at) if copy.verified_at else None,
    }


def copy_row(version: int, copy: Copy) -> dict[str, Any]:
    """A copy as its row, for `COPY`."""
    return {
        "version": version,
        "store": copy.store,
        "key": copy.key,
        "size": copy.digest.size,
        "sha256": copy.digest.sha256,
        "md5": copy.digest.md5,
        "verified_at": stamp(copy.verified_at) if copy.verified_at else None,
        "held_size": copy.held.size if copy.held else None,
        "held_sha256": copy.held.sha256 if copy.held else None,
        "held_form": copy.held.form if copy.held else None,
    }


def forget_copies(pks: Sequence[int], store: str | None) -> Callable[[Connection, Journal], None]:
    """A job that drops the copies of versions (in one store, if named), with an event for each that says where."""

    def job(connection: Connection, journal: Journal) -> None:
        for part in chunks(list(dict.fromkeys(pks))):
            mine = and_(copies.c.version.in_(part), true() if store is None else copies.c.store == store)
            rows = connection.execute(
                select(copies.c.version, copies.c.store, copies.c.key, versions.c.document)
                .join(versions, versions.c.pk == copies.c.version)
                .where(mine)
            )
            for row in rows.all():
                data = {"store": row.store, "key": row.key}
                journal.add("withdrawn", document=row.document, version=row.version, data=data)
            connection.execute(delete(copies).where(mine))

    return job


def replace_document(pk: int, prepared: Prepared) -> Callable[[Connection, Journal], None]:
    """A job that makes the document `pk` the one that now stands in the CRM.

    Versions keep their rows by their place, oldest first; the old reference goes on leading here. A scan may have
    seen the new document already, as a stranger: its untouched row is merged into this one.
    """

    def job(connection: Connection, journal: Journal) -> None:
        old = connection.execute(select(documents).where(documents.c.pk == pk)).first()
        if old is None:
            raise Permanent(f"the ledger knows no document number {pk}")
        was, ref = DocumentRef(old.source, old.kind, old.id), prepared.document.ref
        if (was.source, was.kind) != (ref.source, ref.kind):
            raise Permanent(f"{was} cannot become {ref}: that is another source or kind")
        if was != ref:
            _merge_stranger(connection, journal, pk, ref)
            _rename(connection, was, ref, pk)
        body = {"body": prepared.body, "fingerprint": prepared.fingerprint, "deleted": False}
        connection.execute(update(documents).where(documents.c.pk == pk).values(**body))
        _replace_versions(connection, journal, pk, codec.load(old.body)["versions"], prepared)
        journal.add("replaced", document=pk, data={"was": str(was), "now": str(ref)})

    return job


def _merge_stranger(connection: Connection, journal: Journal, pk: int, ref: DocumentRef) -> None:
    where = (documents.c.source == ref.source, documents.c.kind == ref.kind, documents.c.id == ref.id)
    stranger = connection.execute(select(documents.c.pk, documents.c.link_id).where(*where)).first()
    if stranger is None:
        return
    mine = select(versions.c.pk).where(versions.c.document == stranger.pk)
    copied = connection.execute(select(copies.c.version).where(copies.c.version.in_(mine)).limit(1)).first()
    if copied is not None or stranger.link_id is not None:
        raise Conflict(f"{ref} is a document of its own in the ledger, with copies or a link: it cannot be taken over")
    connection.execute(delete(versions).where(versions.c.document == stranger.pk))
    # Plans and events may name the row: it stays, as a deleted document without versions.
    body = canonical(codec.document_fields(Document(ref=ref, title=f"merged into {pk}", versions=())))
    tomb = {"id": f"{ref.id} merged {stranger.pk}", "deleted": True, "body": body, "fingerprint": b""}
    connection.execute(update(documents).where(documents.c.pk == stranger.pk).values(**tomb))
    journal.add("merged", document=stranger.pk, data={"ref": str(ref), "into": pk})


def _rename(connection: Connection, was: DocumentRef, ref: DocumentRef, pk: int) -> None:
    key = {"source": was.source, "kind": was.kind, "id": was.id}
    connection.execute(delete(former_refs).filter_by(**key))
    connection.execute(insert(former_refs).values(**key, document=pk))
    connection.execute(update(documents).where(documents.c.pk == pk).values(id=ref.id))


def _replace_versions(
    connection: Connection, journal: Journal, pk: int, old_ids: Sequence[str], prepared: Prepared
) -> None:
    rows = {row.id: row for row in connection.execute(select(versions).where(versions.c.document == pk))}
    heirs = dict(zip(prepared.versions, old_ids, strict=False))
    # Out of the way first: a new id may be one that another version of the document had until now.
    for old in heirs.values():
        connection.execute(_RENAME, {"b_pk": rows[old].pk, "b_id": f"former {rows[old].pk}"})
    scope = connection.execute(_SCOPE, {"pk": pk}).scalar_one()
    for name, (version, json) in prepared.versions.items():
        if name in heirs:
            values = {"id": name, "number": version.number, "size": countable(version.size), "body": json}
            connection.execute(update(versions).where(versions.c.pk == rows[heirs[name]].pk).values(**values))
        else:
            new = next_pk(connection, versions.c.pk)
            connection.execute(insert(versions).values(**version_row(new, pk, scope, version, json)))
            seen(journal, pk, new, prepared.document, version)
