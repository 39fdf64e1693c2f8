"""offloader schema"""

from __future__ import annotations

import json

import typer

from offloader.cli.output import Answer
from offloader.cli.session import Json


def command(context: typer.Context, as_json: Json = False) -> Answer:
    """Print the JSON Schema of offloader.yaml, so that editors complete and check it."""
    from offloader.config import json_schema  # noqa: PLC0415 - loads every installed plugin

    schema = json_schema()
    return Answer(data={"schema": schema}, lines=json.dumps(schema, indent=2).splitlines())
