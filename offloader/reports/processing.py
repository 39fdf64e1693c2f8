"""The row of the record of processing activities (GDPR Article 30) that a policy and its plan give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from offloader.reports.model import TargetFacts
from offloader.reports.sums import Use

#: the European Economic Area: the EU, Iceland, Liechtenstein and Norway ("Agreement on the EEA", Article 126; EU
#: membership as of 2020-02-01)
EEA = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO".split()  # noqa: SIM905
)
COLUMNS = (
    "processing_name",
    "controller",
    "joint_controllers",
    "dpo_contact",
    "purposes",
    "legal_basis",
    "lia_ref",
    "data_subject_categories",
    "data_categories",
    "special_categories",
    "recipients",
    "third_countries",
    "safeguards",
    "erase_time_limits",
    "security_measures",
    "processor",
    "dpia_ref",
    "last_review",
    "source",
)
_AND = "; "


def row(
    name: str,
    said: Mapping[str, str | tuple[str, ...]],
    use: Use,
    targets: Mapping[str, TargetFacts],
    measures: Mapping[str, str],
    fingerprint: str,
) -> dict[str, str]:
    """Column → value, in `COLUMNS`' order. `said` are the policy's own words; what a plan shows is added to them.

    `measures`: store → how its bytes are protected. Recipients, third countries and safeguards always come from the
    plan: they are what would happen, whatever the policy's text says of them besides. Unknown stays empty.
    """
    stores = sorted(use.stores)
    shown: dict[str, Iterable[str]] = {
        "recipients": [
            f"{store} ({', '.join(targets[store].countries)})" if store in targets else store for store in stores
        ],
        "third_countries": sorted(use.countries - EEA),
        "safeguards": sorted(use.bases),
        "security_measures": [f"{store}: {measures[store]}" for store in stores if measures.get(store)],
    }
    fallback: dict[str, Iterable[str]] = {
        "processing_name": [name],
        "data_categories": sorted(use.categories),
        "erase_time_limits": sorted(use.retention),
        "source": [f"generated({fingerprint})"],
    }
    return {
        column: _AND.join([*_words(said.get(column, fallback.get(column, ()))), *shown.get(column, ())])
        for column in COLUMNS
    } | {"source": f"generated({fingerprint})"}


def _words(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value]
