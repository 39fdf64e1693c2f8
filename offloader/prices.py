"""What moving bytes saves a month, by list prices with their dates. A place without a listed price has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files

from offloader.psv import Row, rows

#: bytes; CRM storage and object storage are both sold by the binary gigabyte ("AWS price list, storage unit GB-Mo")
GIGABYTE = 1 << 30
_KILOBYTE = 1 << 10
_NO_STORE = "; store: no price"
FILES = ("crm_storage_prices", "object_storage_prices", "request_prices")
#: bytes; traffic is sold by the decimal gigabyte ("AWS price list, data transfer unit GB")
TRAFFIC_GIGABYTE = 10**9
_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class CrmPrice:
    """US dollars per gigabyte and month, when that was so (a year, or a span of years), and who says so."""

    usd: float
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class StorePrice:
    """US dollars per gigabyte and month, when that was so, and who says so (nobody: common knowledge).

    `minimum` bytes are billed for a smaller object, `overhead` bytes are billed on top of each. An object that is
    deleted earlier is billed for `days`. `retrieval` is US dollars per gigabyte that is read.
    """

    usd: float
    as_of: str
    source: str = ""
    minimum: int = 0
    overhead: int = 0
    days: int = 0
    retrieval: float = 0.0

    def month(self, sizes: Sequence[int]) -> float:
        """What objects of these sizes in bytes cost a month."""
        billed = sum(sizes) if not self.minimum else sum(max(size, self.minimum) for size in sizes)
        return (billed + len(sizes) * self.overhead) / GIGABYTE * self.usd

    def early_delete(self, sizes: Sequence[int], days: int) -> float:
        """The fee if objects of these sizes are deleted after so many days; the first days are paid as they pass."""
        return self.month(sizes) * max(self.days - max(days, 0), 0) / _MONTH_DAYS


@dataclass(frozen=True, slots=True)
class RequestPrice:
    """US dollars per write, per read, and per gigabyte that leaves to the internet; None where it is not listed."""

    put: float | None
    get: float | None
    egress: float | None
    as_of: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Saving:
    """US dollars a month at list prices. `store_usd` and `saved_usd` are None where the store has no listed price."""

    crm_usd: float
    store_usd: float | None
    saved_usd: float | None
    #: the prices used, with their dates and sources
    note: str


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices: of CRMs by (system, meter), of stores and of their requests by (provider, class, region)."""

    crm: Mapping[tuple[str, str], CrmPrice]
    store: Mapping[tuple[str, str, str], StorePrice]
    requests: Mapping[tuple[str, str, str], RequestPrice] = field(default_factory=dict)

    def monthly_saving(
        self, system: str, meter: str, size: int, *, objects: int = 0, store: tuple[str, str, str] | None = None
    ) -> Saving | None:
        """Estimate what `size` bytes in so many objects cost a month less outside the CRM.

        Capacity is bought in blocks and by contract, so this is what is avoided at the next purchase, not what
        this month's bill goes down by. None if the CRM's meter has no listed price.
        """
        crm = self.crm.get((system, meter))
        if crm is None:
            return None
        crm_usd = size / GIGABYTE * crm.usd
        note = f"{system} {meter} {crm.usd:g} USD per GB and month ({said(crm)})"
        price = self.store.get(store) if store is not None else None
        if store is None or price is None:
            return Saving(crm_usd, None, None, note + _NO_STORE)
        billed = max(size, objects * price.minimum) + objects * price.overhead
        store_usd = billed / GIGABYTE * price.usd
        note = f"{note}; {' '.join(store)} {price.usd:g} USD ({said(price)})"
        return Saving(crm_usd, store_usd, crm_usd - store_usd, note)

    def monthly_savings(self, moved: Iterable[tuple[tuple[str, str] | None, int]]) -> Saving | None:
        """Estimate what bytes moved out of several CRMs cost a month less there: a meter and a size in bytes each.

        A meter is (system, meter), as in a source plugin's `storage_price`. Bytes without a listed price count
        nothing, as the note says; None if no meter has one.
        """
        sizes: Counter[tuple[str, str] | None] = Counter()
        for meter, size in moved:
            sizes[meter] += size
        savings = [self.monthly_saving(*meter, size) if meter else None for meter, size in sizes.items()]
        known = [saving for saving in savings if saving is not None]
        if not known:
            return None
        unpriced = ["other bytes: no listed price"] if len(known) < len(savings) else []
        note = "; ".join([*(saving.note.removesuffix(_NO_STORE) for saving in known), *unpriced])
        return Saving(sum(saving.crm_usd for saving in known), None, None, note + _NO_STORE)


def load(texts: Mapping[str, str] | None = None) -> Prices:
    """Parse and validate price tables, those of this package where no other text is given.

    Raises ConfigError naming a bad cell.
    """
    folder = files("offloader") / "tables"
    shipped = {name: (folder / f"{name}.psv").read_text(encoding="utf-8") for name in FILES}
    texts = shipped | dict(texts or {})
    crm_columns = ("system", "meter", "price", "as_of", "source")
    place = ("provider", "class", "region")
    store_columns = (*place, "usd_per_gb_month", "min_days", "min_object_kb", "retrieval_usd_per_gb", "as_of", "source")
    request_columns = (*place, "put_usd_per_1000", "get_usd_per_1000", "egress_usd_per_gb", "as_of", "source")
    crm = rows("tables/crm_storage_prices.psv", texts["crm_storage_prices"], crm_columns)
    store = rows("tables/object_storage_prices.psv", texts["object_storage_prices"], store_columns)
    requests = rows("tables/request_prices.psv", texts["request_prices"], request_columns)
    return Prices(
        {
            (row.required("system"), row.required("meter")): CrmPrice(
                row.amount("price"), row.required("as_of"), row.text("source")
            )
            for row in crm
        },
        {_place(row): _store_price(row) for row in store},
        {_place(row): _request_price(row) for row in requests},
    )


def _place(row: Row) -> tuple[str, str, str]:
    return row.required("provider"), row.required("class"), row.required("region")


def _store_price(row: Row) -> StorePrice:
    count, _, kind = row.required("min_object_kb").partition(" ")
    if not count.isdigit() or kind not in ("", "overhead"):
        row.fail("min_object_kb", f"{count!r} is no number of kilobytes, with or without the word overhead")
    size = int(count) * _KILOBYTE
    price = StorePrice(
        row.amount("usd_per_gb_month"),
        row.required("as_of"),
        row.text("source"),
        days=row.whole("min_days"),
        retrieval=row.amount("retrieval_usd_per_gb"),
    )
    return replace(price, overhead=size) if kind else replace(price, minimum=size)


def _request_price(row: Row) -> RequestPrice:
    def each(column: str, units: int) -> float | None:
        return row.amount(column) / units if row.text(column) else None

    return RequestPrice(
        each("put_usd_per_1000", 1000),
        each("get_usd_per_1000", 1000),
        each("egress_usd_per_gb", 1),
        row.required("as_of"),
        row.text("source"),
    )


def said(price: CrmPrice | StorePrice | RequestPrice) -> str:
    """Of what kind a price is, when it was so, and who says so."""
    return ", ".join(filter(None, ("list", price.as_of, price.source)))
