"""offloader identity"""

from __future__ import annotations

from typing import Annotated

import typer

from offloader.cli.exits import TABLE
from offloader.cli.output import Answer
from offloader.cli.session import Json, session_of

app = typer.Typer(
    name="identity", no_args_is_help=True, help="Which CRM a source is, and whether it still is that one."
)


@app.callback()
def group() -> None:
    """Which CRM a source is, and whether it still is that one."""


@app.command(epilog=TABLE)
def accept(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Name of the source in the configuration.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the event log.")],
    as_json: Json = False,
) -> Answer:
    """Take a CRM that was restored, cloned or moved for the one that it was, because you say so."""
    from offloader.moves.identity import accept_identity  # noqa: PLC0415

    with session_of(context).site() as site:
        said = accept_identity(site, source, reason)
    named = ", ".join(f"{name} {value}" for name, value in said.items() if value)
    return Answer(data={"source": source, **said}, lines=[f"{source} is now: {named}."])
