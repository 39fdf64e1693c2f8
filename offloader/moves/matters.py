"""Holds of matters: added, released by two people, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from offloader.errors import ConfigError, Gone, Refused
from offloader.holds import Hold, Release, Scope
from offloader.ledger import Ledger, holding, open_ledger
from offloader.model import Document
from offloader.moves.holding import Holds
from offloader.moves.mirrored import note, tell
from offloader.moves.restore import find
from offloader.moves.site import Site

_PAGE = 2000


def add(
    site: Site, *, matter: str, scope: Scope, reason: str, freezes_moves: bool = True, key: str | None = None
) -> Hold:
    """Put a hold on what the scope covers, now and later. Works beside a run, which keeps it from its next batch on.

    It stands in the ledger when this returns, and in every store that takes it now; the others are asked again later.

    Raises ConfigError for an empty matter, reason or scope, Refused if nobody of the configuration is at work.
    """
    _must_say("matter", matter)
    _must_say("reason", reason)
    if scope.empty:
        raise ConfigError("a hold needs a scope: a document, a record, an owner, a query or dates")
    speaker = site.people.speaker(site.context.account, key)
    draft = Hold(
        id="",
        matter=matter.strip(),
        scope=_with_numbers(site, scope),
        reason=reason.strip(),
        freezes_moves=freezes_moves,
        person=speaker.name,
        proof=speaker.proof,
        at="",
    )
    hold = holding.add(site.ledger.path, site.context.now(), draft, speaker.sign)
    _note(site)
    return hold


def release(site: Site, hold: str, *, reason: str, key: str | None = None) -> Hold:
    """Agree to the end of one hold. It ends when a second person agrees.

    Raises ConfigError for an unknown hold or an empty reason, Refused if nobody of the configuration is at work, this
    person has agreed already, or the hold has ended.
    """
    _must_say("reason", reason)
    speaker = site.people.speaker(site.context.account, key)
    draft = Release(hold=hold, person=speaker.name, proof=speaker.proof, reason=reason.strip(), at="")
    found = holding.release(site.ledger.path, site.context.now(), draft, speaker.sign, site.people)
    _note(site)
    return found


def coverage(site: Site, holds: Iterable[Hold]) -> Counter[str]:
    """How many documents of the ledger each hold covers now, by its id; moved and deleted ones count too."""
    found, chosen = Counter[str](), Holds(holds)
    for pk, document in _bare(site):
        found.update(chosen.covering_document(pk, document))
    return found


def _bare(site: Site) -> Iterator[tuple[int, Document]]:
    after = 0
    while page := site.ledger.bare_documents(after=after, limit=_PAGE):
        after = page[-1][0]
        yield from page


def _must_say(what: str, text: str) -> None:
    if not text.strip():
        raise ConfigError(f"a hold needs a {what}")


def _with_numbers(site: Site, scope: Scope) -> Scope:
    """Add the ledger's numbers of the documents that the scope names, which outlive their names in the CRM."""
    pks, names = [], []
    for name in scope.documents:
        try:
            found = find(site, name)
        except Gone:
            if name.count("/") < 2 or "/d/" in name:
                raise
            names.append(name)  # not seen yet: it is held from its first scan on
        else:
            pks.append(found.pk)
            names.append(str(found.document.ref))
    return replace(scope, documents=tuple(names), pks=tuple(pks))


def _note(site: Site) -> None:
    """Write the event now, and tell the stores, which may take a while, with the ledger free for others."""
    _writing(site, Ledger.note_holds)
    taken, _ = tell(site)
    _writing(site, lambda ledger: note(ledger, taken))


def _writing(site: Site, act: Callable[[Ledger], None]) -> None:
    """Do this with the ledger, unless a run has it: then the run does."""
    if site.ledger.writable:
        act(site.ledger)
        return
    try:
        with open_ledger(site.ledger.path, now=site.context.now, create=False) as ledger:
            act(ledger)
    except Refused as error:
        if error.rule != "one-offloader-per-ledger":
            raise
