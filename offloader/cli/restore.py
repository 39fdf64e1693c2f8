"""offloader restore"""

from __future__ import annotations

from typing import Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size
from offloader.cli.session import Json, session_of
from offloader.errors import ConfigError
from offloader.model import State


def command(
    context: typer.Context,
    document: Annotated[
        list[str] | None, typer.Argument(help="Documents by their link, or as SOURCE/KIND/ID.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Put back every document that was moved.")] = False,
    as_json: Json = False,
) -> Answer:
    """Put documents back in the CRM, byte for byte with parents and sharing, and take their links away."""
    from offloader.moves.pages import entries_in  # noqa: PLC0415
    from offloader.moves.restore import find, restore  # noqa: PLC0415

    if bool(document) == everything:
        raise ConfigError("name the documents to put back, or say --all")
    with session_of(context).site() as site:
        entries = entries_in(site, {State.DONE}) if everything else [find(site, name) for name in document or ()]
        report = restore(site, entries)
    lines = [
        (
            f"{report.restored} documents put back ({size(report.bytes)}), {report.links_removed} links taken away, "
            f"{report.failed} failed."
        ),
        *(f"! {error}" for error in report.errors),
    ]
    data = {
        "restored": report.restored,
        "links_removed": report.links_removed,
        "bytes": report.bytes,
        "failed": report.failed,
        "errors": report.errors,
    }
    return Answer(Exit.FAILED if report.failed else Exit.DONE, data, lines)
