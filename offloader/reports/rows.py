"""A plan's documents as rows, streamed in pages: whoever reads them holds one page at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from offloader.ledger import codec
from offloader.ledger.reporting import PlanDocument, PlanLine
from offloader.model import Document
from offloader.moves.holding import Holds
from offloader.moves.site import Site
from offloader.reports.facets import Facets
from offloader.reports.model import Row
from offloader.reports.money import Biller
from offloader.reports.sums import detail, exceptional, outcome

PAGE = 2000
_NAME_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes the rows of one plan. `owners`: who settles a source's exceptions, and by when."""

    site: Site
    plan: str
    facets: Facets
    biller: Biller
    owners: Mapping[str, tuple[str, date | None]]
    homes: Mapping[str, tuple[str, ...]]
    #: print titles; otherwise the beginning of their SHA-256
    names: bool
    run: bool

    def __call__(self) -> Iterator[Row]:
        """Every document in the plan's order, read anew."""
        covering = self._covering()
        after = 0
        while found := self.site.ledger.report_documents(self.plan, after=after, limit=PAGE, outcomes=self.run):
            after = found[-1].line.number
            for document in found:
                yield self._row(document, covering(document))

    def _covering(self) -> Callable[[PlanDocument], tuple[str, ...]]:
        holds = Holds(self.site.ledger.holds(standing=True))
        if not holds.standing:
            return lambda document: ()
        return lambda document: holds.covering_document(document.line.document, _bare(document))

    def _row(self, document: PlanDocument, holds: tuple[str, ...]) -> Row:
        line, fields, newest = document.line, document.fields, document.newest
        facet = self.facets.of(line.decided)
        bill = self.biller.bill(line, facet)
        ended = outcome(line.parts) if self.run else ""
        owner, due = self.owners.get(line.source, ("", None)) if exceptional(facet, ended) else ("", None)
        return Row(
            number=line.number,
            source=line.source,
            kind=line.kind,
            id=document.ref.id,
            name=printed(fields.get("title", ""), names=self.names),
            parents=tuple((parent[0], parent[1]) for parent in fields.get("parents", ())),
            bytes=line.size,
            versions=line.versions,
            mime=newest.get("mime", ""),
            created=codec.when(fields.get("created")),
            modified=codec.when(fields.get("modified")),
            checksum=":".join(newest.get("checksum", ())),
            signals=_signals(fields),
            source_countries=self.homes.get(line.source, ()),
            holds=holds,
            owner=owner,
            due=due,
            saved_month=bill.saved if bill else None,
            outcome=ended,
            stored=tuple((store, key) for store, key, _ in document.copies),
            sha256=document.copies[0][2] if document.copies else "",
            done_at=document.done if self.run else None,
            detail=detail(line.parts) if self.run else "",
            **facet.row,
        )


def printed(title: str, *, names: bool) -> str:
    """A title, or in its place the beginning of its SHA-256."""
    if names:
        return title
    return hashlib.sha256(title.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME_DIGITS]


def lines(site: Site, plan: str) -> Iterator[PlanLine]:
    """The plan's items for adding up, in order."""
    after = 0
    while found := site.ledger.report_lines(plan, after=after, limit=PAGE):
        after = found[-1].number
        yield from found
        site.progress("report", after, None)


def _signals(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What the records say, a sentence a signal; a signal that a record leaves empty is told with a dash."""
    return tuple(
        f"{type_} {name}: {signal} {value or '—'}"
        for type_, name, signals, _ in fields.get("parents", ())
        for signal, value in signals.items()
    )


def _bare(document: PlanDocument) -> Document:
    """The document without its versions."""
    return codec.document(document.ref, {**document.fields, "versions": ()}, {})
