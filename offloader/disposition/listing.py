"""What a purge plan says to a person: what goes, what goes with it, what holds it back, what it wakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from offloader.ledger import PlanRow

#: names of one kind that are shown in a line
SHOWN = 5


def lines_of(row: PlanRow) -> list[str]:
    """The plan in sentences."""
    totals = row.totals
    return [
        f"Plan {row.id}: {totals['summary']}.",
        *_rules(totals),
        *(f"  {name}: {count} deleted in all" for name, count in sorted(totals["types"].items())),
        *(f"  archive to {store}: {count} records" for store, count in sorted(totals["stores"].items())),
        *_copies(totals),
        *_wakes(totals),
        *_bins(totals),
        *(f"  {name}: their deletion empties {_some(fields)}" for name, fields in sorted(totals["clears"].items())),
        *(f"OVER A CAP: {text}; `offloader apply` will refuse this plan." for text in totals["over"]),
    ]


def back_of(row: PlanRow) -> Mapping[str, int]:
    """Records that stay, by code."""
    return {code: count for code, count in row.totals["codes"].items() if not code.startswith("delete ")}


def data_of(row: PlanRow) -> dict[str, Any]:
    """The plan in numbers."""
    names = ("summary", "rules", "types", "codes", "examples", "stores", "wakes", "bin_days", "clears", "over")
    return {
        "plan": row.id,
        "sha256": row.sha256,
        "by": row.header.by,
        "approvals": dict(row.header.approvals),
        **{name: row.totals[name] for name in names},
        "copies": row.totals.get("copies", {}),
    }


def _rules(totals: Mapping[str, Any]) -> Iterator[str]:
    for name, row in totals["rules"].items():
        yield (
            f"  {name}: {row['found']} found, {row['delete']} go with {row['children']} more, "
            f"{row['keep']} stay, {row['review']} to review"
        )


def _copies(totals: Mapping[str, Any]) -> Iterator[str]:
    # plans of older releases have none
    copies = totals.get("copies", {"documents": 0, "stay": 0})
    if copies["documents"]:
        to = ", ".join(f"{count} to {store}" for store, count in sorted(copies["to"].items()))
        yield f"  {copies['documents']} documents ({copies['bytes']} bytes) are copied first: {to}"
    if copies["stay"]:
        yield f"  {copies['stay']} of these stay in the CRM: it deletes no file that lives on without the record"


def _wakes(totals: Mapping[str, Any]) -> Iterator[str]:
    for name, automation in sorted(totals["wakes"].items()):
        if automation is None:
            yield f"  {name}: the CRM does not say what automation their deletion wakes"
        elif automation:
            yield f"  {name}: their deletion wakes {_some(automation)}"


def _bins(totals: Mapping[str, Any]) -> Iterator[str]:
    for name, days in sorted(totals["bin_days"].items()):
        if days:
            yield f"  {name}: lie in the CRM's bin for {days} days, and count as storage until then"
        else:
            yield f"  {name}: the CRM has no bin for them; only the archive can bring them back"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
