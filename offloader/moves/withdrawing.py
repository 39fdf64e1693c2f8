"""Withdraw: take copies away again where they may no longer be.

A document may be copied, and be decided otherwise before its link was written: its record moved to another country,
or a rule changed. Its bytes must not go on lying where the decision does not put them.
"""

from __future__ import annotations

from collections.abc import Collection

from offloader.errors import Transient
from offloader.ledger import Copy, Entry
from offloader.model import State
from offloader.moves.site import Site


def withdraw(site: Site, entry: Entry) -> bool:
    """Delete the copies of a document that was never linked, if the CRM still shows it as it was read.

    Raises what the source and the stores raise. Returns whether anything was deleted.
    """
    copies = [(version.pk, copy) for version in entry.versions for copy in version.copies]
    if not copies or entry.link is not None or entry.deleted:
        return False
    original = site.sources[entry.document.ref.source].fetch([entry.document.ref])[0]
    if original is None or original.etag != entry.document.etag:
        return False
    _take_away(site, copies)
    return True


def withdraw_elsewhere(site: Site, entry: Entry, wanted: Collection[str]) -> None:
    """Delete the copies of a document in other stores than these, which hold verified ones.

    Only where its link is not written yet: the original is still in the CRM. Raises what the stores raise.
    """
    if not any(version.state in (State.LINKED, State.DONE) for version in entry.versions):
        copies = [(version.pk, copy) for version in entry.versions for copy in version.copies]
        _take_away(site, [(pk, copy) for pk, copy in copies if copy.store not in wanted])


def _take_away(site: Site, copies: Collection[tuple[int, Copy]]) -> None:
    for pk, copy in copies:
        take_away(site, pk, copy.store, copy.key)


def take_away(site: Site, pk: int, store: str, key: str, *, forget: bool = True) -> None:
    """Take a version's copy away: the object, if it is the version's alone, and the ledger's line about it.

    With `forget` unset the line stays where the caller writes another in its place, unless others share the object:
    then nothing but the line says that the version has it. Raises what the store raises, and Transient while a copy
    under way rests on the object and no line says so yet: whoever comes next sees which of the two it is.
    """
    with site.ledger.alone(store, key, versions={pk}) as free:
        if free:
            site.stores[store].delete(key)
        elif not site.ledger.referenced(store, key, versions={pk}):
            raise Transient(f"{key} in the store {store} is about to be shared by another document")
        if forget or not free:
            site.ledger.forget_copies([pk], store=store)
