"""Work: one document on its way through a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from offloader.errors import IntegrityError
from offloader.ledger import Copy, Entry, Step, VersionEntry
from offloader.model import Link, State, Version
from offloader.moves.sealing import live
from offloader.ports import LinkRequest


@dataclass(slots=True)
class Work:
    """One document on its way to its stores, the first of which the bytes are read into."""

    entry: Entry
    wanted: tuple[str, ...]
    link: Link
    #: versions still to be copied, by ledger key
    waiting: set[int] = field(default_factory=set)
    #: verified copies by version, the one in the first store first
    copies: dict[int, tuple[Copy, ...]] = field(default_factory=dict)
    attempted: bool = False
    tries: int = 0
    link_ref: dict[str, str] = field(default_factory=dict)
    failed: bool = False
    #: last day on which every copy must be there, where its duties say one and do not contradict each other
    keep_until: date | None = None

    @property
    def versions(self) -> list[VersionEntry]:
        return live(self.entry)

    @property
    def stores(self) -> set[str]:
        """Where its versions lie."""
        known = {copy.store for version in self.versions for copy in version.copies}
        return known | {copy.store for copies in self.copies.values() for copy in copies}

    def request(self) -> LinkRequest:
        return LinkRequest(
            document=self.entry.document, link=self.link, attempted=self.attempted, link_ref=self.link_ref
        )

    def steps(self, to: State, detail: str = "", rule: str | None = None) -> list[Step]:
        return [
            Step(version=version.pk, to=to, detail=detail, rule=rule, data={"link": self.link.id})
            for version in self.versions
            if version.state is not State.DONE
        ]

    def lacking(self, version: VersionEntry) -> list[str]:
        """Wanted stores without a verified copy of this version; a version that is done lacks none."""
        if version.state is State.DONE:
            return []
        held = {copy.store for copy in self.copies.get(version.pk, version.copies) if copy.verified_at is not None}
        return [store for store in self.wanted if store not in held]

    def placed(self) -> list[tuple[Version, Copy]]:
        """Every version with each of its copies. Raises IntegrityError unless all that are wanted are verified."""
        for version in self.versions:
            if self.lacking(version):
                raise IntegrityError(
                    f"{self.entry.document.ref}: version {version.version.number} has no verified copy in "
                    f"{', '.join(self.lacking(version))}; nothing was linked or removed"
                )
        return [(version.version, copy) for version in self.versions for copy in self.copies[version.pk]]
