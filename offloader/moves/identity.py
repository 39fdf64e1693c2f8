"""Is this still the CRM, and are these still our stores? A restored or cloned CRM, and a sandbox that was given the
production's store, are recognised before anything is written.

The ledger remembers which organisation a source was, and its newest documents: they never grow older unless the CRM was
put back. Each store has a mark of the organisation whose documents it holds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from offloader.audit import canonical
from offloader.errors import ConfigError, Gone, Refused
from offloader.model import Document, DocumentRef
from offloader.moves.site import Site

RULE = "identity"
_KNOWN = "identity:{}"
_NEWEST = "newest:{}"
_OWNER = "owner/{}.json"
#: documents that are remembered for a look whether the CRM went back
_SAMPLE = 20
#: what stands for an answer that the CRM did not give
_UNSAID = ("", "unknown")
_NAMES = {"organisation": "organisation", "environment": "kind of environment", "address": "address"}


def identity_of(site: Site, source: str) -> dict[str, str] | None:
    """Who the CRM says that it is; None for a source that cannot say."""
    try:
        records = site.records(source)
    except ConfigError:
        return None
    said = {name: value for name, value in records.identity().items() if value not in _UNSAID}
    # of the address only the host: a proxy or a test server may come and go on another port
    address = said.get("address", "")
    return {name: said.get(name, "") for name in _NAMES} | {"address": urlsplit(address).hostname or address}


def check_identity(site: Site, sources: Collection[str]) -> None:
    """Compare each source with what the ledger knows of it, once for each site; the first time, remember it.

    Raises Refused, with an event, if it is another organisation or environment, stands elsewhere, or went back in time.
    """
    for source in sources:
        if source in site.recognised:
            continue
        said = identity_of(site, source) if source in site.sources else None
        if said is None:
            continue
        known = site.ledger.meta(_KNOWN.format(source))
        if known is None:
            site.ledger.set_meta(_KNOWN.format(source), canonical(said))
            site.recognised.add(source)
            continue
        problems = [*_differences(json.loads(known), said), *_went_back(site, source)]
        if problems:
            site.ledger.record_event("identity", data={"source": source, "problems": problems})
            raise Refused(
                f"the source {source} is not the CRM that it was: {'; '.join(problems)}. Nothing is written for it any "
                "more, neither in a store nor in the CRM. If that is meant so: offloader identity accept "
                f"{source} --reason TEXT",
                rule=RULE,
            )
        site.recognised.add(source)


def _differences(known: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """In what both say and say otherwise; what one does not say is no difference."""
    return [
        f"its {words} was {known[name]!s:.60}, is {said[name]!s:.60}"
        for name, words in _NAMES.items()
        if known.get(name) and said.get(name) and known[name] != said[name]
    ]


def _went_back(site: Site, source: str) -> list[str]:
    """Whether documents are older now than they were: no edit makes them so, only a restore of the CRM."""
    sample = {DocumentRef(source, kind, name): when for kind, name, when in _sample(site, source)}
    if not sample:
        return []
    older = [
        document
        for document in site.sources[source].fetch(list(sample))
        if document is not None
        and document.modified is not None
        and document.modified.isoformat() < sample[document.ref]
    ]
    return [f"{len(older)} of its newest documents are older than they were: it was put back"] if older else []


def _sample(site: Site, source: str) -> list[tuple[str, str, str]]:
    return [(kind, name, when) for kind, name, when in json.loads(site.ledger.meta(_NEWEST.format(source)) or "[]")]


def remember_newest(site: Site, source: str, documents: Iterable[Document]) -> None:
    """Keep the newest of these and of those that were remembered before, if the CRM can be recognised at all."""
    if site.ledger.meta(_KNOWN.format(source)) is None:
        return
    kept = {(kind, name): when for kind, name, when in _sample(site, source)}
    found = {(d.ref.kind, d.ref.id): d.modified.isoformat() for d in documents if d.modified is not None}
    newest = sorted((kept | found).items(), key=lambda each: (each[1], each[0]), reverse=True)[:_SAMPLE]
    if found:
        site.ledger.set_meta(_NEWEST.format(source), canonical([[*name, when] for name, when in newest]))


def claim(site: Site, store: str, sources: Collection[str]) -> None:
    """Make sure that a store is these sources', and mark it as theirs the first time. The store's place must be proven.

    Raises Refused if its mark names another organisation: two CRMs never share one place.
    """
    for source in sources:
        mine = _mine(site, source)
        if mine is not None and not _is_ours(site, store, source, mine):
            site.stores[store].put(_OWNER.format(source), [canonical(mine).encode()])


def check_owner(site: Site, store: str, sources: Collection[str]) -> None:
    """Make sure that no other CRM has put its mark into a store under these sources' names. Leaves none.

    Raises Refused if one has.
    """
    for source in sources:
        mine = _mine(site, source)
        if mine is not None:
            _is_ours(site, store, source, mine)


def _mine(site: Site, source: str) -> dict[str, str] | None:
    known = site.ledger.meta(_KNOWN.format(source))
    return None if known is None else _mark(source, json.loads(known))


def _is_ours(site: Site, store: str, source: str, mine: Mapping[str, str]) -> bool:
    """Whether the store has our mark already; False if it has none. Raises Refused if it has another CRM's."""
    theirs = _owner(site, store, source)
    if theirs is None:
        return False
    if not theirs or _differences(theirs, mine):
        raise Refused(
            f"the store {store} holds documents of another CRM under the name {source} "
            f"({_shown(theirs)}; this one is {_shown(mine)}): nothing is written there. Give this one a place of "
            "its own (bucket, container, folder or prefix)",
            rule=RULE,
        )
    return True


def _mark(source: str, known: Mapping[str, str]) -> dict[str, str]:
    return {"source": source, "organisation": known["organisation"], "environment": known["environment"]}


def _owner(site: Site, store: str, source: str) -> dict[str, Any] | None:
    try:
        body = b"".join(site.stores[store].read(_OWNER.format(source)))
    except Gone:
        return None
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _shown(mark: Mapping[str, Any]) -> str:
    return f"{mark.get('organisation', 'unreadable')!s:.60}, {mark.get('environment', '?')!s:.30}"


def accept_identity(site: Site, source: str, reason: str) -> dict[str, str]:
    """Take the CRM for ours as it is now, because a person says so, and mark the stores that were ours again.

    Raises ConfigError for no reason, or a source that does not say who it is; Refused where a lock keeps an old mark.
    """
    if not reason.strip():
        raise ConfigError("say why: an empty reason is none")
    said = identity_of(site, source) if source in site.sources else None
    if said is None:
        raise ConfigError(f"{source} is no source that can say which CRM it is")
    was = json.loads(site.ledger.meta(_KNOWN.format(source)) or "null")
    for name, store in site.stores.items():
        if was is not None and _owner(site, name, source) == _mark(source, was) != _mark(source, said):
            if left := store.erase(_OWNER.format(source)).left:
                raise Refused(f"the mark of the old CRM in the store {name} stays: {left[0].reason}", rule=RULE)
            store.put(_OWNER.format(source), [canonical(_mark(source, said)).encode()])
    data = {"source": source, "was": was, "is": said, "reason": reason.strip(), "by": site.person}
    site.ledger.record_event("identity-accepted", data=data)
    site.ledger.set_meta(_NEWEST.format(source), "[]")
    site.ledger.set_meta(_KNOWN.format(source), canonical(said))
    return said
