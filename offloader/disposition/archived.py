"""A data subject in the archives of purged records: found there, and taken out of the segments.

What remains of a segment is written first, then the acts of the purge that lead to it are pointed at the new one, and
only then the old one is erased.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from offloader.audit import canonical
from offloader.disposition.archive import PREFIX, Segment
from offloader.disposition.held import HeldRecords
from offloader.disposition.subjects import Subject
from offloader.errors import IntegrityError
from offloader.ledger.disposing import ActStep
from offloader.moves.site import Site
from offloader.moves.tombstoned import subject_mark
from offloader.ports import Lock, Store
from offloader.records import Record, RecordRef


@dataclass(frozen=True, slots=True)
class Trace:
    """An archived record that may be about the subject. `sure`: it is one of the subject's own records.

    `why`: "record", "record of another" (one of the subject's went with it), "name".
    """

    ref: RecordRef
    why: str

    @property
    def sure(self) -> bool:
        return self.why == "record"


def record_mark(site: Site, ref: RecordRef) -> str:
    """The keyed hash by which a plan names an archived record."""
    return subject_mark(site.links, f"record {ref}")


def search_archives(site: Site, subject: Subject) -> list[Trace]:
    """Read every archived record of the subject's source. Raises IntegrityError naming a segment that is damaged."""
    found: dict[RecordRef, Trace] = {}
    words = [word.casefold() for word in (*subject.emails, *subject.names)]
    for store in site.stores.values():
        for key in _keys(store, subject.source):
            for line in _lines(store, key)[1:]:
                ref, why = _ref(subject.source, line), _why(json.loads(line), subject, words)
                if why and ref not in found:
                    found[ref] = Trace(ref, why)
    return [found[ref] for ref in sorted(found)]


def holds_on(held: HeldRecords, ref: RecordRef) -> tuple[str, ...]:
    """Ids of the holds on an archived record."""
    return held.covering(Record(ref=ref, etag="", modified=None, fields={}), (), {})


def strip(site: Site, source: str, refs: Collection[RecordRef]) -> list[dict[str, Any]]:
    """Take these records, with all that went with them, out of every store's archive; says what became of segments."""
    found = []
    for name, store in sorted(site.stores.items()):
        for key in _keys(store, source):
            lines = _lines(store, key)
            keep = [line for line in lines[1:] if _ref(source, line) not in refs]
            if len(keep) + 1 == len(lines):
                continue
            _replace(site, store, key, source, lines, keep)
            erased = store.erase(key)
            found.append(
                {
                    "store": name,
                    "key": key,
                    "at": site.context.now().isoformat(),
                    "gone": store.size(key) is None,
                    "left": [_lock(lock) for lock in erased.left],
                }
            )
    return found


def _replace(site: Site, store: Store, key: str, source: str, lines: list[bytes], keep: list[bytes]) -> None:
    body = b"".join(line + b"\n" for line in (lines[0], *keep))
    sha256 = hashlib.sha256(body).hexdigest()
    name = f"{key.rsplit('/', 1)[0]}/{sha256[:32]}.jsonl"
    if keep:
        store.put(name, [body], size=len(body))
    for line in lines[1:]:
        for plan, act in site.ledger.acts_about(str(_ref(source, line))):
            old = Segment.from_detail(act.detail)
            if old is not None and old.key == key:
                # what the act remembers of a deletion or a restore under way is kept: neither is done twice
                new = {**json.loads(act.detail), "segment": name, "sha256": sha256, "size": len(body)}
                site.ledger.advance_acts(plan, [ActStep(act.seq, act.state, canonical(new) if line in keep else "")])


def _keys(store: Store, source: str) -> Iterator[str]:
    yield from [key for key, _ in store.list(f"{PREFIX}{source}/") if key.endswith(".jsonl")]


def _lines(store: Store, key: str) -> list[bytes]:
    body = b"".join(store.read(key))
    if hashlib.sha256(body).hexdigest()[:32] != key.rsplit("/", 1)[1].partition(".")[0]:
        raise IntegrityError(f"{key} in the store {store.name} is not what was written")
    return body.splitlines()


def _ref(source: str, line: bytes) -> RecordRef:
    value = json.loads(line)
    return RecordRef(source, value["type"], value["id"])


def _why(value: Any, subject: Subject, words: list[str]) -> str:
    if f"{value['type']}:{value['id']}" in subject.records:
        return "record"
    if any(f"{each['type']}:{each['id']}" in subject.records for each in value["with"]):
        return "record of another"
    text = json.dumps(value, ensure_ascii=False).casefold()
    return "name" if any(word in text for word in words) else ""


def _lock(lock: Lock) -> dict[str, Any]:
    return {"reason": lock.reason, "until": lock.until.isoformat() if lock.until else None}
