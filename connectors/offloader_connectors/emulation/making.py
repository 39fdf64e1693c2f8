"""Makes worlds: the same mix, number of documents and seed give the same world everywhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from offloader_connectors.emulation.corpus import EMPTY_INDEX, Corpus, dice_of, is_large, is_tiny, tiny_indices
from offloader_connectors.emulation.mixes import FILES, Mix, Plan, Trait
from offloader_connectors.emulation.places import NOWHERE_SHARE, PLACES, Place
from offloader_connectors.emulation.texts import file_name, paragraph
from offloader_connectors.emulation.world import (
    OUTSIDER,
    Account,
    Case,
    Document,
    Email,
    Furnishing,
    Hang,
    Opportunity,
    Person,
    Remark,
    Role,
    Shipment,
    Sort,
    Special,
    Stage,
    User,
    World,
)

#: Nothing in a world is younger; the clock is never read.
REFERENCE = datetime(2026, 10, 31, 18, 0, tzinfo=UTC)
#: One document hangs on so many records.
MANY_PARENTS = 40
#: One attachment is on so many e-mails, and in a world of fewer documents than CAMPAIGN_FROM on so many.
CAMPAIGN, SMALL_CAMPAIGN, CAMPAIGN_FROM = 50, 5, 500
_FIRST_DAY = datetime(2018, 1, 2, 8, 0, tzinfo=UTC)
_SPREAD_PARENTS = ((1, 82), (2, 13), (3, 4), (5, 1))
_SPREAD_SHARING = ((2, 70), (3, 20), (5, 10))
_LARGEST_WORLD = 1_000
_EUROPE = ("DE", "FR", "NL")
_ANYWHERE = "*"
_COUNTRIES: Sequence[str | None] = (*PLACES, None)
_SHARES = (*(place.share for place in PLACES.values()), NOWHERE_SHARE)
#: One e-mail attachment in so many has a content id that its e-mail's text does not use.
_IDLE_CONTENT_ID = 9
#: Companies looked at before a new one is made for a document that needs a free field.
_LOOKS = 20
_STAGES = {
    Special.INLINE: Stage.SENT,
    Special.DRAFT: Stage.DRAFT,
    Special.OUTGOING: Stage.OUTGOING,
    Special.RECENT: Stage.RECENT,
}
_KINDS = {
    Special.NOTE: "txt",
    Special.ASSET: "png",
    Special.WEB_PAGE: "png",
    Special.TINY: "txt",
    Special.INLINE: "png",
}
_BODILESS = (Special.LINK, Special.POINTER)
_SORTS = {Special.TEMPLATE: (Sort.TEMPLATE, "Order received"), Special.WEB_PAGE: (Sort.WEB_PAGE, "home.css")}


def make_world(documents: int, seed: int, mix: Mix = FILES) -> World:
    """Make a world with that many documents (each with one version or more)."""
    maker = _Maker(documents, seed, mix)
    maker.make_users()
    maker.make_records()
    made = tuple(maker.documents())
    return World(
        seed=seed,
        users=tuple(maker.users),
        accounts=tuple(maker.accounts),
        people=tuple(maker.people),
        cases=tuple(maker.cases),
        opportunities=tuple(maker.opportunities),
        emails=tuple(maker.emails),
        documents=made,
        shipments=tuple(maker.shipments),
        furnishings=tuple(maker.furnishings),
        remarks=tuple(maker.remarks()),
    )


@dataclass(slots=True)
class _Company:
    """An account with everything that hangs on it."""

    account: Account
    records: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    #: when each e-mail was sent
    emails: dict[str, datetime] = field(default_factory=dict)
    #: records whose fields hold nothing yet
    free: dict[Hang, list[str]] = field(default_factory=lambda: {Hang.FILE_FIELD: [], Hang.PICTURE_FIELD: []})


class _Records:
    """Users, companies, and what hangs on them."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.dice = dice_of(seed, "world")
        self.users: list[User] = []
        self.accounts: list[Account] = []
        self.people: list[Person] = []
        self.cases: list[Case] = []
        self.opportunities: list[Opportunity] = []
        self.emails: list[Email] = []
        self.shipments: list[Shipment] = []
        self.furnishings: list[Furnishing] = []
        self.companies: dict[str | None, list[_Company]] = {}
        self.sellers: dict[str | None, list[str]] = {}

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
                username=OUTSIDER if role is Role.OUTSIDER else f"{key}@sales.example.com",
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

    def _company(self, place: Place, country: str | None) -> _Company:
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
        company.free[Hang.FILE_FIELD].append(key)
        self.companies.setdefault(country, []).append(company)
        for _ in range(dice.randint(1, 3)):
            company.records.append(self._person(place, account))
            company.free[Hang.PICTURE_FIELD].append(company.records[-1])
        for _ in range(dice.randint(1, 3)):
            case = self._case(account)
            company.cases.append(case)
            company.records.append(case.key)
            for _ in range(dice.randint(1, 2)):
                email = self._email(company, case)
                company.emails[email.key] = email.sent
        for _ in range(dice.randint(0, 2)):
            company.records.append(self._opportunity(account))
        return company

    def _person(self, place: Place, account: Account) -> str:
        key = f"person-{len(self.people)}"
        first, last = self.dice.choice(place.first_names), self.dice.choice(place.last_names)
        self.people.append(
            Person(key=key, account=account.key, first_name=first, last_name=last, email=_address_of(key))
        )
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

    def _email(self, company: _Company, case: Case, stage: Stage = Stage.SENT, pictures: tuple[str, ...] = ()) -> Email:
        sent = REFERENCE if stage is Stage.RECENT else self._moment(_FIRST_DAY)
        email = Email(
            key=f"email-{len(self.emails)}",
            case=case.key,
            account=company.account.key,
            sender="service@sales.example.com",
            recipient=_address_of(case.person),
            subject=case.subject,
            text=paragraph(self.dice, company.account.language, 4),
            sent=sent,
            stage=stage,
            pictures=pictures,
        )
        self.emails.append(email)
        return email

    def _opportunity(self, account: Account) -> str:
        key = f"opportunity-{len(self.opportunities)}"
        name = f"{account.name} {self.dice.randint(2018, 2026)}"
        self.opportunities.append(Opportunity(key=key, account=account.key, name=name))
        return key

    def _shipment(self, account: Account) -> str:
        number = len(self.shipments)
        self.shipments.append(
            Shipment(key=f"shipment-{number}", account=account.key, number=f"S-{self.seed}-{number:05}")
        )
        return self.shipments[-1].key

    def _furnishing(self, sort: Sort, name: str) -> str:
        key = f"furnishing-{len(self.furnishings)}"
        self.furnishings.append(Furnishing(key=key, sort=sort, name=name))
        return key

    def _moment(self, after: datetime) -> datetime:
        seconds = int((REFERENCE - after).total_seconds())
        return after + timedelta(seconds=self.dice.randrange(max(1, seconds)))

    def _pick(self, country: str | None) -> _Company:
        """A company in that country, a few of them having most of the documents."""
        if country == _ANYWHERE:
            country = self.dice.choices(_COUNTRIES, _SHARES)[0]
        companies = self.companies[country]
        return companies[int(len(companies) * self.dice.random() ** 2)]

    def _drawn(self, spread: Iterable[tuple[int, int]]) -> int:
        values, weights = zip(*spread, strict=True)
        drawn: int = self.dice.choices(values, weights)[0]
        return drawn


