"""offloader ledger"""

from __future__ import annotations

import typer

from offloader.cli.exits import TABLE
from offloader.cli.output import Answer
from offloader.cli.session import Json, session_of

app = typer.Typer(help="Look after the ledger's database.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Look after the ledger's database."""


@app.command(epilog=TABLE)
def upgrade(context: typer.Context, as_json: Json = False) -> Answer:
    """Bring the ledger to this program's schema; does nothing if it is there already."""
    from offloader.ledger import open_ledger  # noqa: PLC0415

    session = session_of(context)
    config = session.config()
    with open_ledger(config.ledger_path, now=session.context().now):
        pass
    return Answer(data={"ledger": str(config.ledger_path)}, lines=[f"{config.ledger_path} is up to date."])
