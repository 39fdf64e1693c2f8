"""Withdraw: take copies away again of a document that is to stay after all.

A document may be copied, and be decided otherwise before its link was written: its record moved to another country,
or a rule changed. Its bytes must not go on lying where they may no longer be.
"""

from __future__ import annotations

from offloader.ledger import Entry
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
    for _, copy in copies:
        site.stores[copy.store].delete(copy.key)
    site.ledger.forget_copies([pk for pk, _ in copies])
    return True