def _address_of(person: str) -> str:
    return f"{person}@customer.example.org"


class _Maker(_Records):
    """The documents."""

    def __init__(self, count: int, seed: int, mix: Mix) -> None:
        super().__init__(count, seed)
        self.mix = mix
        self.corpus = Corpus(seed)
        self.bodies = itertools.count(EMPTY_INDEX + 1)
        self.tiny_bodies = tiny_indices()

    def documents(self) -> Iterator[Document]:
        """Every document, in an order that mixes all sorts."""
        plans = list(self.mix.plans(self.count))
        self.dice.shuffle(plans)
        first = iter((*PLACES, None))  # every country has a document, however small the world
        shown: list[Document] = []
        for number, plan in enumerate(plans):
            country = next(first, _ANYWHERE) if plan == self.mix.plain else _ANYWHERE
            company = self._pick("DE" if plan.trait in (Trait.ALLIED, Trait.TORN) else country)
            document = self._document(number, self._with_room(company, plan), plan)
            if plan.trait is Trait.EQUAL and shown:
                document = self._equal(document, self.dice.choice(shown))
            elif plan.trait is Trait.EMPTY:
                created = document.created[:1]
                document = replace(document, name="empty.txt", kind="txt", bodies=(EMPTY_INDEX,), created=created)
            elif plan.hang is self.mix.plain.hang and plan.special is None:
                shown = [*shown[-49:], document]
            yield document

    def _equal(self, document: Document, twin: Document) -> Document:
        """The document with the twin's bytes, under another name."""
        created = document.created
        if document.hang is Hang.FILE:
            created = tuple(sorted(self._moment(_FIRST_DAY) for _ in twin.bodies))
        name = file_name(self.dice, twin.kind, document.language)
        document = replace(document, kind=twin.kind, language=twin.language, bodies=twin.bodies)
        return replace(document, name=name, created=created)

    def remarks(self) -> Iterator[Remark]:
        for number in range(self.count // self.mix.remark_every if self.mix.remark_every else 0):
            company = self._pick(_ANYWHERE)
            text = paragraph(self.dice, company.account.language, 2)
            yield Remark(key=f"remark-{number}", parent=self.dice.choice(company.records), text=text)

    def _with_room(self, company: _Company, plan: Plan) -> _Company:
        """A company with a record whose field holds nothing yet, if the document goes into one."""
        if plan.special is Special.UNLISTED or plan.hang not in company.free:
            return company
        for _ in range(_LOOKS):
            if company.free[plan.hang]:
                return company
            company = self._pick(_ANYWHERE)
        place = self.dice.choice(tuple(PLACES.values()))
        return self._company(place, place.code)

    def _document(self, number: int, company: _Company, plan: Plan) -> Document:
        dice, account, special = self.dice, company.account, plan.special
        several = plan.hang is Hang.FILE and not special and dice.random() < 0.1
        versions = dice.choice((2, 2, 2, 3, 3, 5)) if several else 1
        bodies = tuple(self._body(plan) for _ in range(0 if special in _BODILESS else versions))
        kind = self._kind(plan, bodies[0] if bodies else number)
        name = self._name(number, kind, account.language)
        content_id = self._content_id(number, plan)
        parents = self._parents(company, plan, content_id)
        sent = [moment for parent in parents if (moment := self._sent(parent))]
        return Document(
            key=f"document-{number}",
            name=f"{name}.azure.txt" if special is Special.POINTER else name,
            kind=kind,
            language=account.language,
            hang=plan.hang,
            owner=self.leaver if plan.trait is Trait.LEAVER else dice.choice(self.sellers[account.country]),
            parents=parents,
            bodies=bodies,
            created=(min(sent),) if sent else tuple(sorted(self._moment(_FIRST_DAY) for _ in range(versions))),
            special=special,
            content_id=content_id,
        )

    def _body(self, plan: Plan) -> int:
        """The next body; an e-mail carries no large one."""
        if plan.special is Special.TINY:
            return next(self.tiny_bodies)
        small = plan.hang is Hang.EMAIL_ATTACHMENT
        no_tiny = Special.TINY in self.mix.specials
        return next(each for each in self.bodies if not (small and is_large(each)) and not (no_tiny and is_tiny(each)))

    def _kind(self, plan: Plan, index: int) -> str:
        if plan.hang is Hang.PICTURE_FIELD:
            return "jpeg"
        fixed = _KINDS.get(plan.special) if plan.special else None
        return fixed or self.corpus.kind(index)

    def _name(self, number: int, kind: str, language: str) -> str:
        """An ordinary name, or an odd one for every fifth of the first documents."""
        ordinary = file_name(self.dice, kind, language)
        awkward, rest = divmod(number, 5)
        names = self.mix.awkward_names
        return names[awkward % len(names)] if rest == 3 and awkward < 2 * len(names) else ordinary

    def _content_id(self, number: int, plan: Plan) -> str | None:
        if Special.INLINE not in self.mix.specials or plan.hang is not Hang.EMAIL_ATTACHMENT:
            return None
        used = plan.special is Special.INLINE or number % _IDLE_CONTENT_ID == 0
        return f"part{number}.{self.seed}@mail.example.com" if used else None

    def _sent(self, parent: str) -> datetime | None:
        table, _, number = parent.partition("-")
        return self.emails[int(number)].sent if table == "email" else None

    def _parents(self, company: _Company, plan: Plan, content_id: str | None) -> tuple[str, ...]:
        if plan.trait is Trait.PRIVATE:
            return ()
        if plan.special in _SORTS:
            return (self._furnishing(*_SORTS[plan.special]),)
        if plan.hang is Hang.EMAIL_ATTACHMENT:
            return self._emails(company, plan, content_id)
        return self._several(company, plan) if plan.hang is Hang.FILE else (self._one(company, plan),)

    def _one(self, company: _Company, plan: Plan) -> str:
        """The record of what can only hang on one."""
        if plan.special is Special.UNLISTED:
            return self._shipment(company.account)
        if plan.hang in company.free:
            free = company.free[plan.hang]
            return free.pop(self.dice.randrange(len(free)))
        return self.dice.choice(company.records)

    def _several(self, company: _Company, plan: Plan) -> tuple[str, ...]:
        """The records of a file."""
        if plan.special is Special.SENT_EMAIL:
            return (self.dice.choice(tuple(company.emails)),)
        if plan.trait in (Trait.ALLIED, Trait.TORN):
            return company.records[0], self._pick("US" if plan.trait is Trait.ALLIED else "CN").records[0]
        if plan.trait is Trait.MANY:
            everywhere = [record for code in _EUROPE for other in self.companies[code] for record in other.records]
            return tuple(self.dice.sample(everywhere, min(MANY_PARENTS, len(everywhere))))
        wanted = self._drawn(_SPREAD_PARENTS)
        return tuple(self.dice.sample(company.records, min(wanted, len(company.records))))

    def _emails(self, company: _Company, plan: Plan, content_id: str | None) -> tuple[str, ...]:
        """The e-mails of an attachment; what makes it special is an e-mail of its own."""
        if plan.trait is Trait.CAMPAIGN:
            reach = CAMPAIGN if self.count >= CAMPAIGN_FROM else SMALL_CAMPAIGN
            companies = [self._pick(self.dice.choice(_EUROPE)) for _ in range(reach)]
            return tuple(self._email(each, self.dice.choice(each.cases)).key for each in companies)
        parents: list[str] = []
        if plan.trait is Trait.SHARED:
            everywhere = [email for other in self.companies[company.account.country] for email in other.emails]
            parents += self.dice.sample(everywhere, min(self._drawn(_SPREAD_SHARING), len(everywhere)))
        if plan.special in _STAGES:
            pictures = (content_id,) if plan.special is Special.INLINE and content_id else ()
            case = self.dice.choice(company.cases)
            parents.append(self._email(company, case, _STAGES[plan.special], pictures).key)
        if not parents:
            parents.append(self.dice.choice(tuple(company.emails)))
        if plan.trait in (Trait.ALLIED, Trait.TORN):
            other = self._pick("US" if plan.trait is Trait.ALLIED else "CN")
            parents.append(self.dice.choice(tuple(other.emails)))
        return tuple(parents)
