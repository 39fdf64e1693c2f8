"""offloader expire"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import TABLE, Exit
from offloader.cli.output import SHOWN, Answer, size, write_plan
from offloader.cli.session import ClockChecked, Json, PlanFile, Sources, chosen_sources, private_key, session_of

if TYPE_CHECKING:
    from offloader.disposition.expiry import ExpiryPlan

app = typer.Typer(
    name="expire",
    no_args_is_help=True,
    help="Erase stored documents whose retention, or grace after a deletion, ended.",
)


@app.callback()
def group() -> None:
    """Erase stored documents whose retention, or grace after a deletion, is over."""


@app.command(epilog=TABLE)
def watch(context: typer.Context, source: Sources = None, as_json: Json = False) -> Answer:
    """Look for deleted links in the CRM: their documents' grace begins. A link that is back ends it.

    Terms whose dates have moved are followed too: a longer one locks the stored copies for longer.
    """
    from offloader.disposition.deletions import watch  # noqa: PLC0415

    with session_of(context).site() as site:
        report = watch(site, sources=chosen_sources(site, source))
    lines = [
        (
            f"{report.looked} links looked for: {report.started} deletions found, {report.cancelled} are back; "
            f"{report.waiting} documents wait for the end of their grace."
        )
    ]
    if report.unseen:
        lines.append(f"{report.unseen} links are not seen, and the CRM does not call them deleted: nothing begins.")
    if report.purged:
        lines.append(
            f"{report.purged} links went with records that were purged: only their retention ends these documents."
        )
    terms = report.terms
    if terms.longer or terms.shorter:
        lines.append(f"{terms.longer} documents must be kept for longer than before, {terms.shorter} for less.")
    if terms.shorter:
        lines.append("What is shorter now is for a person: offloader expire accept DOCUMENT --reason TEXT")
    lines += [f"! {problem}" for problem in terms.problems[:SHOWN]]
    data = {
        "looked": report.looked,
        "started": report.started,
        "cancelled": report.cancelled,
        "waiting": report.waiting,
        "unseen": report.unseen,
        "purged": report.purged,
        "longer": terms.longer,
        "shorter": terms.shorter,
        "problems": terms.problems,
    }
    code = Exit.FAILED if terms.problems else Exit.REVIEW if report.unseen or terms.shorter else Exit.DONE
    return Answer(code, data, lines)


@app.command(epilog=TABLE)
def accept(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="The document: its link, or SOURCE/KIND/ID.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the event log.")],
    key: Annotated[Path | None, typer.Option("--key", help="Your private key, if you are recognised by one.")] = None,
    as_json: Json = False,
) -> Answer:
    """Say that the shorter term that the CRM gives a document now is right. Locks at stores stay as they are."""
    from offloader.disposition.terms import accept  # noqa: PLC0415

    with session_of(context).site() as site:
        day = accept(site, document, reason, key=private_key(key))
    line = f"{document} need not be kept until {day} any more: what the CRM says now counts. No lock became shorter."
    return Answer(data={"document": document, "was": day.isoformat()}, lines=[line])


@app.command(epilog=TABLE)
def plan(
    context: typer.Context,
    source: Sources = None,
    refresh_all: Annotated[
        bool, typer.Option("--refresh-all", help="Read the dates of every document's records afresh, not only the due.")
    ] = False,
    clock_checked: ClockChecked = False,
    out: PlanFile = None,
    as_json: Json = False,
) -> Answer:
    """Find the documents whose time is up, and freeze the answer. Nothing is erased: approve and apply the plan."""
    from offloader.disposition.acts import export_acts  # noqa: PLC0415
    from offloader.disposition.expiry import plan_expiry  # noqa: PLC0415

    with session_of(context).site(dry_run=True) as site:
        made = plan_expiry(
            site, sources=chosen_sources(site, source), refresh_all=refresh_all, clock_checked=clock_checked
        )
        if out is not None and made.row is not None:
            write_plan(out, export_acts(site, made.row.id))
    return answer(made)


def answer(made: ExpiryPlan) -> Answer:
    """A plan in numbers, and its documents with the reasons."""
    if made.row is None:
        return Answer(Exit.DONE, {"plan": None, "acts": {}}, ["No stored document's time is up."])
    row, people = made.row, made.row.header.approvals.get("people", 0)
    lines = [
        (
            f"Plan {row.id}: {made.acts['erase']} documents to erase ({size(made.bytes)}), "
            f"{made.acts['review']} to review, {made.acts['hold']} held, {made.acts['wait']} locked."
        ),
        *(f"  {each.act:<7} {each.ref}: {each.why}" for each in made.planned[:SHOWN]),
        *([f"  and {len(made.planned) - SHOWN} more"] if len(made.planned) > SHOWN else []),
        f"SHA-256 {row.sha256}",
        f"Nothing was erased. {people} must approve it, with: offloader approve {row.id} --reason TEXT"
        if people
        else f"Nothing was erased. Carry it out with: offloader apply {row.id}",
    ]
    data = {
        "plan": row.id,
        "sha256": row.sha256,
        "acts": dict(made.acts),
        "bytes": made.bytes,
        "approvals": dict(row.header.approvals),
        "documents": [{"document": str(each.ref), "act": each.act, "why": each.why} for each in made.planned],
    }
    return Answer(Exit.REVIEW if made.acts["review"] else Exit.DONE, data, lines)
