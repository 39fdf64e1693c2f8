"""How full a CRM says that it is: asked once a scan, and kept with its date for reports, which ask no CRM."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from offloader.audit import canonical
from offloader.errors import ConfigError, Interrupted, OffloaderError
from offloader.ledger.codec import when
from offloader.moves.site import Site

_NOTED = "storage:{}"
#: the meter of `offloader.records.Storage` that documents fill
_FILES = "file"
#: why there is no figure: the CRM's API has none, the call failed, or nobody has asked
SILENT = "silent"
FAILED = "failed"
UNASKED = "unasked"


@dataclass(frozen=True, slots=True)
class Filling:
    """Bytes used and at most of a CRM's storage for documents, and when that was asked; or `why` it is not known."""

    used: int = 0
    limit: int = 0
    at: datetime | None = None
    why: str = ""


def note_filling(site: Site, source: str) -> None:
    """Ask a source how full its storage for documents is, and keep the answer.

    Never fails for it: what cannot say is noted as such, and an earlier figure, with its date, outlives a failed call.
    """
    told = _asked(site, source)
    if told.get("why") == FAILED and filling(site, source).at is not None:
        return
    site.ledger.set_meta(_NOTED.format(source), canonical(told))


def _asked(site: Site, source: str) -> dict[str, Any]:
    try:
        records = site.records(source)
    except ConfigError:
        return {"why": SILENT}
    try:
        storage = records.storage()
    except Interrupted:
        raise
    except OffloaderError:
        return {"why": FAILED}
    used, limit = storage.used.get(_FILES), storage.limit.get(_FILES)
    if used is None or not limit:
        return {"why": SILENT}
    return {"used": used, "limit": limit, "at": (storage.as_of or site.context.now()).isoformat()}


def filling(site: Site, source: str) -> Filling:
    """What was noted last."""
    told = json.loads(site.ledger.meta(_NOTED.format(source)) or "{}")
    at = when(told.get("at", ""))
    if at is None:
        return Filling(why=told.get("why", UNASKED))
    return Filling(told["used"], told["limit"], at)
