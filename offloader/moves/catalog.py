"""The catalog: what is stored, and what became of it, kept in the stores beside the blobs.

Three sorts of segments, each named by its own SHA-256, so that the same batch written twice is one segment, and one
that was edited is found out:

- `.jsonl`: documents with all that is needed to put them back, one a line, written before an original is removed
- `.sha256`: the same versions, as a list that `sha256sum -c` checks from the store's root
- `.states`: what became of documents, one a line, written after the act
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from offloader.errors import IntegrityError
from offloader.ledger import Copy
from offloader.model import Checksum, Digest, Document, DocumentRef, Held, Link, Parent, State, Strategy, Version
from offloader.ports import Store

FORMAT = "offloader-catalog-1"
STATES_FORMAT = "offloader-states-1"
PREFIX = "catalog/"
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Described:
    """A line of the catalog: a document, its link, and where in this store each of its versions lies."""

    document: Document
    link: Link
    copies: Mapping[str, Copy]

    @property
    def written(self) -> str:
        """When the youngest of its copies was proven, for telling which of two lines is the newer one."""
        return max((_time(copy.verified_at) or "" for copy in self.copies.values()), default="")


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a document: its state, what the source calls its link, when, and as what it stands in the CRM
    again, if it was restored."""

    ref: DocumentRef
    state: State
    link_ref: Mapping[str, str]
    at: str
    document: Document | None = None


def write_segments(
    stores: Mapping[str, Store], batch: Iterable[tuple[Document, Link, Sequence[tuple[Version, Copy]]]]
) -> None:
    """Describe a batch of verified documents in the stores that hold them, before any original is removed."""
    lines: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    sums: dict[tuple[str, str], list[str]] = defaultdict(list)
    for document, link, copies in batch:
        for store in {copy.store for _, copy in copies}:
            there = [(version, copy) for version, copy in copies if copy.store == store]
            lines[store, document.ref.source].append(_line(document, link, there))
            sums[store, document.ref.source].extend(f"{copy.held_sha256}  {copy.key}\n" for _, copy in there)
    for (store, source), written in lines.items():
        body = b"".join(written)
        name = _name(source, body)
        stores[store].put(f"{name}.jsonl", [body])
        stores[store].put(f"{name}.sha256", ["".join(sums[store, source]).encode("ascii")])


def write_states(
    stores: Mapping[str, Store],
    batch: Iterable[tuple[DocumentRef, Mapping[str, str], Iterable[str]]],
    state: State,
    now: datetime,
    restored: Mapping[DocumentRef, Document] | None = None,
) -> None:
    """Note in the stores what became of documents: reference, link_ref, and the stores that hold it.

    `restored` has those that stand in the CRM again, by the reference that they had.
    """
    lines: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for ref, link_ref, held_by in batch:
        value = {
            "format": STATES_FORMAT,
            "source": ref.source,
            "kind": ref.kind,
            "id": ref.id,
            "state": state.value,
            "link_ref": dict(link_ref),
            "at": now.isoformat(),
        }
        if restored and ref in restored:
            value["as"] = _document_fields(restored[ref], [_version_fields(each) for each in restored[ref].versions])
        for store in set(held_by):
            lines[store, ref.source].append(_encode(value).encode("ascii") + b"\n")
    for (store, source), written in lines.items():
        body = b"".join(written)
        stores[store].put(f"{_name(source, body)}.states", [body])


def read_segment(store: Store, key: str) -> Iterator[Described | Became]:
    """The lines of a segment. Raises IntegrityError, naming it, if it is damaged, cut or edited."""
    body = b"".join(store.read(key))
    source, _, name = key.removeprefix(PREFIX).rpartition("/")
    stem, _, suffix = name.partition(".")
    if f"{PREFIX}{source}/{stem}" != _name(source, body):
        raise IntegrityError(
            f"{key} in the store {store.name} is not what was written: its name does not fit its bytes"
        )
    try:
        for line in body.splitlines():
            value = json.loads(line)
            yield _became(value) if suffix == "states" else _described(value, store.name)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{key} in the store {store.name} has a line that cannot be read: {error}") from error


