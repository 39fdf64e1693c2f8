"""offloader ledger"""

from __future__ import annotations

from dataclasses import asdict

import typer

from offloader.cli.exits import TABLE, Exit
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


@app.command(epilog=TABLE)
def rebuild(context: typer.Context, as_json: Json = False) -> Answer:
    """Make a lost ledger anew from the catalogs in the stores; refuses while there is a ledger."""
    from offloader.ledger.opening import made_anew  # noqa: PLC0415
    from offloader.moves.rebuild import rebuild as make_anew  # noqa: PLC0415

    session = session_of(context)
    path = session.config().ledger_path
    with made_anew(path, session.context().now()) as half, session.site(ledger=half) as site:
        report = make_anew(site)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    lines = [
        f"{report.documents} documents ({report.versions} versions) in {report.segments} segments: {counts or 'none'}.",
        f"{report.holds} legal holds stand." if report.holds else "No store has a legal hold that stands.",
        *(f"The store {name} is empty: look whether it is the right place." for name in report.empty),
        *(f"! {error}" for error in report.errors),
        "Run `offloader scan --full` and `offloader reconcile` next.",
    ]
    code = Exit.FAILED if report.errors else Exit.DONE
    return Answer(code, {**asdict(report), "ledger": str(path)}, lines)
