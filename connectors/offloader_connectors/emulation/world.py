"""A believable CRM as a value, told without any vendor's words: companies in eight countries, and their documents.

`making.make_world` makes one. It holds no bytes; a document names the bodies of its versions by their index in the
corpus of the same seed.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

#: Where the bytes of a country's documents may go when there are stores in DE, US, AU and BR; set by hand from
#: the law, so that a demonstration can be checked without asking the decision engine. CN and RU: nowhere.
STORE_COUNTRY: Mapping[str, str] = {"DE": "DE", "FR": "DE", "NL": "DE", "US": "US", "AU": "AU", "BR": "BR"}

#: Name of the user who may see nothing.
OUTSIDER = "user-1@sales.example.com"


class Role(enum.StrEnum):
    """What a user is there for."""

    ADMIN = "admin"
    SALES = "sales"
    #: may log in and may see nothing
    OUTSIDER = "outsider"


class Hang(enum.StrEnum):
    """How a document hangs on its records."""

    #: a file with versions, on any number of records
    FILE = "file"
    #: an attachment or a note of one record, which is never an e-mail
    RECORD_ATTACHMENT = "record attachment"
    #: an attachment of an e-mail; of several e-mails when they share its bytes
    EMAIL_ATTACHMENT = "e-mail attachment"
    #: in a field of one record, which holds one file
    FILE_FIELD = "file field"
    #: in a field of one record, which holds one picture
    PICTURE_FIELD = "picture field"


class Special(enum.StrEnum):
    """Why a document must stay where it is."""

    NOTE = "note"
    LINK = "link"
    ASSET = "asset"
    ARCHIVED = "archived"
    #: a file on a sent e-mail: no link can be put beside it without a permission of its own
    SENT_EMAIL = "sent e-mail"
    #: a picture that the text of its e-mail shows
    INLINE = "inline picture"
    #: on an e-mail that somebody is still writing
    DRAFT = "draft e-mail"
    #: on an e-mail that is about to be sent
    OUTGOING = "outgoing e-mail"
    #: on an e-mail of the last days, which somebody may still be working with
    RECENT = "recent e-mail"
    TEMPLATE = "template"
    WEB_PAGE = "web page"
    #: on a record of a sort that nobody has named for moving
    UNLISTED = "unlisted record"
    #: another program has moved the file away and left a pointer to it
    POINTER = "foreign pointer"
    #: too small to be worth moving
    TINY = "tiny"


class Stage(enum.StrEnum):
    """How far an e-mail has come."""

    SENT = "sent"
    #: sent in the last days, by the clock of whoever loads the world
    RECENT = "recent"
    DRAFT = "draft"
    OUTGOING = "outgoing"


class Sort(enum.StrEnum):
    """What a record of the program itself is."""

    TEMPLATE = "template"
    WEB_PAGE = "web page"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    key: str
    first_name: str
    last_name: str
    username: str
    role: Role
    country: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A company. `country` is an ISO 3166-1 alpha-2 code, `country_text` what a user typed; one has neither."""

    key: str
    name: str
    town: str | None
    country: str | None
    country_text: str | None
    language: str
    owner: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A contact at a company."""

    key: str
    account: str
    first_name: str
    last_name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    key: str
    account: str
    person: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    key: str
    account: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A record of a sort that the CRM's own users have added."""

    key: str
    account: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnishing:
    """A record that belongs to the program and to no company."""

    key: str
    sort: Sort
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A note of text alone on a record: no document."""

    key: str
    parent: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """An e-mail about a case, sent unless `stage` says otherwise."""

    key: str
    case: str
    account: str
    sender: str
    recipient: str
    subject: str
    text: str
    sent: datetime
    stage: Stage = Stage.SENT
    #: content ids (RFC 2392) of the pictures that its text shows
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: what it is called, what is in it, where it hangs."""

    key: str
    name: str
    #: kind and language of its bodies, for `Corpus.make`
    kind: str
    language: str
    hang: Hang
    owner: str
    #: keys of accounts, people, cases, opportunities, e-mails, shipments or furnishings
    parents: tuple[str, ...]
    #: index in the corpus of each version, oldest first; equal indices (with equal kind and language) are equal bytes
    bodies: tuple[int, ...]
    #: when each version was made, oldest first
    created: tuple[datetime, ...]
    special: Special | None = None
    #: what the text of an e-mail would call it by, whether it does or not
    content_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything in the CRM. Keys are unique over all types and stable for a seed."""

    seed: int
    users: tuple[User, ...]
    accounts: tuple[Account, ...]
    people: tuple[Person, ...]
    cases: tuple[Case, ...]
    opportunities: tuple[Opportunity, ...]
    emails: tuple[Email, ...]
    documents: tuple[Document, ...]
    shipments: tuple[Shipment, ...] = ()
    furnishings: tuple[Furnishing, ...] = ()
    remarks: tuple[Remark, ...] = ()
    _countries: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def countries(self, document: Document) -> frozenset[str | None]:
        """Countries of the records that the document hangs on; None stands for a record without one."""
        if not self._countries:
            of_account = {account.key: account.country for account in self.accounts}
            self._countries.update(of_account)
            records: Iterator[Person | Case | Opportunity | Email | Shipment]
            records = itertools.chain(self.people, self.cases, self.opportunities, self.emails, self.shipments)
            for record in records:
                self._countries[record.key] = of_account[record.account]
            self._countries.update(dict.fromkeys(furnishing.key for furnishing in self.furnishings))
        return frozenset(self._countries[parent] for parent in document.parents)

    def expected_country(self, document: Document) -> str | None:
        """The country of the store where the bytes belong when there are stores in DE, US, AU and BR.

        None: the bytes may not leave the CRM (no country known, no store allowed, or countries in conflict).
        """
        countries = self.countries(document)
        stores = {STORE_COUNTRY.get(country or "") for country in countries}
        if stores == {"DE", "US"}:  # what Europe's rules ask for, no American rule forbids
            return "DE"
        return stores.pop() if len(stores) == 1 else None

    def must_stay(self, document: Document) -> bool:
        """Whether the document has to be in the CRM, untouched, when everything is done."""
        return document.special is not None or self.expected_country(document) is None
