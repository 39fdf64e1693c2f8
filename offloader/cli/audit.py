"""offloader audit"""

from __future__ import annotations

import typer

app = typer.Typer(name="audit", no_args_is_help=True, help="Verify, prove and export the event log.")


@app.callback()
def group() -> None:
    pass
