"""offloader rehome"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import TABLE, Exit
from offloader.cli.output import Answer, size, why, write_plan
from offloader.cli.session import Json, PlanFile, Sources, chosen_sources, session_of

if TYPE_CHECKING:
    from offloader.disposition.rehoming import RehomeSummary

app = typer.Typer(
    name="rehome",
    no_args_is_help=True,
    help="Move stored documents to another store, because a country, a rule or a proof changed.",
)


@app.callback()
def group() -> None:
    """Move stored documents to another store, because a country, a rule or a proof changed."""


@app.command(epilog=TABLE)
def plan(
    context: typer.Context,
    source: Sources = None,
    only_forbidden: Annotated[
        bool,
        typer.Option(
            "--only-forbidden", help="Only documents that may not stay where they are, none that could lie better."
        ),
    ] = False,
    out: PlanFile = None,
    as_json: Json = False,
) -> Answer:
    """Judge every moved document by the policy, the CRM's records and the proofs of today. Nothing is moved."""
    from offloader.disposition.acts import export_acts  # noqa: PLC0415
    from offloader.disposition.rehoming import plan_rehoming  # noqa: PLC0415

    with session_of(context).site(dry_run=True) as site:
        summary = plan_rehoming(site, sources=chosen_sources(site, source), only_forbidden=only_forbidden)
        if out is not None and summary.row is not None:
            write_plan(out, export_acts(site, summary.row.id))
    return answer(summary)


def answer(summary: RehomeSummary) -> Answer:
    """The plan in numbers, what cannot be moved first."""
    row, acts = summary.row, summary.acts
    if row is None:
        said = f"{summary.documents} moved documents judged: every one lies where it shall."
        return Answer(Exit.DONE, {"plan": None, "judged": summary.documents}, [said])
    loud = ["! These may not stay where they are, and there is no place for them:"] if summary.loud else []
    left = acts["blocked"] - len(summary.loud)
    more = [f"    and {left} more"] if left > 0 else []
    people = row.header.approvals.get("people", 0)
    lines = [
        *loud,
        *(f"    {each}" for each in summary.loud),
        *more,
        (
            f"Plan {row.id}: {summary.documents} moved documents judged, {acts['move']} to another place "
            f"({summary.versions} versions, {size(summary.bytes)})."
        ),
        *(f"  to {store}: {count} documents" for store, count in sorted(summary.stores.items())),
        *why(summary.codes, summary.examples),
        f"SHA-256 {row.sha256}",
        f"Nothing was moved. Carry it out with: offloader apply {row.id}"
        if not people
        else f"Nothing was moved. {people} must approve it first, with: offloader approve {row.id} --reason TEXT",
    ]
    data = {
        "plan": row.id,
        "sha256": row.sha256,
        "judged": summary.documents,
        "acts": dict(acts),
        "blocked": summary.loud,
        **summary.totals(),
    }
    return Answer(Exit.REVIEW if acts["blocked"] or acts["review"] else Exit.DONE, data, lines)
