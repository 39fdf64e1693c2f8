"""What a source's author implements so that `SourceContract` can play the CRM's users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offloader.model import DocumentRef, VersionRef
from offloader.ports import KindCapabilities, Source

#: names that people, mail programs and attackers give to files; a source hands them on as they are
HOSTILE_NAMES = (
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "bill\u202egpj.exe",
    "Größe, naïve; œuvre 'é'.pdf",
    "смета 报价 🧾.xlsx",
    'say "cheese" & <b>.txt',
    "O'Brien's {0} %s %2e%2e $(id).doc",
    "=HYPERLINK(1).csv",
    ".hidden",
    "CON.txt",
    "no extension",
    "two.tar.gz",
    "caf\u00e9.txt",
    "cafe\u0301.txt",
    "x" * 200 + ".pdf",
)


@dataclass(frozen=True, slots=True)
class SeenLink:
    """A link as a user sees it; `parents` maps the ids of its records to the sharing, in the words of `Parent`."""

    title: str
    owner: str | None
    parents: Mapping[str, Mapping[str, str]]


class SourceBench(ABC):
    """A CRM with its users, as a test sees it. Works on the CRM directly, never through `source`.

    `kind` arguments are names of `SourceCapabilities.kinds`. Everything takes effect at once.
    """

    #: the source under test, logged in as a user with all permissions, listing at most two documents a page
    source: Source
    #: names that this CRM can hold; leave out only what the CRM itself refuses
    names: Sequence[str] = HOSTILE_NAMES
    #: whether this CRM can hold a document without a single byte
    empty: bool = True

    @abstractmethod
    def make(self, kind: KindCapabilities, *bodies: bytes, name: str = "report.pdf", parents: int = 1) -> DocumentRef:
        """Create a document that hangs on that many new records; each body is a version, oldest first."""

    @abstractmethod
    def edit(self, ref: DocumentRef, data: bytes) -> None:
        """Save other bytes as a user does: a new version, or in place for kinds without versions."""

    @abstractmethod
    def reparent(self, ref: DocumentRef) -> bool | None:
        """Change the document's parents as a user does: hang it on one more record, or on another one.

        False if documents of this kind stay with their record for ever.
        """

    @abstractmethod
    def delete(self, ref: DocumentRef) -> None:
        """Delete the document as a user does."""

    @abstractmethod
    def bytes_of(self, ref: DocumentRef) -> Sequence[bytes] | None:
        """Return the bytes that the CRM holds now, by version, oldest first; None if the document is gone."""

    @abstractmethod
    def links_to(self, url: str) -> int:
        """Count the links and stubs in the CRM that point to the URL."""

    @abstractmethod
    def link_at(self, url: str) -> SeenLink:
        """Return the one link (or stub) that points to the URL, as it stands in the CRM."""

    @abstractmethod
    def drop_link(self, url: str) -> None:
        """Take the link to the URL away as a user does (two-step kinds)."""

    @abstractmethod
    def cut_next_body(self, ref: VersionRef) -> None:
        """Make the next download of this version end after some of its bytes."""

    @abstractmethod
    def reader(self, ref: DocumentRef) -> str:
        """Return the login of an active user who may read the document, and goes on to, through its parents."""

    @abstractmethod
    def stranger(self) -> str:
        """Return the login of an active user who may read none of the documents."""

    @abstractmethod
    def state(self) -> object:
        """Return a value that compares equal as long as nothing in the CRM has changed."""

    def make_unmovable(self, kind: KindCapabilities) -> DocumentRef | None:
        """Create a document that must not be offloaded; None if this CRM has no such documents of the kind."""
        return None

    def blind(self, ref: DocumentRef) -> bool:
        """Take away the permission by which `source` sees the document; False if this CRM always shows it."""
        return False
