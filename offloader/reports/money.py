"""What a plan saves: document by document at list prices, with every price's date, and what has no price left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from offloader.ledger.reporting import PlanLine
from offloader.ports import Tariff
from offloader.prices import GIGABYTE, TRAFFIC_GIGABYTE, CrmPrice, Prices, RequestPrice, StorePrice
from offloader.reports.facets import Facet
from offloader.reports.message import Message
from offloader.reports.message import marked as _
from offloader.reports.model import Count, Money
from offloader.reports.sums import Tally


@dataclass(frozen=True, slots=True)
class _Rates:
    """How documents of one source are paid there, and in the stores that they go to."""

    #: US dollars a byte and month, None without a listed price
    crm: float | None
    #: None if any of the stores has no listed price
    stores: tuple[StorePrice, ...] | None
    #: US dollars for one object's writes, None if any of the stores lists none
    put: float | None


@dataclass(frozen=True, slots=True)
class Bill:
    """One document in US dollars: a month in the CRM and in its stores, and once for the writes and early deletion."""

    crm: float
    store: float
    once: float | None

    @property
    def saved(self) -> float:
        return self.crm - self.store


class Biller:
    """Reckons bills. `today` is the day from which an early deletion is counted."""

    def __init__(
        self,
        prices: Prices,
        meters: Mapping[str, tuple[str, str] | None],
        tariffs: Mapping[str, Tariff | None],
        today: date,
    ) -> None:
        self._prices = prices
        self._meters = meters
        self._tariffs = tariffs
        self._today = today
        self._rates: dict[tuple[str, tuple[str, ...]], _Rates] = {}

    def bill(self, line: PlanLine, facet: Facet) -> Bill | None:
        """One document's bill; None if it stays, or a price that it needs is not listed."""
        if not facet.stores:
            return None
        rates = self.rates(line.source, facet.stores)
        if rates.crm is None or rates.stores is None:
            return None
        sizes = [part.size or 0 for part in line.parts]
        once = None if rates.put is None else rates.put * len(sizes)
        if facet.erase_by is not None and once is not None:
            days = (facet.erase_by - self._today).days
            once += sum(price.early_delete(sizes, days) for price in rates.stores)
        return Bill(sum(sizes) * rates.crm, sum(price.month(sizes) for price in rates.stores), once)

    def rates(self, source: str, stores: tuple[str, ...]) -> _Rates:
        known = self._rates.get((source, stores))
        if known is None:
            known = self._rates[source, stores] = self._look_up(source, stores)
        return known

    def _look_up(self, source: str, stores: tuple[str, ...]) -> _Rates:
        meter = self._meters.get(source)
        crm = self._prices.crm.get(meter) if meter else None
        listed = [self._listed(store) for store in stores]
        puts = [price.put if price else None for _, price in listed]
        known = [price for price, _ in listed if price is not None]
        return _Rates(
            None if crm is None else crm.usd / GIGABYTE,
            tuple(known) if len(known) == len(stores) else None,
            None if None in puts else sum(put for put in puts if put is not None),
        )

    def _listed(self, store: str) -> tuple[StorePrice | None, RequestPrice | None]:
        tariff = self._tariffs.get(store)
        if tariff is None:
            return None, None
        return self._prices.store.get(tariff), self._prices.requests.get(tariff)

    def notes(self, sources: Sequence[str], stores: Sequence[str]) -> list[Message]:
        """Every price that was used, and what is not listed, a sentence each."""
        found = [self._crm_note(source) for source in sources]
        for store in stores:
            found.extend(self._store_notes(store))
        return list(dict.fromkeys(found))

    def _crm_note(self, source: str) -> Message:
        meter = self._meters.get(source)
        price = self._prices.crm.get(meter) if meter else None
        if meter is None or price is None:
            return Message(_("source {source}: no price"), source=source)
        return Message(
            _("{what}: {usd} USD per GB and month ({price})"),
            what=" ".join(meter).replace("_", " "),
            usd=price.usd,
            price=_listed(price),
        )

    def _store_notes(self, store: str) -> list[Message]:
        tariff = self._tariffs.get(store)
        price, requests = self._listed(store)
        if tariff is None:
            return [Message(_("store {store}: no price"), store=store)]
        name = " ".join(tariff)
        if price is None:
            return [Message(_("store {store} ({what}): no price"), store=store, what=name)]
        month = Message(
            _("{what}: {usd} USD per GB and month ({price}){minima}"),
            what=name,
            usd=price.usd,
            price=_listed(price),
            minima=_minima(price),
        )
        if requests is None:
            return [month, Message(_("{what}, requests and traffic: no price"), what=name)]
        calls = Message(
            _("{what}: writes {put}; reads {get}; to the internet {egress} ({price})"),
            what=name,
            put=_thousand(requests.put),
            get=_thousand(requests.get),
            egress=_NO_PRICE if requests.egress is None else Message(_("{usd} USD per GB"), usd=requests.egress),
            price=_listed(requests),
        )
        return [month, calls]


