"""offloader status"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from offloader.cli.check_places import places_in_words
from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size
from offloader.cli.session import Json, session_of
from offloader.service import JOBS

if TYPE_CHECKING:
    from offloader.ledger import Approval, PlanRow
    from offloader.people import People


def command(context: typer.Context, as_json: Json = False) -> Answer:
    """Say where everything stands: documents by state, scans, plans. Asks neither CRM nor stores."""
    session = session_of(context)
    config = session.config()
    from offloader.ledger import open_ledger  # noqa: PLC0415
    from offloader.moves.proofs import standing  # noqa: PLC0415
    from offloader.wiring import people_of  # noqa: PLC0415

    with open_ledger(config.ledger_path, now=session.context().now, exclusive=False, create=False) as ledger:
        tally = ledger.tally()
        kinds = sorted({(source, kind) for source, kind, _ in tally})
        scans = {f"{source}/{kind}": ledger.scan_state(source, kind) for source, kind in kinds}
        people, now = people_of(config, session.context()), session.context().now()
        plans = [_plan(row, ledger.approvals(row.id), people, now) for row in ledger.plans()]
        warning = ledger.clock_warning
        places = {name: standing(ledger, name).as_json() for name in config.stores}
        jobs = {name: ledger.meta(f"job:{name}") for name in JOBS}
    states: Counter[str] = Counter()
    bytes_by: Counter[str] = Counter()
    for (_, _, state), count in tally.items():
        states[state.value] += count.versions
        bytes_by[state.value] += count.bytes
    lines = [f"{state:>10}: {count} versions, {size(bytes_by[state])}" for state, count in sorted(states.items())]
    spots = {name: [s.message for s in scan.blind_spots] for name, scan in scans.items() if scan and scan.blind_spots}
    ends = {name: scan.finished for name, scan in scans.items() if scan}
    lines += [
        f"last scan of {name}: {f'{at:%Y-%m-%d %H:%M} UTC' if at else 'not finished'}" for name, at in ends.items()
    ]
    lines += [f"NOT complete: {name}: {message}" for name, messages in spots.items() for message in messages]
    lines += [_line(row) for row in plans[-5:]]
    lines += places_in_words(places)
    lines += [f"scheduled {name}: last begun {last}" for name, last in jobs.items() if last]
    if warning:
        lines.append(f"! {warning}")
    data = {
        "versions": dict(states),
        "bytes": dict(bytes_by),
        "scans": {
            name: {"finished": scan.finished.isoformat() if scan.finished else None, "blind_spots": spots.get(name, [])}
            for name, scan in scans.items()
            if scan
        },
        "plans": plans,
        "stores": places,
        "jobs": {name: last for name, last in jobs.items() if last},
        "clock_warning": warning,
    }
    return Answer(Exit.DONE, data, lines or ["The ledger is empty: begin with `offloader scan`."])


def _plan(row: PlanRow, approvals: Sequence[Approval], people: People, now: datetime) -> dict[str, Any]:
    """A plan and what people said about it; what a policy asks for is as it was when the plan was made."""
    from offloader.moves.approving import OPEN, standing  # noqa: PLC0415
    from offloader.ports import Approvals  # noqa: PLC0415

    stands = standing(people, row, approvals, Approvals(**row.header.approvals), now)
    return {
        "id": row.id,
        "kind": row.header.disposes or "",
        "status": row.status,
        "created": row.created.isoformat(),
        "by": row.header.by,
        "pilot": bool(row.header.pilot),
        "needed": stands.needed,
        "approvals": stands.given,
        "why_not": stands.why_not() if row.status in OPEN else "",
        "voices": [
            {
                "person": voice.approval.person,
                "role": voice.approval.role,
                "said": voice.approval.said,
                "at": voice.approval.at.isoformat(),
                "valid_until": voice.approval.valid_until.isoformat(),
                "problem": voice.problem,
            }
            for voice in stands.voices
        ],
    }


def _line(plan: Mapping[str, Any]) -> str:
    kind = "pilot" if plan["pilot"] else f"plan ({plan['kind']})" if plan["kind"] else "plan"
    said = f", {plan['approvals']} of {plan['needed']} approvals" if plan["needed"] or plan["voices"] else ""
    return f"{kind} {plan['id']}: {plan['status']}{said}" + (f"; {plan['why_not']}" if plan["why_not"] else "")
