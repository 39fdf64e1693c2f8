"""offloader gateway"""

from __future__ import annotations

import typer

from offloader.cli.output import note
from offloader.cli.session import Json, session_of


def command(context: typer.Context, as_json: Json = False) -> int:
    """Serve the links until stopped: each opens only for those whom the CRM lets read the document now."""
    from offloader.cli.serving import app_of, login_of  # noqa: PLC0415 - brings in the web server
    from offloader.gateway.server import serve  # noqa: PLC0415

    session = session_of(context)
    config = session.config()
    login = login_of(config, session.context())
    options = config.settings.gateway
    with session.site(exclusive=False, dry_run=True) as site:
        note(f"Serving links on {options.host} port {options.port}; they begin with {options.url}")
        serve(app_of(site, login, options.redirect_seconds), host=options.host, port=options.port)
    return 0
