"""Writing down what a scan shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, false, func, insert, select, true, update
from sqlalchemy.engine import Connection, Row

from offloader.audit import canonical
from offloader.errors import Permanent
from offloader.ledger import codec
from offloader.ledger.bulk import chunks, execute_many
from offloader.ledger.journal import Journal
from offloader.ledger.schema import copies, documents, scans, versions
from offloader.ledger.transitions import legal
from offloader.ledger.values import RecordedPage
from offloader.model import Document, DocumentRef, State, Strategy, Version
from offloader.ports import Page

_KNOWN = select(documents.c.pk, documents.c.id, documents.c.fingerprint, documents.c.deleted).where(
    documents.c.source == bindparam("source"),
    documents.c.kind == bindparam("kind"),
    documents.c.id.in_(bindparam("ids", expanding=True)),
)
_BODIES = select(documents.c.pk, documents.c.body).where(documents.c.pk.in_(bindparam("pks", expanding=True)))
_VERSIONS = select(versions.c.pk, versions.c.document, versions.c.id, versions.c.state, versions.c.body).where(
    versions.c.document.in_(bindparam("pks", expanding=True))
)
_MOVED = (
    select(documents.c.body)
    .join(versions, versions.c.document == documents.c.pk)
    .where(documents.c.pk.in_(bindparam("pks", expanding=True)), versions.c.state == State.DONE)
    .group_by(documents.c.pk)
)
_SCAN = select(scans).where(scans.c.source == bindparam("source"), scans.c.kind == bindparam("kind"))
_INSERT = insert(documents)
_INSERT_VERSION = insert(versions)
_UNDELETE = update(documents).where(documents.c.pk == bindparam("b_pk")).values(deleted=false())
_DELETE = update(documents).where(documents.c.pk == bindparam("b_pk")).values(deleted=true())
_REBODY = (
    update(documents)
    .where(documents.c.pk == bindparam("b_pk"))
    .values(body=bindparam("b_body"), fingerprint=bindparam("b_fingerprint"))
)
_REVERSION = (
    update(versions)
    .where(versions.c.pk == bindparam("b_pk"))
    .values(body=bindparam("b_body"), number=bindparam("b_number"), size=bindparam("b_size"))
)
_RESEE = (
    update(versions)
    .where(versions.c.pk == bindparam("b_pk"))
    .values(state=bindparam("b_state"), detail=bindparam("b_detail"))
)
_STALE = update(copies).where(copies.c.version == bindparam("b_pk")).values(stale=true())


_RESEEN = "changed in the CRM, to be decided afresh"
#: 1 TiB: more than any document has, and 8 million of them can be added up
_LARGEST = 1 << 40


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be compared and written: its own text, its versions' texts, a hash over all."""

    document: Document
    body: str
    versions: Mapping[str, tuple[Version, str]]
    fingerprint: bytes

    @classmethod
    def of(cls, document: Document) -> Prepared:
        body = canonical(codec.document_fields(document))
        texts = {version.id: (version, codec.version_text(version)) for version in document.versions}
        whole = "\n".join([body, *(text for _, text in texts.values())])
        return cls(document, body, texts, hashlib.blake2b(whole.encode("ascii"), digest_size=16).digest())


def _must_be_text(document: Document) -> None:
    try:
        "".join([document.ref.id, *(version.id for version in document.versions)]).encode()
    except UnicodeEncodeError as error:
        raise Permanent(f"the id {str(document.ref)!a}, or one of its versions', is no text") from error


