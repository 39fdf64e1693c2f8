"""Missing: documents that were not there when they were to be read or linked.

A kind whose scans do not tell of deletions would have them planned, and missed, again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

from offloader.errors import OffloaderError
from offloader.model import DocumentRef
from offloader.moves.site import Site

_BATCH = 200


def note_deleted(site: Site, refs: Sequence[DocumentRef]) -> None:
    """Ask the CRM once more, and note those that it does not have. Stored bytes are never touched for that."""
    for source, kind in sorted({(ref.source, ref.kind) for ref in refs}):
        mine = sorted({ref for ref in refs if (ref.source, ref.kind) == (source, kind)})
        for start in range(0, len(mine), _BATCH):
            part = mine[start : start + _BATCH]
            try:
                found = site.sources[source].fetch(part)
            except OffloaderError:
                return  # the next run misses them again, and asks again
            site.ledger.mark_deleted([ref for ref, document in zip(part, found, strict=True) if document is None])
