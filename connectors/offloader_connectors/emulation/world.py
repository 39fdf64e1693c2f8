"""A believable CRM, told without any vendor's words: companies in eight countries, and their documents.

A world is a value: the same number of documents and seed give the same world everywhere. It holds no bytes;
a document names the bodies of its versions by their index in the corpus of the same seed.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from offloader_connectors.emulation.corpus import EMPTY_INDEX, Corpus, dice_of, is_large
from offloader_connectors.emulation.places import NOWHERE_SHARE, PLACES, Place
from offloader_connectors.emulation.texts import AWKWARD_NAMES, file_name, paragraph

#: Nothing in a world is younger; the clock is never read.
REFERENCE = datetime(2026, 10, 31, 18, 0, tzinfo=UTC)
_FIRST_DAY = datetime(2018, 1, 2, 8, 0, tzinfo=UTC)
#: One document hangs on so many records.
MANY_PARENTS = 40
_SPREAD_PARENTS = ((1, 82), (2, 13), (3, 4), (5, 1))
_LARGEST_WORLD = 1_000
_EUROPE = ("DE", "FR", "NL")
#: Where the bytes of a country's documents may go when there are stores in DE, US, AU and BR; set by hand from
#: the law, so that a demonstration can be checked without asking the decision engine. CN and RU: nowhere.
STORE_COUNTRY: Mapping[str, str] = {"DE": "DE", "FR": "DE", "NL": "DE", "US": "US", "AU": "AU", "BR": "BR"}


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
    #: an old-style attachment of one record, which is never an e-mail
    RECORD_ATTACHMENT = "record attachment"
    #: an old-style attachment of one sent e-mail
    EMAIL_ATTACHMENT = "e-mail attachment"


class Special(enum.StrEnum):
    """Why a file must stay where it is."""

    NOTE = "note"
    LINK = "link"
    ASSET = "asset"
    ARCHIVED = "archived"
    #: a file on a sent e-mail: no link can be put beside it without a permission of its own
    SENT_EMAIL = "sent e-mail"


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
class Email:
    """A sent e-mail about a case."""

    key: str
    case: str
    account: str
    sender: str
    recipient: str
    subject: str
    text: str
    sent: datetime


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
    #: keys of accounts, people, cases, opportunities or e-mails
    parents: tuple[str, ...]
    #: index in the corpus of each version, oldest first; equal indices (with equal kind and language) are equal bytes
    bodies: tuple[int, ...]
    #: when each version was made, oldest first
    created: tuple[datetime, ...]
    special: Special | None = None


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
    _countries: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def countries(self, document: Document) -> frozenset[str | None]:
        """Countries of the records that the document hangs on; None stands for a record without one."""
        if not self._countries:
            of_account = {account.key: account.country for account in self.accounts}
            self._countries.update(of_account)
            records: Iterator[Person | Case | Opportunity | Email]
            records = itertools.chain(self.people, self.cases, self.opportunities, self.emails)
            for record in records:
                self._countries[record.key] = of_account[record.account]
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


def make_world(documents: int, seed: int) -> World:
    """Make a world with that many documents (each with one version or more)."""
    maker = _Maker(documents, seed)
    maker.make_users()
    maker.make_records()
    return World(
        seed=seed,
        users=tuple(maker.users),
        accounts=tuple(maker.accounts),
        people=tuple(maker.people),
        cases=tuple(maker.cases),
        opportunities=tuple(maker.opportunities),
        emails=tuple(maker.emails),
        documents=tuple(maker.documents()),
    )


@dataclass(slots=True)
class _Company:
    """An account with everything that hangs on it."""

    account: Account
    records: list[str] = field(default_factory=list)
    #: when each e-mail was sent
    emails: dict[str, datetime] = field(default_factory=dict)


class _Maker:
    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.corpus = Corpus(seed)
        self.dice = dice_of(seed, "world")
        self.users: list[User] = []
        self.accounts: list[Account] = []
        self.people: list[Person] = []
        self.cases: list[Case] = []
        self.opportunities: list[Opportunity] = []
        self.emails: list[Email] = []
        self.companies: dict[str | None, list[_Company]] = {}
        self.sellers: dict[str | None, list[str]] = {}
        self.bodies = itertools.count(EMPTY_INDEX + 1)

    def make_users(self) -> None:
        self._user("Integration", "User", Role.ADMIN)
        self._user("No", "Access", Role.OUTSIDER)
        for place in PLACES.values():
            for _ in range(2):
                first, last = self.dice.choice(place.first_names), self.dice.choice(place.last_names)
                self.sellers.setdefault(place.code, []).append(self._user(first, last, Role.SALES, place.code))
        self.leaver = self._user("Left", "The Company", Role.SALES, "DE", active=False)
        self.sellers[None] = self.sellers["DE"]

    def _user(self, first: str, last: str, role: Role, country: str | None = None, *, active: bool = True) -> str:
        key = f"user-{len(self.users)}"
        self.users.append(
            User(
                key=key,
                first_name=first,
                last_name=last,
                username=f"{key}@sales.example.com",
                role=role,
                country=country,
                active=active,
            )
        )
        return key

    def make_records(self) -> None:
        total = min(_LARGEST_WORLD, max(24, self.count // 10))
        for place in PLACES.values():
            for _ in range(max(2, total * place.share // 100)):
                self._company(place, place.code)
        self._company(PLACES["NL"], None)

    def _company(self, place: Place, country: str | None) -> None:
        dice, key = self.dice, f"account-{len(self.accounts)}"
        text = place.native if dice.random() < 0.25 else place.name
        account = Account(
            key=key,
            name=f"{dice.choice(place.companies)} {dice.choice(place.towns)} {dice.choice(place.forms)}",
            town=dice.choice(place.towns) if country else None,
            country=country,
            country_text=text if country else None,
            language=place.language,
            owner=dice.choice(self.sellers[country]),
            created=_FIRST_DAY - timedelta(days=dice.randint(1, 700)),
        )
        self.accounts.append(account)
        company = _Company(account, [key])
        self.companies.setdefault(country, []).append(company)
        for _ in range(dice.randint(1, 3)):
            company.records.append(self._person(place, account))
        for _ in range(dice.randint(1, 3)):
            case = self._case(account)
            company.records.append(case.key)
            company.emails.update(self._email(account, case) for _ in range(dice.randint(1, 2)))
        for _ in range(dice.randint(0, 2)):
            company.records.append(self._opportunity(account))

    def _person(self, place: Place, account: Account) -> str:
        key = f"person-{len(self.people)}"
        first, last = self.dice.choice(place.first_names), self.dice.choice(place.last_names)
        email = f"{key}@customer.example.org"
        self.people.append(Person(key=key, account=account.key, first_name=first, last_name=last, email=email))
        return key

    def _case(self, account: Account) -> Case:
        case = Case(
            key=f"case-{len(self.cases)}",
            account=account.key,
            person=self.people[-1].key,
            subject=paragraph(self.dice, account.language, 1),
        )
        self.cases.append(case)
        return case

    def _email(self, account: Account, case: Case) -> tuple[str, datetime]:
        key = f"email-{len(self.emails)}"
        person, sent = self.people[-1], self._moment(_FIRST_DAY)
        self.emails.append(
            Email(
                key=key,
                case=case.key,
                account=account.key,
                sender="service@sales.example.com",
                recipient=person.email,
                subject=case.subject,
                text=paragraph(self.dice, account.language, 4),
                sent=sent,
            )
        )
        return key, sent

    def _opportunity(self, account: Account) -> str:
        key = f"opportunity-{len(self.opportunities)}"
        name = f"{account.name} {self.dice.randint(2018, 2026)}"
        self.opportunities.append(Opportunity(key=key, account=account.key, name=name))
        return key

    def _moment(self, after: datetime) -> datetime:
        seconds = int((REFERENCE - after).total_seconds())
        return after + timedelta(seconds=self.dice.randrange(max(1, seconds)))

    def documents(self) -> Iterator[Document]:
        """Every document, in an order that mixes all sorts."""
        plans = list(_plans(self.count))
        self.dice.shuffle(plans)
        first = iter((*PLACES, None))  # every country has a document, however small the world
        shown: list[Document] = []
        for number, (hang, special, trait) in enumerate(plans):
            country = next(first, _ANYWHERE) if (hang, special, trait) == _PLAIN else _ANYWHERE
            company = self._pick(country if trait is not _Trait.ALLIED and trait is not _Trait.TORN else "DE")
            document = self._document(number, company, hang, special, trait)
            if trait is _Trait.EQUAL and shown:
                twin = self.dice.choice(shown)
                created = tuple(sorted(self._moment(_FIRST_DAY) for _ in twin.bodies))
                name = file_name(self.dice, twin.kind, document.language)
                document = replace(
                    document, name=name, kind=twin.kind, language=twin.language, bodies=twin.bodies, created=created
                )
            elif trait is _Trait.EMPTY:
                created = document.created[:1]
                document = replace(document, name="empty.txt", kind="txt", bodies=(EMPTY_INDEX,), created=created)
            elif hang is Hang.FILE and special is None:
                shown = [*shown[-49:], document]
            yield document

    def _pick(self, country: str | None) -> _Company:
        """A company in that country, a few of them having most of the documents."""
        if country == _ANYWHERE:
            country = self.dice.choices(_COUNTRIES, _SHARES)[0]
        companies = self.companies[country]
        return companies[int(len(companies) * self.dice.random() ** 2)]

    def _document(
        self, number: int, company: _Company, hang: Hang, special: Special | None, trait: _Trait | None
    ) -> Document:
        dice, account = self.dice, company.account
        versions = dice.choice((2, 2, 2, 3, 3, 5)) if hang is Hang.FILE and not special and dice.random() < 0.1 else 1
        bodies = tuple(self._body(hang) for _ in range(0 if special is Special.LINK else versions))
        kind = {Special.NOTE: "txt", Special.ASSET: "png"}.get(special) if special else None
        kind = kind or self.corpus.kind(bodies[0] if bodies else number)
        name = file_name(dice, kind, account.language)
        awkward, rest = divmod(number, 5)
        if rest == 3 and awkward < 2 * len(AWKWARD_NAMES):
            name = AWKWARD_NAMES[awkward % len(AWKWARD_NAMES)]
        parents = self._parents(company, hang, special, trait)
        sent = company.emails.get(parents[0]) if parents else None
        return Document(
            key=f"document-{number}",
            name=name,
            kind=kind,
            language=account.language,
            hang=hang,
            owner=self.leaver if trait is _Trait.LEAVER else dice.choice(self.sellers[account.country]),
            parents=parents,
            bodies=bodies,
            created=(sent,) if sent else tuple(sorted(self._moment(_FIRST_DAY) for _ in range(versions))),
            special=special,
        )

    def _body(self, hang: Hang) -> int:
        """The next body; an e-mail carries no large one."""
        return next(index for index in self.bodies if hang is not Hang.EMAIL_ATTACHMENT or not is_large(index))

    def _parents(self, company: _Company, hang: Hang, special: Special | None, trait: _Trait | None) -> tuple[str, ...]:
        dice = self.dice
        if hang is Hang.EMAIL_ATTACHMENT or special is Special.SENT_EMAIL:
            return (dice.choice(tuple(company.emails)),)
        if hang is Hang.RECORD_ATTACHMENT:
            return (dice.choice(company.records),)
        if trait is _Trait.PRIVATE:
            return ()
        if trait in (_Trait.ALLIED, _Trait.TORN):
            other = self._pick("US" if trait is _Trait.ALLIED else "CN")
            return company.records[0], other.records[0]
        if trait is _Trait.MANY:
            everywhere = [record for code in _EUROPE for other in self.companies[code] for record in other.records]
            return tuple(dice.sample(everywhere, min(MANY_PARENTS, len(everywhere))))
        wanted = dice.choices(*zip(*_SPREAD_PARENTS, strict=True))[0]
        return tuple(dice.sample(company.records, min(wanted, len(company.records))))


class _Trait(enum.Enum):
    """What is odd about a plain file."""

    PRIVATE = enum.auto()  # on no record at all
    ALLIED = enum.auto()  # on records in DE and US
    TORN = enum.auto()  # on records in DE and CN
    LEAVER = enum.auto()  # owned by an inactive user
    EQUAL = enum.auto()  # the same bytes as another one
    EMPTY = enum.auto()  # of no bytes
    MANY = enum.auto()  # on MANY_PARENTS records


_Plan = tuple[Hang, Special | None, _Trait | None]
_PLAIN: _Plan = (Hang.FILE, None, None)
_ANYWHERE = "*"
_COUNTRIES: Sequence[str | None] = (*PLACES, None)
_SHARES = (*(place.share for place in PLACES.values()), NOWHERE_SHARE)
#: per mille of all documents; what is left is plain files
_MIX: Sequence[tuple[int, _Plan]] = (
    (120, (Hang.RECORD_ATTACHMENT, None, None)),
    (80, (Hang.EMAIL_ATTACHMENT, None, None)),
    (8, (Hang.FILE, Special.NOTE, None)),
    (8, (Hang.FILE, Special.LINK, None)),
    (5, (Hang.FILE, Special.ASSET, None)),
    (5, (Hang.FILE, Special.ARCHIVED, None)),
    (10, (Hang.FILE, Special.SENT_EMAIL, None)),
    (5, (Hang.FILE, None, _Trait.PRIVATE)),
    (5, (Hang.FILE, None, _Trait.ALLIED)),
    (5, (Hang.FILE, None, _Trait.TORN)),
    (8, (Hang.FILE, None, _Trait.LEAVER)),
    (20, (Hang.FILE, None, _Trait.EQUAL)),
    (1, (Hang.FILE, None, _Trait.EMPTY)),
)
#: From so many documents on, a world has one of everything.
_WHOLE = 30


def _plans(count: int) -> Iterator[_Plan]:
    least = 1 if count >= _WHOLE else 0
    planned = least
    if least:
        yield Hang.FILE, None, _Trait.MANY
    for share, plan in _MIX:
        times = max(least, round(count * share / 1000))
        planned += times
        yield from itertools.repeat(plan, times)
    yield from itertools.repeat(_PLAIN, count - planned)
