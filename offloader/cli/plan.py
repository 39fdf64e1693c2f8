"""offloader plan"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size, why, write_plan
from offloader.cli.session import Json, PlanFile, session_of
from offloader.model import Verdict

if TYPE_CHECKING:
    from offloader.moves.plan import PlanSummary


def command(
    context: typer.Context,
    out: PlanFile = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    all_documents: Annotated[bool, typer.Option("--all", help="Decide again about documents that stay, too.")] = False,
    pilot: Annotated[
        int | None, typer.Option(min=1, help="A small plan of so many documents, spread over all that differ.")
    ] = None,
    seed: Annotated[str, typer.Option(help="With --pilot: the same seed draws the same documents again.")] = "1",
    as_json: Json = False,
) -> Answer:
    """Decide where every document may live, and freeze the answer. This is the dry run: nothing is moved."""
    from offloader.moves.pilot import Pilot  # noqa: PLC0415
    from offloader.moves.plan import make_plan  # noqa: PLC0415
    from offloader.moves.sealing import export_plan  # noqa: PLC0415

    drawn = None if pilot is None else Pilot(pilot, seed)
    with session_of(context).site(dry_run=True) as site:
        summary = make_plan(site, sources=source or (), all_documents=all_documents, pilot=drawn)
        if out is not None:
            write_plan(out, export_plan(site, summary.id) if summary.id is not None else ())
    return answer(summary)


def answer(summary: PlanSummary) -> Answer:
    if summary.id is None:
        return Answer(Exit.DONE, {"plan": None, "documents": 0}, ["Nothing to decide: every document is settled."])
    assert summary.header is not None
    review, header = summary.verdicts[Verdict.REVIEW], summary.header
    lines = [
        (
            f"Plan {summary.id}: {summary.documents} documents decided, {summary.moves} to move "
            f"({summary.versions} versions, {size(summary.bytes)})."
        ),
        *(f"  to {store}: {count} documents" for store, count in sorted(summary.stores.items())),
        *why({code: count for code, count in summary.codes.items() if code[:4] != "MOVE"}, summary.examples),
        *_pilot(header.pilot),
        f"SHA-256 {summary.sha256}",
        _next(summary.id, header.approvals.get("people", 0)),
    ]
    data = {
        "plan": summary.id,
        "sha256": summary.sha256,
        "by": header.by,
        "approvals": dict(header.approvals),
        "pilot": dict(header.pilot),
        **summary.totals(),
    }
    return Answer(Exit.REVIEW if review else Exit.DONE, data, lines)


def _pilot(pilot: Mapping[str, Any]) -> list[str]:
    if not pilot:
        return []
    return [f"A pilot: drawn from {pilot['of']} documents by the seed {pilot['seed']}. The others stay undecided."]


def _next(plan: str, people: int) -> str:
    if not people:
        return f"Nothing was moved. Carry it out with: offloader apply {plan}"
    who = "One person" if people == 1 else f"{people} people"
    return f"Nothing was moved. {who} must approve it first, with: offloader approve {plan} --reason TEXT"
