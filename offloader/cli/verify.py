"""offloader verify"""

from __future__ import annotations

import typer

from offloader.cli.output import Answer
from offloader.cli.reconcile import answer
from offloader.cli.session import Json, session_of


def command(context: typer.Context, as_json: Json = False) -> Answer:
    """Read every stored copy back and compare it with what was verified when it was moved. Asks the CRM nothing."""
    from offloader.moves.verify import verify  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        return answer(verify(site))
