"""Terms that move: a date in the CRM with which a term begins is another one now.

A longer term reaches the locks of the stored copies at once. A shorter one shortens no lock, and nothing goes by it
before a person has said that it is right: a date that was typed wrong must not take a document away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from offloader.errors import AuthError, ConfigError, Exhausted, OffloaderError
from offloader.ledger import Entry
from offloader.model import Document, Retention, State
from offloader.moves.pages import pages
from offloader.moves.report import sentence
from offloader.moves.restore import find
from offloader.moves.retaining import lock_end
from offloader.moves.site import Site
from offloader.ports import Target

#: events about a document: its term moved; a person took the shorter one for right
MOVED, ACCEPTED = "term", "term-accepted"
#: key in the ledger of the policy under which all locks of a source were last set
_UNDER = "terms_under:{}"
_PAGE = 1000
_STOPPING = (AuthError, Exhausted)


@dataclass(slots=True)
class Moved:
    """How many terms are longer now and how many shorter; what could not be locked, in words."""

    longer: int = 0
    shorter: int = 0
    problems: list[str] = field(default_factory=list)


def follow(
    site: Site, entries: Sequence[Entry], targets: Sequence[Target], moved: Moved | None = None
) -> dict[int, Entry]:
    """The documents by their numbers, with their parents' signals as the CRM has them now.

    What a record that is not there any more said last goes on counting. A source that cannot look leaves them as they
    are. Locks are made longer before the ledger learns of the new date: killed in between, it is done again. Where a
    lock cannot be made longer now, the ledger keeps the old signals, and the answer has the new ones.
    """
    moved = Moved() if moved is None else moved
    found = {entry.pk: entry for entry in entries}
    for name in sorted({entry.document.ref.source for entry in entries}):
        source = site.sources[name]
        mine = [entry for entry in entries if entry.document.ref.source == name]
        if not source.capabilities.refresh:
            continue
        learned: dict[int, Document] = {}
        for entry, said in zip(mine, source.refresh([entry.document for entry in mine]), strict=True):
            now = _with_signals(entry.document, said)
            if now == entry.document:
                continue
            found[entry.pk] = replace(entry, document=now)
            if _settle(site, entry, now, targets, moved):
                learned[entry.pk] = now
        site.ledger.refresh_signals(learned)
    return found


def _with_signals(document: Document, said: Document) -> Document:
    signals = {(parent.type, parent.id): parent.signals for parent in said.parents}
    parents = [replace(each, signals=signals.get((each.type, each.id)) or each.signals) for each in document.parents]
    return document if parents == list(document.parents) else replace(document, parents=tuple(parents))


def _settle(site: Site, entry: Entry, now: Document, targets: Sequence[Target], moved: Moved) -> bool:
    """Do and note what follows from the new signals; false if a lock could not be made longer."""
    before, after = (_retention(site, document, targets) for document in (entry.document, now))
    was, is_ = before.keep_until, after.keep_until
    if was == is_:
        return True
    shorter = was is not None and (is_ is None or is_ < was)
    locked: list[str] = []
    if is_ is not None and not shorter and not after.conflict:
        try:
            locked = _lock(site, entry, is_)
        except _STOPPING:
            raise
        except OffloaderError as error:
            moved.problems.append(f"{entry.document.ref}: its lock is not longer yet: {sentence(error)}")
            return False
    moved.shorter += shorter
    moved.longer += not shorter
    site.ledger.record_event(MOVED, document=entry.pk, data={"was": _day(was), "is": _day(is_), "locked": locked})
    return True


def _retention(site: Site, document: Document, targets: Sequence[Target]) -> Retention:
    policy = site.policies[document.ref.source]
    return policy.decide(document, targets, site.context.now()).retention or Retention()


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _lock(site: Site, entry: Entry, keep_until: date) -> list[str]:
    """Lock every copy through this day, in the stores that ask for it; gives these stores."""
    end, stores = lock_end(keep_until, site.context.now()), set()
    for copy in (copy for version in entry.versions for copy in version.copies):
        store = site.stores.get(copy.store)
        if end is not None and store is not None and store.capabilities.retains:
            store.retain(copy.key, end)
            stores.add(copy.store)
    return sorted(stores)


def follow_all(site: Site, sources: Collection[str]) -> Moved:
    """Follow the terms of all moved documents of these sources that have any. After a change of its policy, the locks
    of a source's documents are all made as long as it says now."""
    moved, targets = Moved(), site.targets()
    renewed = {name for name in sources if site.ledger.meta(_UNDER.format(name)) != site.policies[name].fingerprint}
    for entries in pages(site, {State.DONE}, size=_PAGE):
        mine = [entry for entry in entries if entry.document.ref.source in sources and entry.link is not None]
        kept = {entry.pk: _retention(site, entry.document, targets) for entry in mine}
        for entry in mine:
            terms = kept[entry.pk]
            if terms.keep_until is not None and not terms.conflict and entry.document.ref.source in renewed:
                _renew(site, entry, terms.keep_until, moved)
        follow(site, [entry for entry in mine if kept[entry.pk] != Retention()], targets, moved)
    for name in sorted(renewed) if not moved.problems else ():
        site.ledger.set_meta(_UNDER.format(name), site.policies[name].fingerprint)
    return moved


def _renew(site: Site, entry: Entry, day: date, moved: Moved) -> None:
    try:
        _lock(site, entry, day)
    except _STOPPING:
        raise
    except OffloaderError as error:
        moved.problems.append(f"{entry.document.ref}: its lock is not longer yet: {sentence(error)}")


def promised(site: Site, pk: int) -> date | None:
    """The latest day until which the CRM once said that a document must be kept, where it has said less since, and no
    person has taken that for right."""
    days: set[date] = set()
    for data in _said(site, pk):
        if data is None:
            days.clear()
        elif data["was"] is not None and (data["is"] is None or data["is"] < data["was"]):
            days.add(date.fromisoformat(data["was"]))
    return max(days, default=None)


def _said(site: Site, pk: int) -> Iterable[Mapping[str, Any] | None]:
    """What the log says of a document's term, in order; None for a person's word."""
    after = 0
    while page := site.ledger.events(document=pk, after=after):
        after = page[-1].seq
        yield from (event.data if event.type == MOVED else None for event in page if event.type in (MOVED, ACCEPTED))


def accept(site: Site, name: str, reason: str, *, key: str | None = None) -> date:
    """A person says that the shorter term of a document is right; gives the day that counted until now.

    Raises Gone for an unknown document, ConfigError for an empty reason or where no shorter term waits, Refused if
    nobody of the configuration is at work.
    """
    if not reason.strip():
        raise ConfigError("say why: an empty reason is none")
    entry = find(site, name)
    day = promised(site, entry.pk)
    if day is None:
        raise ConfigError(f"{entry.document.ref} has no shorter term that waits for a person")
    speaker = site.people.speaker(site.context.account, key)
    statement = {
        "type": ACCEPTED,
        "document": str(entry.document.ref),
        "was": day.isoformat(),
        "person": speaker.name,
        "proof": speaker.proof,
        "reason": reason.strip(),
        "at": site.context.now().isoformat(),
    }
    data = {**statement, "signature": speaker.sign(statement)}
    site.ledger.record_event(ACCEPTED, document=entry.pk, data=data)
    return day
