"""offloader status"""

from __future__ import annotations

from collections import Counter

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size
from offloader.cli.session import Json, session_of


def command(context: typer.Context, as_json: Json = False) -> Answer:
    """Say where everything stands: documents by state, scans, plans. Asks neither CRM nor stores."""
    session = session_of(context)
    config = session.config()
    from offloader.ledger import open_ledger  # noqa: PLC0415

    with open_ledger(config.ledger_path, now=session.context().now, exclusive=False, create=False) as ledger:
        tally = ledger.tally()
        kinds = sorted({(source, kind) for source, kind, _ in tally})
        scans = {f"{source}/{kind}": ledger.scan_state(source, kind) for source, kind in kinds}
        plans = [{"id": row.id, "status": row.status, "created": row.created.isoformat()} for row in ledger.plans()]
        warning = ledger.clock_warning
    states: Counter[str] = Counter()
    bytes_by: Counter[str] = Counter()
    for (_, _, state), count in tally.items():
        states[state.value] += count.versions
        bytes_by[state.value] += count.bytes
    lines = [f"{state:>10}: {count} versions, {size(bytes_by[state])}" for state, count in sorted(states.items())]
    spots = {name: [s.message for s in scan.blind_spots] for name, scan in scans.items() if scan and scan.blind_spots}
    lines += [f"last scan of {name}: {scan.finished or 'not finished'}" for name, scan in scans.items() if scan]
    lines += [f"NOT complete: {name}: {message}" for name, messages in spots.items() for message in messages]
    lines += [f"plan {row['id']}: {row['status']}" for row in plans[-5:]]
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
        "clock_warning": warning,
    }
    return Answer(Exit.DONE, data, lines or ["The ledger is empty: begin with `offloader scan`."])
