"""Restore: put documents back in the CRM, byte for byte, prove it, and take the links away."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from offloader.errors import AuthError, Exhausted, Gone, IntegrityError, OffloaderError, Refused
from offloader.ledger import Copy, Entry, Step, VersionEntry
from offloader.model import Digester, Document, DocumentRef, State, Version
from offloader.moves.catalog import write_states
from offloader.moves.holding import Holds
from offloader.moves.identity import check_identity
from offloader.moves.site import Site
from offloader.ports import LinkRequest, Outcome, Status

RESTORABLE = frozenset({State.DONE})
#: key in the ledger of the restores that were begun and not finished: document pks, by commas
BEGUN = "restoring"


@dataclass(slots=True)
class RestoreReport:
    """What was put back. `errors` has one line a document."""

    restored: int = 0
    links_removed: int = 0
    bytes: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)


def find(site: Site, name: str) -> Entry:
    """The document that a user means: a link id, a link's URL, or SOURCE/KIND/ID. Raises Gone with what was tried."""
    entry = site.ledger.by_link(name.rsplit("/", 1)[-1]) if "/" not in name or "/d/" in name else None
    if entry is None and name.count("/") >= 2 and "/d/" not in name:
        entry = site.ledger.entry(DocumentRef(*name.split("/", 2)))
    if entry is None:
        raise Gone(f"the ledger knows no document {name!r}; name it by its link, or as SOURCE/KIND/ID")
    return entry


def restore(site: Site, entries: Iterable[Entry]) -> RestoreReport:
    """Put these documents back. One that fails stays offloaded, with its link, and is reported.

    Restores that were begun and broken off are finished first: otherwise what they have put back would be taken for
    something new. Raises AuthError and Exhausted, and Refused for a CRM that is not the one it was: all others would
    fail alike.
    """
    report = RestoreReport()
    begun = _begun(site)
    for entry in itertools.chain(site.ledger.entries_by_pk(begun), (each for each in entries if each.pk not in begun)):
        check_identity(site, [entry.document.ref.source])
        try:
            _restore(site, entry, report)
        except (AuthError, Exhausted):
            raise
        except OffloaderError as error:
            report.failed += 1
            report.errors.append(f"{entry.document.ref}: {error}")
    return report


def finish(site: Site) -> RestoreReport:
    """Finish the restores that were begun and broken off."""
    return restore(site, ())


def _begun(site: Site) -> list[int]:
    return [int(pk) for pk in (site.ledger.meta(BEGUN) or "").split(",") if pk]


def _restore(site: Site, entry: Entry, report: RestoreReport) -> None:
    if entry.link is None:
        raise Refused("it was never replaced by a link; there is nothing to put back")
    states = {version.state for version in entry.versions}
    if not (states <= RESTORABLE or states == {State.RESTORED}):
        raise Refused(f"it is {', '.join(sorted(states))}; only a document that is done can be put back")
    begun = _begun(site)
    attempted = entry.pk in begun
    holds = Holds.of(site)
    if not attempted and (ids := holds.freezing(entry)):
        raise Refused(f"it stays offloaded: {holds.reason(ids).text}", rule="holds")
    if not attempted:
        site.ledger.set_meta(BEGUN, ",".join(map(str, [*begun, entry.pk])))
    request = LinkRequest(document=entry.document, link=entry.link, attempted=attempted, link_ref=entry.link_ref)
    if states <= RESTORABLE:
        _put_back(site, entry, request, report)
    gone = site.sources[entry.document.ref.source].unlink([request])[0]
    if gone.status not in (Status.DONE, Status.GONE):
        raise Refused(f"it is back, but its link could not be taken away: {gone.reason or gone.status}; run again")
    report.links_removed += 1
    site.ledger.set_meta(BEGUN, ",".join(str(pk) for pk in _begun(site) if pk != entry.pk))


