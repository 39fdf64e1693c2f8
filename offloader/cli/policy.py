"""offloader policy"""

from __future__ import annotations

import typer

app = typer.Typer(name="policy", no_args_is_help=True, help="Check, test, explain and compare policies.")


@app.callback()
def group() -> None:
    pass
