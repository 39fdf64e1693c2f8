"""Whom a request is about, and every document that may be about them, each with why it was found.

A record's document is found by its parents; an e-mail address or a name by titles, file names, signals and what the
catalogs say. Only the first is sure: two people may share a name, and a document may hang on other people too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from offloader.audit import canonical
from offloader.errors import ConfigError
from offloader.ledger import Entry
from offloader.ledger.erasing import RequestRow
from offloader.model import Document, DocumentRef, State
from offloader.moves.catalog import PREFIX, Described, read_segment
from offloader.moves.site import Site
from offloader.moves.tombstoned import subject_mark

_PAGE = 500
#: shortest word that is looked for: anything shorter is in every title
_SHORTEST = 3
#: bytes that more documents have say nothing about one person: a logo, a form
_COMMON = 20
OPEN = ("open", "held")


@dataclass(frozen=True, slots=True)
class Subject:
    """A data subject: records of one source as TYPE:ID, e-mail addresses, names."""

    source: str
    records: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "records": list(self.records),
            "emails": list(self.emails),
            "names": list(self.names),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Subject:
        return cls(value["source"], *(tuple(value[name]) for name in ("records", "emails", "names")))

    def mark(self, site: Site) -> str:
        """The keyed hash by which certificates and requests name the subject: of the records, else of the rest."""
        parts = {"source": self.source, "records": sorted(self.records)}
        if not self.records:
            parts |= {"emails": sorted(self.emails), "names": sorted(self.names)}
        return subject_mark(site.links, canonical(parts))


def subject_of(
    site: Site,
    records: Collection[str],
    *,
    source: str = "",
    emails: Collection[str] = (),
    names: Collection[str] = (),
) -> Subject:
    """The subject that somebody named. Raises ConfigError saying what is missing or cannot be understood."""
    if not source:
        if len(site.sources) != 1:
            raise ConfigError(f"say with --source whose records these are: {', '.join(sorted(site.sources))}")
        source = next(iter(site.sources))
    if source not in site.sources:
        raise ConfigError(f"there is no source {source!r}; there are {', '.join(sorted(site.sources))}")
    for each in records:
        type_, _, name = each.partition(":")
        if not type_ or not name:
            raise ConfigError(f"a record is named TYPE:ID, as in Contact:003000000000001; {each!r} is not")
    for each in (*emails, *names):
        if len(each.strip()) < _SHORTEST:
            raise ConfigError(f"{each!r} is too short to be looked for")
    if not (records or emails or names):
        raise ConfigError("say who it is about: records as TYPE:ID, --email or --name")
    return Subject(source, *(tuple(sorted({each.strip() for each in group})) for group in (records, emails, names)))


@dataclass(slots=True)
class Hit:
    """A document that may be about the subject. `why`: "record", "title", "file name", "signal country", "catalog",
    "same bytes" (as a document that hangs on a record of the subject).

    `others` are records of others that it hangs on as well, TYPE:ID. `sure`: it hangs on a record of the subject.
    """

    entry: Entry
    why: list[str] = field(default_factory=list)
    others: tuple[str, ...] = ()
    sure: bool = False


@dataclass(slots=True)
class Search:
    """Everything that was found. `strays`: lines of catalogs about documents that the ledger does not know."""

    hits: list[Hit] = field(default_factory=list)
    strays: list[tuple[str, str, DocumentRef]] = field(default_factory=list)


def search(site: Site, subject: Subject) -> Search:
    """Look through the ledger and through every store's catalog. Reads no bytes of documents.

    Raises IntegrityError naming a segment of a catalog that is damaged: what cannot be read cannot be called searched.
    """
    found: dict[int, Hit] = {}
    for entry in _entries(site, subject.source):
        why = _why(entry.document, subject)
        if why:
            found[entry.pk] = _hit(entry, why, subject)
    result = Search()
    for store, key, document in _described(site, subject):
        known = site.ledger.entry(document.ref)
        if known is None:
            result.strays.append((store, key, document.ref))
            continue
        if _erased(known):
            continue
        hit = found.setdefault(known.pk, _hit(known, [], subject))
        if "catalog" not in hit.why:
            hit.why.append("catalog")
    for entry in _with_same_bytes(site, [hit.entry for hit in found.values() if hit.sure]):
        found.setdefault(entry.pk, _hit(entry, ["same bytes"], subject))
    result.hits = [found[pk] for pk in sorted(found)]
    return result


def _with_same_bytes(site: Site, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Documents of these entries' sources with bytes that one of them has too, unless very many have them."""
    for entry in entries:
        sums = {copy.digest.sha256 for version in entry.versions for copy in version.copies}
        for sha256 in sorted(sums):
            pks = site.ledger.holders([sha256])
            if len(pks) <= _COMMON:
                others = site.ledger.entries_by_pk([pk for pk in pks if pk != entry.pk])
                yield from (each for each in others if each.document.ref.source == entry.document.ref.source)


