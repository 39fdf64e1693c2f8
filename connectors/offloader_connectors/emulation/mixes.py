"""What a CRM's documents are, and in which shares: one mix for each way in which CRMs hold documents."""

from __future__ import annotations

import enum
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from offloader_connectors.emulation.texts import AWKWARD_NAMES
from offloader_connectors.emulation.world import Hang, Special


class Trait(enum.Enum):
    """What is odd about a document that may move."""

    PRIVATE = enum.auto()  # on no record at all
    ALLIED = enum.auto()  # on records in DE and US
    TORN = enum.auto()  # on records in DE and CN
    LEAVER = enum.auto()  # owned by an inactive user
    EQUAL = enum.auto()  # the same bytes as another one
    EMPTY = enum.auto()  # of no bytes
    MANY = enum.auto()  # on as many records as there are in Europe, up to a limit
    SHARED = enum.auto()  # on a few e-mails of one country
    CAMPAIGN = enum.auto()  # on many e-mails of Europe, sent for it


@dataclass(frozen=True, slots=True)
class Plan:
    """One sort of document."""

    hang: Hang
    special: Special | None = None
    trait: Trait | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How many documents of which sort."""

    #: what is left by the shares
    plain: Plan
    #: per mille of all documents
    shares: Sequence[tuple[int, Plan]]
    #: there is one of these, however large the world
    once: Sequence[Plan] = ()
    #: from so many documents on, a world has one of everything
    whole: int
    #: odd file names that the CRM can hold
    awkward_names: Sequence[str] = AWKWARD_NAMES
    #: one note of text alone on so many documents; 0: none
    remark_every: int = 0

    @property
    def specials(self) -> frozenset[Special]:
        """What this mix has that must stay."""
        return frozenset(plan.special for _, plan in self.shares if plan.special)

    def plans(self, count: int) -> Iterator[Plan]:
        """The sorts of that many documents, those of a sort together."""
        least = 1 if count >= self.whole else 0
        yield from self.once[: len(self.once) * least]
        planned = len(self.once) * least
        for share, plan in self.shares:
            times = max(least, round(count * share / 1000))
            planned += times
            yield from itertools.repeat(plan, times)
        yield from itertools.repeat(self.plain, count - planned)


#: Files with versions beside old-style attachments.
FILES = Mix(
    plain=Plan(Hang.FILE),
    once=(Plan(Hang.FILE, trait=Trait.MANY),),
    whole=30,
    shares=(
        (120, Plan(Hang.RECORD_ATTACHMENT)),
        (80, Plan(Hang.EMAIL_ATTACHMENT)),
        (8, Plan(Hang.FILE, Special.NOTE)),
        (8, Plan(Hang.FILE, Special.LINK)),
        (5, Plan(Hang.FILE, Special.ASSET)),
        (5, Plan(Hang.FILE, Special.ARCHIVED)),
        (10, Plan(Hang.FILE, Special.SENT_EMAIL)),
        (5, Plan(Hang.FILE, trait=Trait.PRIVATE)),
        (5, Plan(Hang.FILE, trait=Trait.ALLIED)),
        (5, Plan(Hang.FILE, trait=Trait.TORN)),
        (8, Plan(Hang.FILE, trait=Trait.LEAVER)),
        (20, Plan(Hang.FILE, trait=Trait.EQUAL)),
        (1, Plan(Hang.FILE, trait=Trait.EMPTY)),
    ),
)


#: what careful CRMs refuse in a file's name
_REFUSED = frozenset('\\/:*?"<>|')


def _storable(name: str) -> bool:
    """Whether a CRM that refuses control and path characters, blank names and programs would take the name back."""
    plain = not any(char in _REFUSED or unicodedata.category(char) == "Cc" for char in name)
    return plain and bool(name.strip()) and not name.lower().endswith(".exe")


#: Notes of one record, attachments of e-mails, which may share bytes, and fields that hold a file.
NOTES_AND_MAILS = Mix(
    plain=Plan(Hang.RECORD_ATTACHMENT),
    once=(Plan(Hang.EMAIL_ATTACHMENT, trait=Trait.CAMPAIGN),),
    whole=60,
    shares=(
        (400, Plan(Hang.EMAIL_ATTACHMENT)),
        (40, Plan(Hang.EMAIL_ATTACHMENT, trait=Trait.SHARED)),
        (4, Plan(Hang.EMAIL_ATTACHMENT, trait=Trait.ALLIED)),
        (4, Plan(Hang.EMAIL_ATTACHMENT, trait=Trait.TORN)),
        (10, Plan(Hang.EMAIL_ATTACHMENT, trait=Trait.EQUAL)),
        (15, Plan(Hang.EMAIL_ATTACHMENT, Special.INLINE)),
        (4, Plan(Hang.EMAIL_ATTACHMENT, Special.DRAFT)),
        (2, Plan(Hang.EMAIL_ATTACHMENT, Special.DRAFT, Trait.SHARED)),
        (3, Plan(Hang.EMAIL_ATTACHMENT, Special.OUTGOING)),
        (6, Plan(Hang.EMAIL_ATTACHMENT, Special.RECENT)),
        (3, Plan(Hang.EMAIL_ATTACHMENT, Special.TEMPLATE)),
        (4, Plan(Hang.EMAIL_ATTACHMENT, Special.TINY)),
        (1, Plan(Hang.EMAIL_ATTACHMENT, Special.TINY, Trait.EMPTY)),
        (13, Plan(Hang.FILE_FIELD)),
        (2, Plan(Hang.FILE_FIELD, Special.UNLISTED)),
        (4, Plan(Hang.PICTURE_FIELD)),
        (1, Plan(Hang.PICTURE_FIELD, Special.UNLISTED)),
        (4, Plan(Hang.RECORD_ATTACHMENT, Special.WEB_PAGE)),
        (3, Plan(Hang.RECORD_ATTACHMENT, Special.POINTER)),
        (4, Plan(Hang.RECORD_ATTACHMENT, Special.TINY)),
        (3, Plan(Hang.RECORD_ATTACHMENT, trait=Trait.PRIVATE)),
        (8, Plan(Hang.RECORD_ATTACHMENT, trait=Trait.LEAVER)),
        (10, Plan(Hang.RECORD_ATTACHMENT, trait=Trait.EQUAL)),
    ),
    awkward_names=tuple(name for name in AWKWARD_NAMES if _storable(name)),
    remark_every=25,
)
