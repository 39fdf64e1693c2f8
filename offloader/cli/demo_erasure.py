"""The demo's data subject: a made-up person asks to be forgotten, and gets a certificate in English and in Dutch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offloader.cli.demo_governance import reported
from offloader.model import State

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.ledger import Entry
    from offloader.moves.site import Site

#: what CRMs call a natural person
_PEOPLE = frozenset({"Contact", "contact"})
_REASON = "The person asked, and nothing forbids it; this is a demonstration."
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An erasure that was carried out: what it erased, and its certificate's files."""

    plan: str
    subject: str
    documents: int
    copies: int
    #: what the officer read before approving
    report: Path
    files: tuple[Path, ...]
    #: what is not as it must be
    problems: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "subject": self.subject,
            "documents": self.documents,
            "copies": self.copies,
            "report": str(self.report),
            "files": [str(file) for file in self.files],
            "problems": list(self.problems),
            "seconds": round(self.seconds, 3),
        }


def forget(site: Site, config: Config) -> Forgotten | None:
    """Erase the documents of one person, approved by the officer; None if none of the moved ones is anybody's own."""
    from offloader.disposition.certificate import certify, write  # noqa: PLC0415
    from offloader.disposition.erasing import apply_erasure  # noqa: PLC0415
    from offloader.disposition.erasure import ERASE, plan_erasure  # noqa: PLC0415
    from offloader.disposition.subjects import receive, search, subject_of  # noqa: PLC0415
    from offloader.moves.approving import Said, approve  # noqa: PLC0415

    started = site.context.monotonic()
    person = _person(site)
    if person is None:
        return None
    source, record = person
    subject = subject_of(site, [record], source=source)
    request = receive(site, "erasure", subject, None, "a")
    made = plan_erasure(site, request, search(site, subject), include=(), redact=(), delete_in_crm=True)
    if made.row is None:
        return None
    held = {(name, key) for each in made.of(ERASE) for name, key in _copies(site, str(each.ref))}
    before = reported(site, config, made.row.id)
    key = (config.directory / "officer.key").read_text(encoding="ascii")
    approve(site, made.row.id, Said.APPROVED, _REASON, key=key)
    report = apply_erasure(site, made.row.id)
    organisation = config.settings.reports.organisation
    certificate = certify(site, made.row.id, backups={}, organisation=organisation)
    left = [f"{name}:{each}" for name, each in sorted(held) if site.stores[name].size(each) is not None]
    return Forgotten(
        plan=made.row.id,
        subject=f"{source}/{record.replace(':', '/')}",
        report=before,
        documents=len(made.of(ERASE)),
        copies=len(held) - len(left),
        files=tuple(write(certificate, config.directory / "reports", ("en", "nl"))),
        problems=(*(f"{each} is still there" for each in left), *([report.stopped] if report.stopped else ())),
        seconds=site.context.monotonic() - started,
    )


def _person(site: Site) -> tuple[str, str] | None:
    """The person with the most documents that were moved and hang on nobody else: source, TYPE:ID."""
    own: dict[tuple[str, str], int] = defaultdict(int)
    for entry in _entries(site):
        parents = {(parent.type, parent.id) for parent in entry.document.parents}
        moved = {version.state for version in entry.versions} == {State.DONE}
        for type_, id_ in parents:
            if type_ in _PEOPLE:
                own[entry.document.ref.source, f"{type_}:{id_}"] += 1 if moved and len(parents) == 1 else -1000
    best = max(sorted(own), key=lambda name: own[name], default=None)
    return best if best is not None and own[best] > 0 else None


def _entries(site: Site) -> Iterator[Entry]:
    for source in sorted(site.sources):
        after = 0
        while page := site.ledger.entries(source=source, after=after, limit=_PAGE):
            after = page[-1].pk
            yield from page


def _copies(site: Site, name: str) -> Iterator[tuple[str, str]]:
    from offloader.model import DocumentRef  # noqa: PLC0415

    entry = site.ledger.entry(DocumentRef(*name.split("/", 2)))
    for version in entry.versions if entry is not None else ():
        yield from ((copy.store, copy.key) for copy in version.copies)


def lines_of(forgotten: Forgotten | None) -> list[str]:
    """The same for a person."""
    if forgotten is None:
        return ["", "  Erased    nothing: no moved document is one person's own"]
    good = "✗" if forgotten.problems else "✓"
    return [
        "",
        f"  Erased    {forgotten.documents} documents of {forgotten.subject}, who asked for it, under GDPR Article 17",
        f"  {good} {forgotten.copies} copies gone from the stores, with evidence for each",
        f"  Report    {forgotten.report}",
        *(f"  Certificate  {file}" for file in forgotten.files),
        *(f"  ! {problem}" for problem in forgotten.problems[:20]),
    ]