def _entries(site: Site, source: str) -> Iterator[Entry]:
    after = 0
    while page := site.ledger.entries(source=source, after=after, limit=_PAGE):
        after = page[-1].pk
        yield from (entry for entry in page if not _erased(entry))


def _erased(entry: Entry) -> bool:
    return bool(entry.versions) and all(version.state is State.ERASED for version in entry.versions)


def _hit(entry: Entry, why: list[str], subject: Subject) -> Hit:
    parents = [f"{parent.type}:{parent.id}" for parent in entry.document.parents]
    others = tuple(sorted({each for each in parents if each not in subject.records}))
    return Hit(entry, why, others, any(each in subject.records for each in parents))


def _described(site: Site, subject: Subject) -> Iterator[tuple[str, str, Document]]:
    """Documents of catalogs that name the subject, with the store and the segment that does."""
    for name, store in site.stores.items():
        for key, _ in store.list(f"{PREFIX}{subject.source}/"):
            if key.endswith(".jsonl"):
                for line in read_segment(store, key):
                    if isinstance(line, Described) and _why(line.document, subject):
                        yield name, key, line.document


def _why(document: Document, subject: Subject) -> list[str]:
    why = []
    if any(f"{parent.type}:{parent.id}" in subject.records for parent in document.parents):
        why.append("record")
    words = [word.casefold() for word in (*subject.emails, *subject.names)]
    if words:
        why += [place for place, text in _texts(document) if any(word in text.casefold() for word in words)]
    return list(dict.fromkeys(why))


def _texts(document: Document) -> Iterator[tuple[str, str]]:
    yield "title", document.title
    for version in document.versions:
        yield "file name", version.name
    for parent in document.parents:
        for name, value in parent.signals.items():
            yield f"signal {name}", value
    for details in (document.extra, *(version.extra for version in document.versions)):
        yield "details", json.dumps(dict(details), ensure_ascii=False)


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or the last day of that month (Regulation 1182/71, Article 3)."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month, last)
        except ValueError:
            continue
    raise ValueError(f"no day {months} months after {day}")


def receive(site: Site, kind: str, subject: Subject, received: date | None = None, ground: str = "") -> RequestRow:
    """The open request of this kind about the subject, or a new one that was received that day (today).

    An answer is due within one month (GDPR Article 12(3)). `ground`: the letter of Article 17(1) that it rests on; one
    that is given later counts from then on. Raises ConfigError for a day that is still to come.
    """
    today = site.context.now().date()
    mark = subject.mark(site)
    for row in site.ledger.requests():
        if row.kind == kind and row.subject_mark == mark and row.state in OPEN:
            return _grounded(site, row, ground)
    day = received or today
    if day > today:
        raise ConfigError(f"a request that was received on {day} is still to come")
    draft = RequestRow(
        kind=kind,
        subject_mark=mark,
        subject=subject.as_json(),
        received=day,
        due=add_months(day, 1),
        detail={"ground": ground} if ground else {},
    )
    return request_of(site, site.ledger.save_request(draft))


def _grounded(site: Site, row: RequestRow, ground: str) -> RequestRow:
    if not ground or row.detail.get("ground") == ground:
        return row
    row = replace(row, detail={**row.detail, "ground": ground})
    site.ledger.save_request(row)
    return row


def request_of(site: Site, name: str) -> RequestRow:
    """The request of this id. Raises ConfigError if there is none."""
    for row in site.ledger.requests():
        if row.id == name:
            return row
    raise ConfigError(f"there is no request {name!r}; `offloader erase status` lists them")


def days_left(row: RequestRow, today: date) -> int:
    """Days until an answer is due; negative if it is late."""
    return (row.due - today) // timedelta(days=1)
