"""Caps and approvals: how much one plan may do, and how many people must agree, by the operator and every policy.

Where several of them say something, the strictest counts.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from offloader.errors import Refused
from offloader.ledger import PlanRow
from offloader.model import Verdict
from offloader.moves.site import Site
from offloader.ports import Approvals, Caps, Policy

N = TypeVar("N", int, float)
#: key in the ledger of what came of a plan, as JSON
OUTCOME = "outcome:{}"


def _least(values: Iterable[N | None]) -> N | None:
    return min((value for value in values if value is not None), default=None)


def asked(site: Site, sources: Collection[str]) -> tuple[Approvals, Caps]:
    """What the operator's limits and the policies of these sources ask for together.

    A source that is not configured any more asks for nothing; that a plan names it is a drift.
    """
    terms = [site.policies[name].terms for name in sources if name in site.policies]
    asking = [each.approvals for each in terms if each.approvals.people]
    approvals = Approvals(
        people=max((each.people for each in asking), default=0),
        preparer=all(each.preparer for each in asking) and bool(asking),
        days=min((each.days for each in asking), default=Approvals().days),
    )
    caps = [each.caps for each in terms]
    limits = site.limits
    kinds = {kind for each in caps for kind in each.kinds}
    return approvals, Caps(
        documents=_least([limits.documents, *(each.documents for each in caps)]),
        bytes=_least([limits.bytes, *(each.bytes for each in caps)]),
        percent=_least([limits.percent, *(each.percent for each in caps)]),
        kinds={kind: min(each.kinds[kind] for each in caps if kind in each.kinds) for kind in sorted(kinds)},
        pilot=_least(each.pilot for each in caps),
    )


def terms_of(policy: Policy) -> dict[str, Any]:
    """What a plan remembers of a policy besides its fingerprint, JSON-able."""
    terms = policy.terms
    return {
        "name": terms.name,
        "version": terms.version,
        "layers": [list(layer) for layer in terms.layers],
        "tables": dict(terms.tables),
    }


def check_caps(site: Site, row: PlanRow) -> None:
    """Raise Refused, naming every cap, when a plan does more than the operator and the policies allow."""
    caps = asked(site, row.header.sources)[1]
    moves = row.totals["verdicts"].get(Verdict.MOVE, 0)
    kinds: Mapping[str, int] = row.totals.get("kinds", {})
    known = sum(tally.documents for tally in site.ledger.tally().values()) if caps.percent is not None else 0
    checks: list[tuple[str, float | None, float, str]] = [
        ("documents", caps.documents, moves, "documents"),
        ("bytes", caps.bytes, row.totals["bytes"], "bytes"),
        ("percent", caps.percent, moves * 100 / known if known else 0, "% of all documents"),
        *((f"kinds.{kind}", most, kinds.get(kind, 0), f"documents of {kind}") for kind, most in caps.kinds.items()),
    ]
    found = [
        (f"limits.{rule}", f"it moves {value:.12g} {unit}, the limit is {cap:.12g}")
        for rule, cap, value, unit in checks
        if cap is not None and value > cap
    ]
    if caps.pilot is not None and moves > caps.pilot and not _piloted(site, row, caps.pilot):
        said = (
            f"it moves {moves} documents, and no plan of at most {caps.pilot} was carried out without failures under "
            f"the same policies yet: make one with `offloader plan --pilot {caps.pilot}`"
        )
        found.append(("limits.pilot", said))
    if found:
        raise Refused(f"plan {row.id} is refused: {'; '.join(text for _, text in found)}", rule=found[0][0])


def _piloted(site: Site, row: PlanRow, most: int) -> bool:
    """Whether a small plan under the same policies was carried out, and nothing in it failed."""
    for other in site.ledger.plans():
        same = all(
            source in other.header.sources
            and other.header.policies.get(source) == row.header.policies.get(source)
            and other.header.terms.get(source) == row.header.terms.get(source)
            for source in row.header.sources
        )
        moves = other.header.disposes is None and other.totals["verdicts"].get(Verdict.MOVE, 0)
        if other.status == "done" and same and 0 < moves <= most:
            outcome = json.loads(site.ledger.meta(OUTCOME.format(other.id)) or "{}")
            if outcome.get("moved", 0) > 0 and not outcome["failed"]:
                return True
    return False
