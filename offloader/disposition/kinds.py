"""Which plans of acts there are, and what carries each out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import cast

from offloader.disposition.acts import Report
from offloader.errors import ConfigError
from offloader.ledger import PlanRow
from offloader.moves.site import Site

#: carries out a sealed plan: site, the plan's id, the plan as a file's lines if one was given
Apply = Callable[[Site, str, Iterable[bytes] | None], Report]

#: kind → module and function; imported when a plan of the kind is carried out
KINDS: Mapping[str, tuple[str, str]] = {
    "purge": ("offloader.disposition.purging", "apply_purge"),
    "expire": ("offloader.disposition.expiring", "apply_expiry"),
    "rehome": ("offloader.disposition.rehoming_apply", "apply_rehoming"),
    "share": ("offloader.disposition.sharing_apply", "apply_sharing"),
    "erase": ("offloader.disposition.erasing", "apply_erasure"),
    "export": ("offloader.disposition.access", "apply_export"),
}


def apply_of(row: PlanRow) -> Apply | None:
    """What carries this plan out; None for a plan of moves. Raises ConfigError for a kind that is not known here."""
    kind = row.header.disposes
    if kind is None:
        return None
    if kind not in KINDS:
        raise ConfigError(f"plan {row.id} is of the kind {kind!r}, which this offloader does not know")
    module, name = KINDS[kind]
    return cast("Apply", getattr(import_module(module), name))
