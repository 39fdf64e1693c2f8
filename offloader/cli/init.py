"""offloader init"""

from __future__ import annotations

from typing import Annotated

import typer

from offloader.cli.output import Answer
from offloader.cli.session import Json, session_of
from offloader.errors import ConfigError

TEMPLATE = """\
# offloader: where documents are, where they may go, and by which rules.
# Complete and check this file in an editor with the schema that `offloader schema` prints.
ledger:
  path: ledger.sqlite            # keep it, and its backups, in a country where the file names may be

gateway:
  url: https://files.example.com # links begin with this address; it can never change
  link_key: env:OFFLOADER_LINK_KEY

sources:
  salesforce:
    type: salesforce
    login_url: https://acme.my.salesforce.com
    client_id: put the consumer key of your connected app here
    client_secret: env:OFFLOADER_SALESFORCE_SECRET

stores:
  frankfurt:
    type: filesystem
    path: /srv/offloader/frankfurt
    country: DE
    attested_by: name of the person who vouches for the place
    attested_until: 2027-12-31

policies:
  residency:
    type: residency
"""


def command(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: Json = False,
) -> Answer:
    """Write a configuration to start from."""
    path = session_of(context).config_path
    if path.exists() and not force:
        raise ConfigError(f"{path} exists; say --force to overwrite it")
    try:
        path.write_text(TEMPLATE, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    return Answer(data={"config": str(path)}, lines=[f"Wrote {path}. Edit it, then run `offloader check`."])
