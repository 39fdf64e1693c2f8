"""offloader run"""

from __future__ import annotations

from typing import Annotated

import typer

from offloader.cli.apply import answer
from offloader.cli.output import Answer
from offloader.cli.session import Json, session_of


def command(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Scan everything again, not only what changed.")] = False,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    as_json: Json = False,
) -> Answer:
    """Scan, plan and apply in one go. Run again after any interruption: it goes on where it stopped.

    Where a policy wants people to approve, it scans and plans, moves nothing, and says how to go on (exit code 4).
    """
    from offloader.moves.run import run  # noqa: PLC0415

    with session_of(context).site() as site:
        report = run(site, sources=source or (), full=full)
    return answer(report)
