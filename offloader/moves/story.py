"""The whole story of one document: what the records say, what the policy makes of it and why, and all that happened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from offloader.errors import ConfigError
from offloader.ledger import Entry, Event
from offloader.model import Decision, DocumentRef
from offloader.moves.holding import Holds
from offloader.moves.site import Site
from offloader.ports import Target

_LINK = re.compile(r"(?:https?://\S+/d/)?([0-9a-f]{32})/?")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Considered:
    """A store that was considered, and why it was not chosen (empty: it was)."""

    store: str
    countries: tuple[str, ...]
    assurance: str
    chosen: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class Story:
    """One document as it stands now. `decision` is what the policy and the holds say, with the proofs of today."""

    entry: Entry
    decision: Decision
    stores: tuple[Considered, ...]
    #: ids of standing holds that cover it
    holds: tuple[str, ...]
    events: tuple[Event, ...]


def find(site: Site, text: str) -> Entry:
    """The document that a person names: its link, SOURCE/KIND/ID, or its id alone.

    Raises ConfigError if the ledger knows none, or several.
    """
    link = _LINK.fullmatch(text)
    if link and (by_link := site.ledger.by_link(link[1])):
        return by_link
    parts = text.split("/", 2)
    if len(parts) == 3:
        entry = site.ledger.entry(DocumentRef(*parts))
        if entry is None:
            raise ConfigError(f"the ledger knows no document {text}; has it been scanned?")
        return entry
    places = {(source, kind) for source, kind, _ in site.ledger.tally()}
    found = [entry for place in sorted(places) if (entry := site.ledger.entry(DocumentRef(*place, text)))]
    if len(found) != 1:
        known = ", ".join(str(entry.document.ref) for entry in found)
        why = f"several are called so: {known}" if found else "name it as SOURCE/KIND/ID, by its id or by its link"
        raise ConfigError(f"the ledger knows no document {text!r}; {why}")
    return found[0]


def tell(site: Site, entry: Entry) -> Story:
    """Put together what is known of a document. Changes nothing."""
    targets, now = site.targets(), site.context.now()
    holds = Holds.of(site)
    decision = site.policies[entry.document.ref.source].decide(entry.document, targets, now)
    return Story(
        entry=entry,
        decision=holds.decision(entry, decision),
        stores=tuple(_considered(target, decision, now) for target in targets),
        holds=holds.covering(entry),
        events=tuple(_events(site, entry.pk)),
    )


def _events(site: Site, document: int) -> Iterator[Event]:
    after = 0
    while page := site.ledger.events(after=after, limit=_PAGE, document=document):
        yield from page
        after = page[-1].seq


def _considered(target: Target, decision: Decision, now: datetime) -> Considered:
    found = tuple(sorted(target.proof.countries))
    chosen = target.store in decision.stores
    return Considered(
        target.store, found, target.proof.assurance.value, chosen, "" if chosen else _why_not(target, decision, now)
    )


def _why_not(target: Target, decision: Decision, now: datetime) -> str:
    outside = [place for place in sorted(target.proof.countries) if not _inside(place, decision.countries)]
    if not decision.countries:
        return "no place was looked for"
    if outside:
        return f"{', '.join(outside)} {'is' if len(outside) == 1 else 'are'} not permitted"
    if not target.proof.usable_at(now):
        return f"no current proof of its place ({target.proof.summary})"
    return "another store was chosen first" if decision.store else "permitted, but the decision is not to move"


def _inside(place: str, permitted: frozenset[str]) -> bool:
    return place in permitted or place.partition("-")[0] in permitted


def value(story: Story, *, names: bool) -> dict[str, Any]:
    """The story as JSON-able values. Titles and file names are personal data: only with `names`."""
    entry, decision = story.entry, story.decision
    document = entry.document
    return {
        "document": str(document.ref),
        "name": document.title if names else None,
        "created": _iso(document.created),
        "modified": _iso(document.modified),
        "bytes": document.size,
        "deleted": entry.deleted,
        "parents": [
            {"type": parent.type, "id": parent.id, "signals": dict(parent.signals)} for parent in document.parents
        ],
        "versions": [
            {
                "id": version.version.id,
                "number": version.version.number,
                "name": version.version.name if names else None,
                "bytes": version.version.size,
                "state": version.state.value,
                "detail": version.detail,
                "copies": [
                    {"store": copy.store, "key": copy.key, "sha256": copy.digest.sha256} for copy in version.copies
                ],
            }
            for version in entry.versions
        ],
        "link": entry.link.url if entry.link else None,
        "decision": decision_value(decision),
        "stores": [asdict(store) for store in story.stores],
        "holds": list(story.holds),
        "events": [_event_value(event) for event in story.events],
    }


def decision_value(decision: Decision) -> dict[str, Any]:
    kept = decision.retention
    return {
        "verdict": decision.verdict.value,
        "code": decision.code,
        "store": decision.store,
        "copies": list(decision.copies),
        "countries": sorted(decision.countries),
        "jurisdictions": list(decision.jurisdictions),
        "categories": list(decision.categories),
        "clauses": list(decision.clauses),
        "bases": list(decision.bases),
        "keep_until": kept.keep_until.isoformat() if kept and kept.keep_until else None,
        "erase_by": kept.erase_by.isoformat() if kept and kept.erase_by else None,
        "retention": list(kept.rules) if kept else [],
        "waiting": list(kept.waiting) if kept else [],
        "reasons": [
            {"code": reason.code, "rule": reason.rule, "origin": reason.origin, "text": reason.text}
            for reason in decision.reasons
        ],
    }


def _event_value(event: Event) -> dict[str, Any]:
    return {"number": event.seq, "at": event.at, "type": event.type, "what": _what(event), "rule": event.rule}


def _what(event: Event) -> str:
    if event.to_state is None:
        return event.type
    before = f"{event.from_state.value} → " if event.from_state else ""
    detail = event.data.get("detail")
    return f"{before}{event.to_state.value}" + (f": {detail}" if detail else "")


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def lines(story: Story, *, names: bool) -> Iterator[str]:
    """The story for a person, without words of the program's inside."""
    entry, document, decision = story.entry, story.entry.document, story.decision
    yield f"{document.ref}" + (f'  "{document.title}"' if names else "")
    count = len(document.versions)
    yield f"  {document.size} bytes in {count} version{'s'[: count != 1]}; last changed {_day(document.modified)}"
    yield "What the records say:"
    yield from _or_none([f"  {p.type} {p.id}: {_signals(p.signals)}" for p in document.parents], "no record")
    yield f"What the policy says today: {decision.verdict.value} ({decision.code})"
    for reason in decision.reasons:
        by = " ".join(filter(None, (reason.rule, reason.origin and f"[{reason.origin}]")))
        yield f"  {reason.code}: {f'{by} ' if by else ''}{reason.text}"
    yield from _keeping(decision)
    yield "Stores:"
    for store in story.stores:
        verdict = "chosen" if store.chosen else f"not chosen: {store.why_not}"
        yield f"  {store.store} in {', '.join(store.countries) or 'an unknown place'}, {store.assurance}: {verdict}"
    yield f"Legal holds: {', '.join(story.holds) or 'none'}"
    yield "Versions and copies:"
    for version in entry.versions:
        yield f"  {version.version.number}: {version.state.value}" + (f" ({version.detail})" if version.detail else "")
        yield from (f"     in {copy.store}, SHA-256 {copy.digest.sha256}" for copy in version.copies)
    yield f"Link: {entry.link.url if entry.link else 'none'}"
    yield "What happened:"
    happened = [f"  {event.at}  {_what(event)}" for event in story.events]
    yield from _or_none(happened, "nothing")


def _keeping(decision: Decision) -> Iterator[str]:
    kept = decision.retention
    if kept is not None:
        until = f"keep until {kept.keep_until or 'not known'}, erase by {kept.erase_by or 'no date'}"
        yield f"Retention: {until} ({', '.join(kept.rules) or 'no duty'})"
        if kept.conflict:
            yield "  the two contradict each other: a person must look; nothing is deleted"
        if kept.waiting:
            yield f"  not begun, because their event is not known: {', '.join(kept.waiting)}"


def _signals(signals: Any) -> str:
    return ", ".join(f"{name} {text or '(empty)'}" for name, text in sorted(signals.items())) or "nothing"


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else "at an unknown time"


def _or_none(found: Sequence[str], none: str) -> Sequence[str]:
    return found or [f"  {none}"]
