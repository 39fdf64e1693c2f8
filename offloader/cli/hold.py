"""offloader hold"""

from __future__ import annotations

import typer

app = typer.Typer(name="hold", no_args_is_help=True, help="Add, list and release legal holds.")


@app.callback()
def group() -> None:
    pass