def _name(source: str, body: bytes) -> str:
    return f"{PREFIX}{source}/{hashlib.sha256(body).hexdigest()[:32]}"


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _when(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _line(document: Document, link: Link, copies: Sequence[tuple[Version, Copy]]) -> bytes:
    versions = [{**_version_fields(version), **_copy_fields(copy)} for version, copy in copies]
    value = {
        "format": FORMAT,
        "link": {"id": link.id, "url": link.url},
        **_document_fields(document, versions),
    }
    # ASCII only: names that are no valid Unicode survive, and any editor can show the file.
    return _encode(value).encode("ascii") + b"\n"


def _document_fields(document: Document, versions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "source": document.ref.source,
        "kind": document.ref.kind,
        "id": document.ref.id,
        "title": document.title,
        "owner": document.owner,
        "created": _time(document.created),
        "modified": _time(document.modified),
        "strategy": document.strategy.value,
        "etag": document.etag,
        "extra": dict(document.extra),
        "parents": [
            {"type": p.type, "id": p.id, "signals": dict(p.signals), "sharing": dict(p.sharing)}
            for p in document.parents
        ],
        "versions": versions,
    }


def _version_fields(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "number": version.number,
        "name": version.name,
        "mime": version.mime,
        "etag": version.etag,
        "current": version.current,
        "created": _time(version.created),
        "modified": _time(version.modified),
        "extra": dict(version.extra),
        # as the CRM described it
        "crm_size": version.size,
        "crm_size_slack": version.size_slack,
        "crm_checksum": [version.checksum.algorithm, version.checksum.hex] if version.checksum else None,
    }


def _copy_fields(copy: Copy) -> dict[str, Any]:
    return {
        "size": copy.digest.size,
        "sha256": copy.digest.sha256,
        "md5": copy.digest.md5,
        "key": copy.key,
        "verified": _time(copy.verified_at),
        "held": {"size": copy.held.size, "sha256": copy.held.sha256, "form": copy.held.form} if copy.held else None,
    }


def _described(value: Mapping[str, Any], store: str) -> Described:
    if value["format"] != FORMAT:
        raise ValueError(f"the format {value['format']!r} is not known")
    copies = {
        each["id"]: Copy(
            store,
            each["key"],
            Digest(each["size"], each["sha256"], each["md5"]),
            _when(each["verified"]),
            Held(**each["held"]) if each["held"] else None,
        )
        for each in value["versions"]
    }
    return Described(_document(value), Link(value["link"]["id"], value["link"]["url"]), copies)


def _document(value: Mapping[str, Any]) -> Document:
    return Document(
        ref=DocumentRef(value["source"], value["kind"], value["id"]),
        title=value["title"],
        versions=tuple(_version(each) for each in value["versions"]),
        parents=tuple(Parent(**each) for each in value["parents"]),
        owner=value["owner"],
        created=_when(value["created"]),
        modified=_when(value["modified"]),
        strategy=Strategy(value["strategy"]),
        etag=value["etag"],
        extra=value["extra"],
    )


def _version(each: Mapping[str, Any]) -> Version:
    return Version(
        id=each["id"],
        number=each["number"],
        name=each["name"],
        size=each["crm_size"],
        size_slack=each["crm_size_slack"],
        mime=each["mime"],
        checksum=Checksum(*each["crm_checksum"]) if each["crm_checksum"] else None,
        created=_when(each["created"]),
        modified=_when(each["modified"]),
        current=each["current"],
        etag=each["etag"],
        extra=each["extra"],
    )


def _became(value: Mapping[str, Any]) -> Became:
    if value["format"] != STATES_FORMAT:
        raise ValueError(f"the format {value['format']!r} is not known")
    ref = DocumentRef(value["source"], value["kind"], value["id"])
    stands = _document(value["as"]) if "as" in value else None
    return Became(ref, State(value["state"]), value["link_ref"], value["at"], stands)
