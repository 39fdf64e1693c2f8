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
    from offloader.moves.scan import scan  # noqa: PLC0415

    with session_of(context).site() as site:
        report = scan(site, sources=source or (), kinds=kind or (), full=full)
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
    data = {
        "documents": report.documents,
        "new_versions": report.new_versions,
        "changed": report.changed,
        "deleted": report.deleted,
        "returned": report.returned,
        "complete": report.complete,
        "blind_spots": spots,
    }
    return Answer(Exit.DONE if report.complete and not report.returned else Exit.REVIEW, data, lines)
