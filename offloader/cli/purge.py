"""offloader purge"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import TABLE, Exit, exit_for
from offloader.cli.output import SHOWN, Answer, why, write_plan
from offloader.cli.session import ClockChecked, Json, PlanFile, session_of

if TYPE_CHECKING:
    from offloader.disposition.reviving import Revived
    from offloader.ledger import PlanRow

app = typer.Typer(
    name="purge",
    help="Delete stale records from a CRM, as the policy's purge rules say: planned, approved, archived first.",
    epilog=TABLE,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(epilog=TABLE)
def plan(
    context: typer.Context,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only this purge rule; may be repeated.")] = None,
    out: PlanFile = None,
    clock_checked: ClockChecked = False,
    as_json: Json = False,
) -> Answer:
    """Find stale records and what would go with them, and freeze the answer. This is the dry run."""
    from offloader.disposition.acts import export_acts  # noqa: PLC0415
    from offloader.disposition.planning import plan_purge  # noqa: PLC0415

    with session_of(context).site(dry_run=True) as site:
        row = plan_purge(site, rule or (), clock_checked=clock_checked)
        if out is not None:
            write_plan(out, export_acts(site, row.id))
    return planned(row)


@app.command(epilog=TABLE)
def restore(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(help="A purge plan's id, or records as SOURCE/TYPE/ID; may be repeated.")
    ],
    as_json: Json = False,
) -> Answer:
    """Bring purged records back: out of the CRM's bin while it holds them, else out of the archive under new ids."""
    from offloader.disposition.reviving import revive  # noqa: PLC0415

    with session_of(context).site() as site:
        revived = revive(site, what)
    return restored(revived)


def planned(row: PlanRow) -> Answer:
    """A purge plan for a person and for a program."""
    from offloader.disposition.listing import back_of, data_of, lines_of  # noqa: PLC0415

    people = row.header.approvals.get("people", 0)
    who = "One person" if people == 1 else f"{people} people"
    then = (
        f"{who} must approve it first, with: offloader approve {row.id} --reason TEXT"
        if people
        else f"Carry it out with: offloader apply {row.id}"
    )
    lines = [
        *lines_of(row),
        *why(back_of(row), row.totals["examples"]),
        f"SHA-256 {row.sha256}",
        f"Nothing was deleted. Read it with: offloader report {row.id}. {then}",
    ]
    review = any(each["review"] for each in row.totals["rules"].values())
    return Answer(Exit.REVIEW if review or row.totals["over"] else Exit.DONE, data_of(row), lines)


def restored(revived: Revived) -> Answer:
    """What came back, how, and what did not."""
    lines = [
        (
            f"{revived.undeleted} records came back out of the bin, {revived.created} were made anew from the archive, "
            f"{revived.failed} did not come back."
        ),
        *([f"{revived.unclear} may be there or not: nothing was made twice."] if revived.unclear else []),
        *(f"  {old} is now {new}" for old, new in list(revived.ids.items())[:SHOWN]),
        *(f"! {note}" for note in revived.notes[:SHOWN]),
        *([f"! and {len(revived.notes) - SHOWN} more, with --json"] if len(revived.notes) > SHOWN else []),
    ]
    if revived.error is not None:
        lines.append(f"Stopped early: {revived.error}")
        return Answer(exit_for(revived.error), revived.as_json(), lines)
    code = Exit.FAILED if revived.failed else Exit.REVIEW if revived.notes else Exit.DONE
    return Answer(code, revived.as_json(), lines)
