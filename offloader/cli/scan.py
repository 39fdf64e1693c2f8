"""offloader scan"""

from __future__ import annotations

from typing import Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, came_back
from offloader.cli.session import Json, session_of


def command(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="List everything again, not only what changed.")] = False,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    as_json: Json = False,
) -> Answer:
    """List the documents of the CRM into the ledger; reads no bytes and changes nothing in the CRM."""
    from offloader.disposition.erasure import plan_returned  # noqa: PLC0415
    from offloader.disposition.tombstones import returned  # noqa: PLC0415
    from offloader.model import State  # noqa: PLC0415
    from offloader.moves.scan import scan  # noqa: PLC0415

    with session_of(context).site() as site:
        report = scan(site, sources=source or (), kinds=kind or (), full=full)
        again = plan_returned(site, returned(site, {State.SEEN}))
    spots = [f"{spot.message} Hidden: {spot.hides}. {spot.remedy}".strip() for spot in report.blind_spots]
    lines = [
        (
            f"{report.documents} documents listed: {report.new_versions} new versions, {report.changed} changed, "
            f"{report.deleted} deleted in the CRM."
        )
    ]
    if spots:
        lines += ["This scan is NOT complete:", *(f"  - {spot}" for spot in spots)]
    lines += came_back(report.returned)
    if again.row is not None:
        lines.append(
            f"{len(again.planned)} documents were erased before and are there again: plan {again.row.id} erases "
            "what it can of them once more."
        )
    data = {
        "documents": report.documents,
        "new_versions": report.new_versions,
        "changed": report.changed,
        "deleted": report.deleted,
        "returned": report.returned,
        "erased_before": None if again.row is None else {"plan": again.row.id, "documents": len(again.planned)},
        "complete": report.complete,
        "blind_spots": spots,
    }
    return Answer(
        Exit.DONE if report.complete and not report.returned and again.row is None else Exit.REVIEW, data, lines
    )