def _put_back(site: Site, entry: Entry, request: LinkRequest, report: RestoreReport) -> None:
    by_id = {version.version.id: version for version in entry.versions}

    def bodies(version: Version) -> Iterator[bytes]:
        return _body(site, by_id[version.id])

    source = site.sources[entry.document.ref.source]
    outcome = source.restore(request, bodies)
    if _is_another(site, entry, outcome):
        outcome = source.restore(replace(request, attempted=False), bodies)
    if outcome.status is not Status.DONE or outcome.document is None:
        raise Refused(f"the CRM does not take it back: {outcome.reason or outcome.status}; its link stays")
    _prove(site, entry, outcome.document)
    # First the name: a document that is restored under a name that the ledger does not know would be moved again.
    site.ledger.replace_document(entry.pk, outcome.document)
    steps = [Step(version=v.pk, to=State.RESTORED, data={"as": str(outcome.document.ref)}) for v in entry.versions]
    site.ledger.advance(steps)
    stores = {copy.store for version in entry.versions for copy in version.copies} & set(site.stores)
    noted = [(entry.document.ref, entry.link_ref, stores)]
    restored = {entry.document.ref: outcome.document}
    write_states(site.stores, noted, State.RESTORED, site.context.now(), restored)
    report.restored += 1
    report.bytes += sum(version.copies[0].digest.size for version in entry.versions if version.copies)


def _is_another(site: Site, entry: Entry, outcome: Outcome) -> bool:
    """Whether what the CRM took for an earlier try is another document's restored twin."""
    known = site.ledger.entry(outcome.document.ref) if outcome.document is not None else None
    return known is not None and known.pk != entry.pk and known.link is not None


def _body(site: Site, version: VersionEntry) -> Iterator[bytes]:
    """The stored bytes of a version, measured on the way: a wrong last byte is an error, never a wrong file."""
    if not version.copies:
        raise IntegrityError("the ledger knows no copy of a version")
    copy = _sound(site, version.copies)
    digester = Digester()
    for chunk in site.stores[copy.store].read(copy.key):
        digester.update(chunk)
        if digester.size > copy.digest.size:
            break
        yield chunk
    if digester.digest().sha256 != copy.digest.sha256:
        raise IntegrityError(
            f"the copy {copy.key} in the store {copy.store} is not what was verified; nothing is put back"
        )


def _sound(site: Site, copies: Sequence[Copy]) -> Copy:
    """The first copy that reads back as it was verified; an only one is measured while it streams anyway."""
    if len(copies) == 1:
        return copies[0]
    problems = []
    for copy in copies:
        try:
            stored = site.stores[copy.store].stat(copy.key) if copy.store in site.stores else None
        except OffloaderError as error:
            problems.append(str(error))
            continue
        if stored is not None and (stored.sha256, stored.size) == (copy.digest.sha256, copy.digest.size):
            return copy
        what = "is missing" if stored is None else "is not what was verified"
        problems.append(f"the copy {copy.key} in the store {copy.store} {what}")
    raise IntegrityError(f"{'; '.join(problems)}; nothing is put back")


def _prove(site: Site, entry: Entry, document: Document) -> None:
    """Read the restored document back from the CRM and compare every version with what was verified."""
    wanted: Sequence[VersionEntry] = entry.versions
    if len(document.versions) != len(wanted):
        raise IntegrityError(f"{len(wanted)} versions were put back, the CRM shows {len(document.versions)}")
    by_ref: dict[str, tuple[Version, VersionEntry]] = {
        version.id: (version, known) for version, known in zip(document.versions, wanted, strict=True)
    }
    source = site.sources[document.ref.source]
    for start in range(0, len(document.versions), source.capabilities.read_batch):
        group = document.versions[start : start + source.capabilities.read_batch]
        for delivery in source.read([document.version_ref(version) for version in group]):
            if delivery.error is not None or delivery.chunks is None:
                raise delivery.error or Gone("the restored document cannot be read")
            digester = Digester()
            for chunk in delivery.chunks:
                digester.update(chunk)
            _, known = by_ref.pop(delivery.ref.id)
            if digester.digest() != known.copies[0].digest:
                raise IntegrityError("what the CRM shows after the restore is not what was stored; the link stays")
    if by_ref:
        raise IntegrityError("the CRM did not deliver every restored version; the link stays")