_NO_PRICE = Message(_("no price"))


def _listed(price: CrmPrice | StorePrice | RequestPrice) -> Message:
    """Of what kind a price is, when it was so, and who says so."""
    if price.source:
        return Message(_("list, {as_of}, {source}"), as_of=price.as_of, source=price.source)
    return Message(_("list, {as_of}"), as_of=price.as_of)


def _thousand(each: float | None) -> Message:
    return _NO_PRICE if each is None else Message(_("{usd} USD per 1,000"), usd=round(each * 1000, 9))


def _minima(price: StorePrice) -> tuple[Message, ...]:
    parts = (
        (_("; at least {n} kB an object"), price.minimum // 1024),
        (_("; {n} kB more an object"), price.overhead // 1024),
        (_("; at least {n} days"), price.days),
        (_("; reading {n} USD per GB"), price.retrieval),
    )
    return tuple(Message(text, n=value) for text, value in parts if value)


@dataclass(slots=True)
class Account:
    """Adds up the bills of a plan's moves."""

    biller: Biller
    crm: float = 0.0
    store: float = 0.0
    once: float | None = 0.0
    #: CRM price of what is not in the sums, because its store has no price
    crm_alone: float | None = None
    priced: int = 0
    losers: Tally = field(default_factory=Tally)
    unpriced: Counter[str] = field(default_factory=Counter)
    unpriced_bytes: Counter[str] = field(default_factory=Counter)
    sources: set[str] = field(default_factory=set)
    stores: set[str] = field(default_factory=set)

    def add(self, line: PlanLine, facet: Facet) -> None:
        if not facet.stores:
            return
        self.sources.add(line.source)
        self.stores.update(facet.stores)
        bill = self.biller.bill(line, facet)
        if bill is None:
            self._without_price(line, facet)
            return
        self.priced += 1
        self.crm += bill.crm
        self.store += bill.store
        self.once = None if self.once is None or bill.once is None else self.once + bill.once
        if bill.saved < 0:
            self.losers.add(1, line.versions, line.size)

    def _without_price(self, line: PlanLine, facet: Facet) -> None:
        rates = self.biller.rates(line.source, facet.stores)
        self.unpriced[", ".join(facet.stores)] += 1
        self.unpriced_bytes[", ".join(facet.stores)] += line.size
        if rates.crm is not None:
            self.crm_alone = (self.crm_alone or 0.0) + rates.crm * line.size

    def money(self) -> Money | None:
        """The sums; None if nothing moves, or nothing that moves has any price."""
        notes = (*self._left_out(), *self.biller.notes(sorted(self.sources), sorted(self.stores)), *_NOT_IN_SUM)
        if not self.priced and self.crm_alone is None:
            return None
        if not self.priced:
            return Money(
                crm_month=self.crm_alone,
                store_month=None,
                requests_once=None,
                saved_month=None,
                months_to_earn=None,
                losers=Count(),
                notes=notes,
            )
        saved = self.crm - self.store
        return Money(
            crm_month=self.crm,
            store_month=self.store,
            requests_once=self.once,
            saved_month=saved,
            months_to_earn=self.once / saved if self.once is not None and saved > 0 else None,
            losers=self.losers.count(),
            notes=notes,
        )

    def _left_out(self) -> list[Message]:
        if not self.priced:
            return [
                Message(_("no store that documents go to has a listed price: only what the CRM asks for them is known"))
            ]
        text = _(
            "not in any sum: {documents} documents ({bytes} bytes) that go to {stores}, for which no price is listed"
        )
        return [
            Message(text, documents=count, bytes=self.unpriced_bytes[stores], stores=stores)
            for stores, count in sorted(self.unpriced.items())
        ]


_NOT_IN_SUM = (
    Message(
        _("storage is reckoned in GB of {storage} bytes, traffic in GB of {traffic} bytes; one write an object"),
        storage=GIGABYTE,
        traffic=TRAFFIC_GIGABYTE,
    ),
    Message(
        _("not in any sum: reading documents through their links, checking them again, and the offloader's own machine")
    ),
    Message(_("CRM storage is bought in blocks and by contract: what is saved is avoided at the next purchase")),
)
