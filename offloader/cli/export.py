"""offloader export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from offloader.cli.erase import Email, Name, Received, Records, Source
from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size
from offloader.cli.session import Json, session_of


def command(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder for the pack.")],
    record: Records = None,
    source: Source = "",
    email: Email = None,
    name: Name = None,
    received: Received = "",
    include: Annotated[
        list[str] | None,
        typer.Option("--include", help="You looked: this document is handed over, although others are in it."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="You looked: this document is about others and stays out.")
    ] = None,
    approved_by: Annotated[
        str, typer.Option("--approved-by", help="The approved plan, where rules want one for handing data out.")
    ] = "",
    as_json: Json = False,
) -> Answer:
    """Write the access pack of a person: the original files, what is known of them, and checksums."""
    from offloader.disposition.access import Choice, export  # noqa: PLC0415
    from offloader.disposition.subjects import receive, search, subject_of  # noqa: PLC0415
    from offloader.holds import day  # noqa: PLC0415

    on = day(received, "--received") if received else None
    session = session_of(context)
    organisation = session.config().settings.reports.organisation
    choice = Choice(include or (), exclude or ())
    with session.site(dry_run=True) as site:
        subject = subject_of(site, record or (), source=source, emails=email or (), names=name or ())
        found = search(site, subject)
        request = receive(site, "access", subject, on)
        pack = export(site, request, found, out, approved_by=approved_by, choice=choice, organisation=organisation)
    lines = [
        f"{pack.documents} documents ({pack.files} files, {size(pack.bytes)}) are in {pack.directory}.",
        *(f"! {error}" for error in pack.errors),
    ]
    if pack.review:
        lines.append(
            f"{pack.review} of them may show other people and lie apart, in review/: look at each, and export again "
            "with --include or --exclude. The request stays open until then."
        )
    data = {
        "request": request.id,
        "directory": str(pack.directory),
        "documents": pack.documents,
        "files": pack.files,
        "bytes": pack.bytes,
        "review": pack.review,
        "withheld": pack.withheld,
        "errors": pack.errors,
    }
    code = Exit.FAILED if pack.errors else Exit.REVIEW if pack.review else Exit.DONE
    return Answer(code, data, lines)
