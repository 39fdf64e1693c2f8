"""Decisions a second on one core: the shipped rules, three signals, against an empty loop over the same documents.

The usual mix has few combinations of signals among many documents; in the worst case every document has its own.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from offloader.model import Assurance, Document, DocumentRef, LocationProof, Parent, Version
from offloader.ports import Policy, Target
from offloader_policies import tables
from offloader_policies.options import ResidencyOptions
from offloader_policies.plugin import open_policy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TARGET = 20_000
TIES = {"citizenship": ("citizenship",), "entity_country": ("establishment",)}


def combinations(count: int) -> Iterator[dict[str, str]]:
    """Yield so many different combinations of a country with rules, a further one and a category, mixed but fixed."""
    loaded = tables.load()
    ruled = {rule.jurisdiction.partition("-")[0] for rule in loaded.rules} - {"EU"}
    codes = sorted(ruled | loaded.atlas.resolve(("@EEA",), None))
    every = list(itertools.product(codes, codes, ["", "what is this?", *sorted(loaded.categories)]))
    for country, further, category in random.Random(7).sample(every, count):
        yield {"country": country, "citizenship": further, "category": category}


def documents(count: int, distinct: int) -> Sequence[Document]:
    """Make documents, each on an account that has the three signals and on a user that has none."""
    signals = list(combinations(distinct))
    return [
        Document(
            ref=DocumentRef("crm", "ContentDocument", f"069{number}"),
            title=f"{number}.pdf",
            versions=(Version(id=f"068{number}", number=1, name=f"{number}.pdf", size=60_000, created=NOW),),
            parents=(
                Parent(type="Account", id=f"001{number}", signals=dict(signals[number % distinct])),
                Parent(type="User", id="005"),
            ),
        )
        for number in range(count)
    ]


def stores() -> Sequence[Target]:
    """Make a store in each of eight countries."""
    return [
        Target(
            f"store-{code.lower()}",
            LocationProof(
                store=f"store-{code.lower()}",
                assurance=Assurance.PROVEN,
                countries=frozenset((code,)),
                taken=NOW - timedelta(hours=1),
                expires=NOW + timedelta(hours=23),
                summary="",
            ),
        )
        for code in ("AU", "BR", "CA", "DE", "FR", "IN", "SG", "US")
    ]


def measure(name: str, policy: Policy, given: Sequence[Document]) -> float:
    """Decide all of them once, print what it took, and return decisions a second."""
    offered = stores()
    started = time.process_time()
    for _document in given:
        pass
    empty = time.process_time() - started
    verdicts: Counter[str] = Counter()
    started = time.process_time()
    for document in given:
        verdicts[policy.decide(document, offered, NOW).verdict] += 1
    ours = time.process_time() - started
    print(f"{name}: {len(given) / ours:,.0f} decisions/s, {ours / len(given) * 1e6:.1f} µs each")
    found = ", ".join(f"{verdict} {number:,}" for verdict, number in sorted(verdicts.items()))
    print(f"    {ours / empty:,.0f} times an empty loop over the documents; {found}")
    return len(given) / ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents")
    options = parser.parse_args()
    count = options.documents // 10 if options.quick else options.documents
    chosen = ResidencyOptions(further_signals=TIES)
    print(f"{len(tables.load().rules)} rules, 3 signals, {len(stores())} stores, {count:,} documents")
    usual = measure(f"{options.distinct} combinations", open_policy(chosen), documents(count, options.distinct))
    worst = measure("all different", open_policy(chosen), documents(count, count))
    print(f"target for both: {TARGET:,} a second: {'met' if min(usual, worst) >= TARGET else 'missed'}")


if __name__ == "__main__":
    main()