@dataclass(slots=True)
class _Changes:
    """What one page changes, gathered so that each statement runs once for all rows."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    version_bodies: list[dict[str, Any]] = field(default_factory=list)
    reseen: list[dict[str, Any]] = field(default_factory=list)
    stale: list[dict[str, Any]] = field(default_factory=list)
    undeleted: list[dict[str, Any]] = field(default_factory=list)
    returned: list[DocumentRef] = field(default_factory=list)
    unchanged: int = 0
    changed: int = 0

    def write(self, connection: Connection) -> None:
        for statement, rows in (
            (_INSERT, self.documents),
            (_INSERT_VERSION, self.versions),
            (_REBODY, self.bodies),
            (_REVERSION, self.version_bodies),
            (_RESEE, self.reseen),
            (_STALE, self.stale),
            (_UNDELETE, self.undeleted),
        ):
            execute_many(connection, statement, rows)


def prepare(source: str, kind: str, page: Page) -> list[Prepared]:
    """Turn a page's documents into text, outside of any transaction; the last of equal references counts.

    Raises Permanent if the page holds another source's or kind's document.
    """
    for ref in [document.ref for document in page.documents] + list(page.deleted):
        if (ref.source, ref.kind) != (source, kind):
            raise Permanent(f"a page of {source}/{kind} holds {ref}: the connector mixes its kinds")
    for document in page.documents:
        _must_be_text(document)
    return [Prepared.of(document) for document in {document.ref.id: document for document in page.documents}.values()]


class Recorder:
    """Records one page inside the writer's transaction."""

    def __init__(self, connection: Connection, journal: Journal, source: str, kind: str) -> None:
        self._connection = connection
        self._journal = journal
        self._source = source
        self._kind = kind
        self._changes = _Changes()
        self._next_document = next_pk(connection, documents.c.pk)
        self._next_version = next_pk(connection, versions.c.pk)
        self._scope = 0

    def record(self, page: Page, prepared: Sequence[Prepared], since: str | None) -> RecordedPage:
        self._scope = self._scan(page, since)
        self._write(prepared)
        deleted = self.mark_deleted(page.deleted)
        changes = self._changes
        new = len(changes.versions)
        return RecordedPage(new, changes.changed, changes.unchanged, tuple(changes.returned), deleted)

    def note(self, prepared: Sequence[Prepared]) -> None:
        """Record documents that no scan has listed; where none was ever begun, the next one is a full one."""
        key = {"source": self._source, "kind": self._kind}
        row = self._connection.execute(_SCAN, key).first()
        if row is None:
            self._scope = next_pk(self._connection, scans.c.pk)
            values = {"since": None, "cursor": None, "blind_spots": codec.findings_text(())}
            self._connection.execute(insert(scans).values(pk=self._scope, **key, **values))
        else:
            self._scope = int(row.pk)
        self._write(prepared)

    def _write(self, prepared: Sequence[Prepared]) -> None:
        for part in chunks(prepared):
            self._compare(part)
        self._changes.write(self._connection)

    def _scan(self, page: Page, since: str | None) -> int:
        key = {"source": self._source, "kind": self._kind}
        row = self._connection.execute(_SCAN, key).first()
        last = page.cursor is None
        spots = page.blind_spots
        if row is not None and row.cursor is not None and row.since == since:
            spots = tuple(dict.fromkeys(codec.findings(row.blind_spots) + spots))
        values = {"since": since, "cursor": page.cursor, "blind_spots": codec.findings_text(spots)}
        if last:
            values |= {"watermark": page.watermark, "finished": self._journal.at}
        if row is None:
            pk = next_pk(self._connection, scans.c.pk)
            self._connection.execute(insert(scans).values(pk=pk, **key, **values))
            return pk
        self._connection.execute(update(scans).where(scans.c.pk == row.pk).values(**values))
        return int(row.pk)

    def _compare(self, prepared: Sequence[Prepared]) -> None:
        ids = [item.document.ref.id for item in prepared]
        found = self._connection.execute(_KNOWN, {"source": self._source, "kind": self._kind, "ids": ids})
        known = {row.id: row for row in found}
        changed: list[tuple[int, Prepared]] = []
        for item in prepared:
            row = known.get(item.document.ref.id)
            if row is None:
                self._insert(item)
                continue
            if row.deleted:
                self._changes.undeleted.append({"b_pk": row.pk})
                self._journal.add("reappeared", document=row.pk, data={"ref": str(item.document.ref)})
            if row.fingerprint == item.fingerprint and not row.deleted:
                self._changes.unchanged += len(item.versions)
            else:
                changed.append((row.pk, item))
        self._update(changed)

    def _insert(self, item: Prepared) -> None:
        pk = self._next_document
        self._next_document += 1
        ref = item.document.ref
        self._changes.documents.append(
            {
                "pk": pk,
                "source": ref.source,
                "kind": ref.kind,
                "id": ref.id,
                "seen_at": self._journal.at,
                "deleted": False,
                "fingerprint": item.fingerprint,
                "body": item.body,
            }
        )
        for version, text in item.versions.values():
            self._insert_version(pk, item.document, version, text)

    def _insert_version(self, document: int, owner: Document, version: Version, text: str) -> None:
        pk = self._next_version
        self._next_version += 1
        self._changes.versions.append(version_row(pk, document, self._scope, version, text))
        seen(self._journal, document, pk, owner, version)

    def _update(self, changed: Sequence[tuple[int, Prepared]]) -> None:
        if not changed:
            return
        pks = {"pks": [pk for pk, _ in changed]}
        bodies = {row.pk: row.body for row in self._connection.execute(_BODIES, pks)}
        rows: dict[int, dict[str, Any]] = {}
        for row in self._connection.execute(_VERSIONS, pks):
            rows.setdefault(row.document, {})[row.id] = row
        for pk, item in changed:
            self._update_one(pk, item, bodies[pk], rows.get(pk, {}))

    def _update_one(self, pk: int, item: Prepared, body: str, known: Mapping[str, Row[Any]]) -> None:
        if known and all(_fixed(row) for row in known.values()) and set(item.versions) <= set(known):
            # The originals were removed: what stands there now is not what the ledger must be able to put back.
            self._changes.unchanged += len(item.versions)
            self._changes.returned.append(item.document.ref)
            return
        old, new = codec.load(body), codec.document_fields(item.document)
        other_facts = codec.facts(old) != codec.facts(new)
        self._changes.bodies.append({"b_pk": pk, "b_body": item.body, "b_fingerprint": item.fingerprint})
        for name, (version, text) in item.versions.items():
            row = known.get(name)
            if row is None:
                self._insert_version(pk, item.document, version, text)
            else:
                self._update_version(row, version, text, other_facts)

    def _update_version(self, row: Row[Any], version: Version, text: str, other_facts: bool) -> None:
        state = State(row.state)
        if _fixed(row):
            self._changes.unchanged += 1
            return
        before = codec.version(row.body)
        was, now = _content(before), _content(version)
        if row.body != text:
            self._changes.version_bodies.append(
                {"b_pk": row.pk, "b_body": text, "b_number": version.number, "b_size": countable(version.size)}
            )
        if was == now and (not other_facts or state is State.RESTORED):
            self._changes.unchanged += 1
            return
        self._changes.changed += 1
        if not same_bytes(before, version):
            self._changes.stale.append({"b_pk": row.pk})
        data = {"was": was, "now": now} if was != now else {"changed": "the document's parents, title or other facts"}
        if state is State.SEEN:
            self._journal.add("changed", document=row.document, version=row.pk, data=data)
            return
        self._changes.reseen.append({"b_pk": row.pk, "b_state": State.SEEN, "b_detail": _RESEEN})
        self._journal.add("transition", document=row.document, version=row.pk, old=state, new=State.SEEN, data=data)

    def mark_deleted(self, refs: Sequence[DocumentRef]) -> int:
        """Note that the CRM no longer has these; how many are news, without those that a move has removed."""
        news = 0
        for part in chunks(list(dict.fromkeys(ref.id for ref in refs))):
            found = self._connection.execute(_KNOWN, {"source": self._source, "kind": self._kind, "ids": part})
            fresh = [row for row in found if not row.deleted]
            execute_many(self._connection, _DELETE, [{"b_pk": row.pk} for row in fresh])
            for row in fresh:
                ref = DocumentRef(self._source, self._kind, row.id)
                self._journal.add("deleted", document=row.pk, data={"ref": str(ref)})
            news += len(fresh) - self._removed([row.pk for row in fresh])
        return news

    def _removed(self, pks: Sequence[int]) -> int:
        """How many of these documents have gone because they were moved: a placeholder stays."""
        found = self._connection.execute(_MOVED, {"pks": pks}) if pks else ()
        return sum(not Strategy(codec.load(body)["strategy"]).in_place for (body,) in found)


