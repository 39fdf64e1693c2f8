"""A believable report of a logistics company: Dutch, German, French, American, Chinese and Russian records."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from offloader.reports.acts.model import ActsReport, Line, Tally
from offloader.reports.message import Message
from offloader.reports.model import (
    Count,
    Difference,
    Forecast,
    Head,
    Mode,
    Money,
    PolicyFacts,
    Report,
    Row,
    SignOff,
    SourceFacts,
    StorageForecast,
    TargetFacts,
)

NOW = datetime(2026, 11, 22, 6, 45, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """What one group of documents has in common, and how often it comes."""

    laws: tuple[str, ...]
    category: str
    verdict: str
    code: str
    reason: str
    rules: tuple[tuple[str, str, str, str], ...]
    narrowing: str
    countries: tuple[str, ...]
    store: str = ""
    weight: int = 1


EEA = tuple(re.findall("..", "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEISITLILTLULVMTNLNOPLPTROSESISK"))
EU01 = (
    "EU-01",
    "COND",
    "tables/rules.psv:2",
    "without a transfer basis only in 46 places; GDPR Art 44-49 (Chapter V)",
)
DE02 = ("DE-02", "HARD", "tables/rules.psv:9", "all copies only in {DE}; AO §146(2) domestic storage")
CN01 = ("CN-01", "HARD", "tables/rules.psv:17", "all copies only in {CN}; PIPL Art 40")
RU01 = ("RU-01", "PRIMARY", "tables/rules.psv:22", "every copy of ours only in {RU}; 152-FZ Art 18(5)")
US06 = ("US-06", "DENY", "tables/rules.psv:31", "never in {CN, CU, HK, IR, KP, MO, RU, VE}; 28 CFR 202")
FR01 = ("FR-01", "HARD", "tables/rules.psv:12", "all copies only in 30 places; Code de la sante publique L1111-8")
OVERDUE = (
    "FR-01",
    "REVIEW_OVERDUE",
    "tables/rules.psv:12",
    "still applied, but it should have been looked at again by 2026-10-01",
)
CASES = (
    Case(
        ("NL",),
        "personal_data",
        "MOVE",
        "PLACED",
        "amsterdam is in {NL}, PROVEN",
        (EU01,),
        "249 places; EU-01 -203 -> 46 places",
        EEA,
        "amsterdam",
        41,
    ),
    Case(
        ("DE",),
        "invoices",
        "MOVE",
        "PLACED",
        "frankfurt is in {DE}, PROVEN",
        (EU01, DE02),
        "249 places; EU-01 -203; DE-02 -45 -> {DE}",
        ("DE",),
        "frankfurt",
        24,
    ),
    Case(
        ("FR",),
        "health_data",
        "MOVE",
        "PLACED",
        "frankfurt is in {DE}, PROVEN",
        (EU01, FR01, OVERDUE),
        "249 places; EU-01 -203; FR-01 -16 -> 30 places",
        EEA,
        "frankfurt",
        9,
    ),
    Case(
        ("US",),
        "personal_data",
        "MOVE",
        "PLACED",
        "virginia is in {US}, ATTESTED",
        (US06,),
        "249 places; US-06 -8 -> 241 places",
        ("US",),
        "virginia",
        8,
    ),
    Case(
        ("NL",),
        "personal_data",
        "KEEP",
        "recent-mail",
        "on a mail that was changed not long ago (mail_min_age_days)",
        (),
        "",
        (),
        "",
        6,
    ),
    Case(
        ("DE",),
        "invoices",
        "KEEP",
        "BELOW_MIN_BYTES",
        "412 bytes are less than min_bytes, 2048",
        (),
        "",
        (),
        "",
        3,
    ),
    Case(
        ("CN",),
        "personal_data",
        "BLOCKED",
        "NO_COMPLIANT_TARGET",
        "no store lies wholly in {CN} (CN-01); stores: amsterdam {NL} PROVEN, frankfurt {DE} PROVEN",
        (CN01,),
        "249 places; CN-01 -248 -> {CN}",
        ("CN",),
        "",
        4,
    ),
    Case(
        ("CN", "RU"),
        "personal_data",
        "REVIEW",
        "SPLIT_REQUIRED",
        "its records' countries leave no common place (CN-01, RU-01); a separate file for each could be moved",
        (CN01, RU01),
        "249 places; CN-01 -248; RU-01 -1 -> {}",
        (),
        "",
        2,
    ),
    Case(
        ("RU",),
        "personal_data",
        "BLOCKED",
        "NO_COMPLIANT_TARGET",
        "no store lies wholly in {RU} (RU-01, RU-02); stores: amsterdam {NL} PROVEN, frankfurt {DE} PROVEN",
        (RU01,),
        "249 places; RU-01 -248 -> {RU}",
        ("RU",),
        "",
        2,
    ),
    Case(
        (),
        "personal_data",
        "REVIEW",
        "UNKNOWN_SIGNAL",
        "Account 0015g00000XyZ has no country",
        (),
        "",
        (),
        "",
        1,
    ),
)
STORES: Mapping[str, tuple[str, str]] = {
    "amsterdam": ("NL", "PROVEN"),
    "frankfurt": ("DE", "PROVEN"),
    "virginia": ("US", "ATTESTED"),
}
SUBJECTS = ("CMR waybill", "Proof of delivery", "Damage photo", "Freight invoice", "Customs declaration", "Driver ID")


def sha(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def rows(documents: int, mode: Mode = Mode.DRY_RUN) -> Iterator[Row]:
    """So many documents, the same every time; in a run, most moves are done and a few are not."""
    wheel = [case for case in CASES for _ in range(case.weight)]
    for number in range(1, documents + 1):
        case = wheel[int(sha("case", number)[:8], 16) % len(wheel)]
        yield _row(number, case, mode)


def _row(number: int, case: Case, mode: Mode) -> Row:
    luck = int(sha("luck", number)[:8], 16)
    dynamics = luck % 5 == 0
    at = NOW - timedelta(days=20 + luck % 2400, minutes=luck % 997)
    place, assurance = STORES.get(case.store, ("", ""))
    stuck = case.verdict in {"BLOCKED", "REVIEW"}
    land = case.laws[0] if case.laws else ""
    title = f"{SUBJECTS[luck % len(SUBJECTS)]} {land or 'XX'}-{number:05d}.pdf"
    parent = ("account" if dynamics else "Account", f"0015g{number % 4099:010d}AAA")
    moved = {"MOVE": "done", "KEEP": "kept", "BLOCKED": "blocked", "REVIEW": "review"}[case.verdict]
    moved = "conflict" if case.store and luck % 211 == 0 else moved
    done = mode is Mode.RUN and moved == "done"
    return Row(
        number=number,
        source="dynamics" if dynamics else "salesforce",
        kind="annotation" if dynamics else "ContentDocument",
        id=f"{sha('id', number)[:8]}-{number:04d}" if dynamics else f"0695g{number:010d}AAA",
        name=sha("title", title)[:16],
        parents=(parent,),
        bytes=412 if case.code == "BELOW_MIN_BYTES" else 20_000 + luck % 4_000_000,
        versions=1 + (luck % 7 == 0),
        mime="image/jpeg" if "photo" in title else "application/pdf",
        created=at,
        modified=at + timedelta(hours=luck % 400),
        checksum=f"md5:{sha('md5', number)[:32]}",
        verdict=case.verdict,
        code=case.code,
        reason=case.reason,
        jurisdictions=case.laws,
        signals=tuple(f"{parent[0]} {parent[1]}: country {law}" for law in case.laws),
        categories=(case.category,),
        clauses=("old-freight-documents",) if case.store else (),
        rules=case.rules,
        narrowing=case.narrowing,
        countries=case.countries,
        source_countries=("IE",) if dynamics else ("DE",),
        store=case.store,
        copies=(),
        store_countries=(place,) if place else (),
        assurance=assurance,
        proof=sha("proof", case.store) if case.store else "",
        bases=(),
        keep_until=date(at.year + 8, 12, 31) if case.category == "invoices" else None,
        erase_by=None,
        retention=("DE-R2",) if case.category == "invoices" else (),
        holds=(),
        owner="privacy@kade-logistics.example" if stuck else "",
        due=date(2026, 12, 22) if stuck else None,
        saved_month=round(luck % 4_000_000 / 1e9 * 4.9, 6) if case.store else None,
        outcome=moved if mode is Mode.RUN else "",
        stored=((case.store, f"documents/salesforce/{sha('key', number)[:12]}"),) if done else (),
        sha256=sha("body", number) if done else "",
        done_at=NOW + timedelta(seconds=number) if done else None,
        detail="somebody changed it after it was read; it stays" if moved == "conflict" else "",
    )


def report(documents: int, mode: Mode = Mode.DRY_RUN, **changes: Any) -> Report:
    """A whole report of that many documents, its sums reckoned from its rows."""
    made = _Sums(documents, mode)
    plan = sha("plan", documents)
    base = _around(plan, mode)
    whole = Report(
        **base,
        targets=tuple(_target(name, made.stores[name]) for name in STORES),
        totals=made.totals,
        codes=made.codes,
        examples=made.examples,
        by_law=made.by_law,
        matrix=made.matrix,
        held=Count(),
        retention_conflicts=Count(),
        data_quality={"Account … has no country": made.codes.get(("REVIEW", "UNKNOWN_SIGNAL"), Count()).documents}
        if documents
        else {},
        outcomes=made.outcomes if mode is Mode.RUN else {},
        sample=tuple(made.moves[:: max(1, len(made.moves) // 20)][:20]),
        exceptions=tuple(made.stuck[: Report.EXCEPTIONS]),
        exceptions_total=len(made.stuck),
        money=_money(made) if documents else None,
        forecast=_forecast(made) if documents else None,
        difference=_difference() if documents else None,
        rows=lambda: rows(documents, mode),
    )
    return replace(whole, **changes)


class _Sums:
    """What the rows come to."""

    def __init__(self, documents: int, mode: Mode) -> None:
        self.examples: dict[tuple[str, str], str] = {}
        self.moves: list[int] = []
        self.stuck: list[int] = []
        sums: dict[str, dict[Any, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for row in rows(documents, mode):
            place = row.store_countries[0] if row.store_countries else ""
            keys: dict[str, Any] = {
                "totals": row.verdict,
                "codes": (row.verdict, row.code),
                "by_law": (" ".join(row.jurisdictions), row.categories[0], place),
                "stores": row.store,
                "outcomes": row.outcome,
            }
            if row.store:
                keys["matrix"] = (row.source_countries[0], place)
                self.moves.append(row.number)
            if row.verdict in {"BLOCKED", "REVIEW"}:
                self.stuck.append(row.number)
            self.examples.setdefault((row.verdict, row.code), row.reason)
            for name, key in keys.items():
                sums[name][key].update(documents=1, versions=row.versions, bytes=row.bytes)
        done = {name: {key: Count(**part) for key, part in parts.items()} for name, parts in sums.items()}
        self.totals: dict[str, Count] = done.get("totals", {})
        self.codes: dict[tuple[str, str], Count] = done.get("codes", {})
        self.by_law: dict[tuple[str, str, str], Count] = done.get("by_law", {})
        self.matrix: dict[tuple[str, str], Count] = done.get("matrix", {})
        self.outcomes: dict[str, Count] = done.get("outcomes", {})
        self.stores = defaultdict(Count, done.get("stores", {}))
        self.moved = self.totals.get("MOVE", Count())


def acts_report(records: int) -> ActsReport:
    """A purge of shipment confirmations, of which one in five is held; notes hang on some."""
    lines = [_line(number) for number in range(1, records + 1)]
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for line in lines:
        tallies[line.act].add(line)
    around = _around(sha("acts"), Mode.DRY_RUN)
    return ActsReport(
        **{name: around[name] for name in Head.__dataclass_fields__ if name in around},
        targets=(_target("frankfurt", Count()),),
        kind="purge",
        acts=tallies,
        rules={("crm/old", act): tally for act, tally in tallies.items()},
        types={("crm/Shipment__c", act): tally for act, tally in tallies.items()},
        codes={(act, "OLD" if act == "delete" else "HELD"): tally for act, tally in tallies.items()},
        examples={(line.act, line.code): line.reasons[-1][1] for line in lines},
        leaves={},
        goes={"frankfurt": tallies["delete"].count},
        outcomes={},
        unfinished={},
        caps={"documents": 10.0},
        over=(f"it deletes {records} records, the limit is 10",),
        crm={
            "types": {"crm/Shipment__c": records, "crm/Note": 3},
            "wakes": {"crm/Shipment__c": ["trigger Shipped"], "crm/Note": None},
            "bin_days": {"crm/Shipment__c": 15, "crm/Note": None},
            "clears": {"crm/Shipment__c": ["Case.Shipment__c"]},
            "copies": {"documents": 2, "bytes": 2048, "stay": 1, "to": {"frankfurt": 2}},
        },
        rows=lambda: iter(lines),
    )


def _line(number: int) -> Line:
    held = number % 5 == 0
    reasons: tuple[tuple[str, str], ...] = (("OLD", "Delivered__c is 2015-05-15, older than P7Y"),)
    if held:
        reasons += (("HELD", "legal hold H-1 (matter Roe): nothing is moved or removed until it is released"),)
    return Line(
        number=number,
        act="keep" if held else "delete",
        code=reasons[-1][0],
        source="crm",
        kind="Shipment__c",
        id=f"a00{number:015d}",
        name=f"a00{number:015d}",
        bytes=0,
        rule="crm/old",
        reasons=reasons,
        along=("Note n1",) if number % 3 == 0 else (),
        to=() if held else ("frankfurt",),
    )


def _around(plan: str, mode: Mode) -> dict[str, Any]:
    dry = mode is Mode.DRY_RUN
    return {
        "id": "R-20261122-0001",
        "schema": 1,
        "mode": mode,
        "organisation": "Kade Logistics B.V.",
        "environment": "production",
        "tool": "0.5.0",
        "made_at": NOW,
        "by": "m.vandijk",
        "preparer": "Marijke van Dijk",
        "plan": "P-20261122-0001",
        "plan_sha256": plan,
        "plan_at": NOW - timedelta(minutes=14),
        "started": None if dry else NOW - timedelta(hours=2),
        "ended": None if dry else NOW - timedelta(minutes=9),
        "sources": (
            SourceFacts(
                name="salesforce",
                type="salesforce",
                organisation="00D5g000004XyzAEAS",
                environment="production",
                address="kade.my.salesforce.com",
                countries=("DE",),
                scanned=NOW - timedelta(hours=1),
            ),
            SourceFacts(
                name="dynamics",
                type="dynamics365",
                organisation="org4f1c2a90",
                countries=("IE",),
                scanned=NOW - timedelta(hours=1),
            ),
        ),
        "policies": (_policy(),),
        "sign_offs": (
            SignOff(
                person="Dr. Jonas Weber",
                role="Data protection officer",
                said="approve",
                at=NOW - timedelta(minutes=5),
                valid_until=NOW + timedelta(days=14),
                reason="Sample of 20 looked at; US documents stay in the US.",
                stands=True,
            ),
        ),
        "approvals_needed": 2,
        "approved": not dry,
        "seed": int(plan[:12], 16),
    }


def _policy() -> PolicyFacts:
    return PolicyFacts(
        name="kade-eu",
        version="2026-11",
        fingerprint=sha("policy"),
        sources=("salesforce", "dynamics"),
        layers=(("packs/eu.yaml", sha("eu")), ("policy.yaml", sha("own"))),
        tables={"rules": "2026-11-21", "country_groups": "2026-11-21"},
        overdue=(("FR-01", date(2026, 10, 1)),),
        processing={
            "processing_name": "Archiving of freight documents outside the CRM",
            "controller": "Kade Logistics B.V., Rotterdam",
            "dpo_contact": "privacy@kade-logistics.example",
            "purposes": "Retention duties; cost of CRM storage",
            "legal_basis": "GDPR Art 6(1)(c), 6(1)(f)",
            "lia_ref": "LIA-2026-07",
            "data_subject_categories": "Customers, drivers, consignees",
            "data_categories": "Names, addresses, signatures, photos of goods",
            "special_categories": "none intended",
            "recipients": "amsterdam (NL), frankfurt (DE), virginia (US)",
            "third_countries": "US",
            "safeguards": "none needed: documents of US records only",
            "erase_time_limits": "invoices 8 years (DE-R2); otherwise as in the CRM",
            "security_measures": "TLS 1.3; client-side encryption; object lock",
            "dpia_ref": "",
            "source": f"generated({sha('policy')[:16]})",
        },
    )


def _target(name: str, chosen: Count) -> TargetFacts:
    country, assurance = STORES[name]
    proven = assurance == "PROVEN"
    region = {"NL": "westeurope", "DE": "eu-central-1", "US": "rack 7, Ashburn"}[country]
    return TargetFacts(
        name=name,
        assurance=assurance,
        countries=(country,),
        taken=NOW - timedelta(minutes=15),
        expires=NOW + timedelta(hours=24) if proven else NOW + timedelta(days=200),
        summary=f"bucket in {region}, no replication, no failover pair"
        if proven
        else "the facility manager says that the machine stands in Ashburn",
        sha256=sha("proof", name),
        evidence={
            "region": region,
            "replication": "none",
            "versioning": "enabled",
            "object lock": "GOVERNANCE 30 days",
        },
        chosen=chosen,
    )


def _money(made: _Sums) -> Money:
    gb = made.moved.bytes / 1e9
    return Money(
        crm_month=round(gb * 4.2, 2),
        store_month=round(gb * 0.0245, 2),
        requests_once=round(made.moved.documents * 5.4e-6, 2),
        saved_month=round(gb * 4.1755, 2),
        months_to_earn=0.1,
        losers=Count(3, 3, 38_112),
        notes=(
            Message(
                "{what}: {usd} USD per GB and month ({price})", what="salesforce file storage", usd=5.0, price="2026"
            ),
            Message("store {store}: no price", store="virginia"),
        ),
    )


def _forecast(made: _Sums) -> Forecast:
    return Forecast(
        growth_month=int(made.moved.bytes / 60),
        measured_months=12,
        full_without=date(2027, 4, 3),
        full_with=date(2031, 9, 14),
        documents=made.moved.documents,
        requests=made.moved.documents,
        requests_day=15_000,
        days=1 + made.moved.documents // 15_000,
        storages=(
            StorageForecast(
                source="salesforce",
                used=38_000_000_000,
                limit=40_000_000_000,
                as_of=NOW - timedelta(hours=1),
                growth_month=int(made.moved.bytes / 60),
                freed=made.moved.bytes,
                full_without=date(2027, 4, 3),
                full_with=date(2031, 9, 14),
            ),
        ),
        notes=(Message("requests of {source}: {how}", source="salesforce", how="1"),),
    )


def _difference() -> Difference:
    return Difference(
        report="R-20261115-0001",
        at=NOW - timedelta(days=7),
        by_code={"MOVE PLACED": 42, "REVIEW UNKNOWN_SIGNAL": -17},
        changed=("proof amsterdam", "policy kade-eu"),
    )
