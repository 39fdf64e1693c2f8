"""The archive of purged records: JSON Lines in a permitted store, with the fields' metadata, read back before use.

A segment begins with the types that occur in it, as the CRM described them; then comes a line per record with
everything that goes with it. It is named by its own SHA-256, so that the same records archived twice are one segment,
and one that was edited is found out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from offloader.disposition.families import Family, Member
from offloader.errors import IntegrityError
from offloader.ports import Store
from offloader.records import Child, FieldType, OnDelete, Record, RecordRef, RecordType

FORMAT = "offloader-records-1"
PREFIX = "archive/"
#: bytes after which a new segment begins
SEGMENT = 8 << 20
_PLAIN = re.compile(r"[A-Za-z0-9_]{1,100}")
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Segment:
    """A written segment: its key, the SHA-256 of its bytes, the stores that hold it, whose families are in it."""

    key: str
    sha256: str
    size: int
    stores: tuple[str, ...]
    refs: tuple[RecordRef, ...] = ()

    def detail(self, *, deleting: bool = False) -> str:
        """What an act remembers of it; `deleting`: the call that deletes the record may have been made."""
        value = {"segment": self.key, "sha256": self.sha256, "size": self.size, "stores": list(self.stores)}
        return _encode({**value, "deleting": True} if deleting else value)

    @classmethod
    def from_detail(cls, text: str) -> Segment | None:
        """The segment that `detail` told of; None if the text is none."""
        try:
            value = json.loads(text)
            return cls(value["segment"], value["sha256"], value["size"], tuple(value["stores"]))
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Archived:
    """A segment that was read: its types by name, and its families."""

    types: Mapping[str, RecordType]
    families: tuple[Family, ...] = field(default=())


def write(
    stores: Mapping[str, Store], names: Sequence[str], families: Sequence[Family], types: Mapping[str, RecordType]
) -> Iterator[Segment]:
    """Write families of one source and type into these stores, and read each segment back.

    Raises IntegrityError if a store does not give back what was written, and what the store raises.
    """
    for chunk in _chunks(families):
        lines = [_family_line(family) for family in chunk]
        occurring = sorted({record.ref.type for family in chunk for record in family.records})
        ref = chunk[0].root.ref
        body = b"".join([_head(ref.source, [types[name] for name in occurring]), *lines])
        sha256 = hashlib.sha256(body).hexdigest()
        key = f"{PREFIX}{ref.source}/{_folder(ref.type)}/{sha256[:32]}.jsonl"
        segment = Segment(key, sha256, len(body), tuple(names), tuple(family.root.ref for family in chunk))
        for name in names:
            stores[name].put(key, [body], size=len(body))
            check(stores[name], segment)
        yield segment


def check(store: Store, segment: Segment) -> None:
    """Raise IntegrityError unless the store gives back the segment's very bytes."""
    found = store.stat(segment.key)
    if found is None or (found.sha256, found.size) != (segment.sha256, segment.size):
        said = "is not there" if found is None else "is not what was written"
        raise IntegrityError(f"{segment.key} in the store {store.name} {said}")


def read(store: Store, segment: Segment) -> Archived:
    """A segment's families. Raises IntegrityError, naming it, if it is damaged, cut or edited; Gone if not there."""
    body = b"".join(store.read(segment.key))
    if hashlib.sha256(body).hexdigest() != segment.sha256:
        raise IntegrityError(f"{segment.key} in the store {store.name} is not what was written")
    try:
        head, *lines = (json.loads(line) for line in body.splitlines())
        if head["format"] != FORMAT:
            raise ValueError(f"the format {head['format']!r} is not known")
        types = {each["name"]: _type(each) for each in head["types"]}
        return Archived(types, tuple(_family(head["source"], line) for line in lines))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{segment.key} in the store {store.name} cannot be read: {error}") from error


def _chunks(families: Sequence[Family]) -> Iterator[list[Family]]:
    """Families in parts that make segments of a bearable size."""
    chunk: list[Family] = []
    size = 0
    for family in families:
        chunk.append(family)
        size += len(_family_line(family))
        if size >= SEGMENT:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _folder(type_: str) -> str:
    return type_ if _PLAIN.fullmatch(type_) else hashlib.sha256(type_.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _head(source: str, types: Iterable[RecordType]) -> bytes:
    value = {"format": FORMAT, "source": source, "types": [asdict(each) for each in types]}
    return _encode(value).encode("ascii") + b"\n"


def _family_line(family: Family) -> bytes:
    value = {
        **_record_fields(family.root),
        "with": [
            {**_record_fields(each.record), "parent": [each.parent.type, each.parent.id], "by": each.field}
            for each in family.members
        ],
    }
    return _encode(value).encode("ascii") + b"\n"


def _record_fields(record: Record) -> dict[str, Any]:
    return {
        "type": record.ref.type,
        "id": record.ref.id,
        "etag": record.etag,
        "modified": record.modified.isoformat() if record.modified else None,
        "label": record.label,
        "fields": dict(record.fields),
    }


def _family(source: str, value: Mapping[str, Any]) -> Family:
    members = [Member(_record(source, each), RecordRef(source, *each["parent"]), each["by"]) for each in value["with"]]
    return Family(_record(source, value), members)


def _record(source: str, value: Mapping[str, Any]) -> Record:
    modified = value["modified"]
    return Record(
        ref=RecordRef(source, value["type"], value["id"]),
        etag=value["etag"],
        modified=datetime.fromisoformat(modified) if modified else None,
        fields=value["fields"],
        label=value["label"],
    )


def _type(value: Mapping[str, Any]) -> RecordType:
    automation = value["automation"]
    return RecordType(
        name=value["name"],
        label=value["label"],
        fields=tuple(FieldType(**{**each, "refers_to": tuple(each["refers_to"])}) for each in value["fields"]),
        children=tuple(Child(**{**each, "on_delete": OnDelete(each["on_delete"])}) for each in value["children"]),
        automation=None if automation is None else tuple(automation),
        bin_days=value["bin_days"],
        creatable=value["creatable"],
    )