def version_row(pk: int, document: int, scope: int, version: Version, text: str) -> dict[str, Any]:
    """A new version's row."""
    return {
        "pk": pk,
        "document": document,
        "scope": scope,
        "id": version.id,
        "number": version.number,
        "state": State.SEEN,
        "size": countable(version.size),
        "detail": "",
        "body": text,
    }


def countable(size: int | None) -> int | None:
    """A size as its column has it, for adding up: a CRM may say anything, and sums must stay within 64 bits."""
    return None if size is None else min(max(size, 0), _LARGEST)


def seen(journal: Journal, document: int, pk: int, owner: Document, version: Version) -> None:
    """Log a version's first sight: from here on its pk stands for this reference."""
    data = {"ref": str(owner.version_ref(version))} | _content(version)
    journal.add("seen", document=document, version=pk, new=State.SEEN, data=data)


def _fixed(row: Row[Any]) -> bool:
    """Whether the version's original was removed by us: what the CRM shows in its place changes nothing here."""
    state = State(row.state)
    return state is not State.SEEN and not legal(state, State.SEEN)


def _content(version: Version) -> dict[str, Any]:
    checksum = version.checksum
    return {
        "size": version.size,
        "checksum": f"{checksum.algorithm}:{checksum.hex}" if checksum else None,
        "etag": version.etag,
    }


def same_bytes(one: Version, other: Version) -> bool:
    """Whether the CRM itself vouches for equal bytes."""
    return one.checksum is not None and one.checksum == other.checksum and one.size == other.size


def next_pk(connection: Connection, column: Any) -> int:
    return int(connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()) + 1
