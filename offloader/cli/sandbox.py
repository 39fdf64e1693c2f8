"""offloader sandbox"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from offloader.cli.session import Json, session_of


def command(
    context: typer.Context,
    crm: Annotated[str, typer.Argument(help="The CRM to emulate: salesforce, dynamics365, or all.")],
    directory: Annotated[Path, typer.Option("--dir", help="Where everything is kept.")] = Path("sandbox"),
    documents: Annotated[int, typer.Option(min=0, help="Documents to make, in a new directory.")] = 200,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal documents.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    latency_ms: Annotated[float, typer.Option(min=0, help="Pause before every answer, in milliseconds.")] = 0.0,
    faults: Annotated[Path | None, typer.Option(help="Scripted faults, JSON or YAML.")] = None,
    as_json: Json = False,
) -> int:
    """Serve an emulated CRM, or all, full of made-up documents until it is stopped (Ctrl-C).

    Writes DIR/offloader.yaml, ready to use, and DIR/ca.pem (with all: DIR/CRM/ca.pem); prints one JSON line when it
    is ready.
    """
    from offloader.cli.sandbox_files import start  # noqa: PLC0415 - loads the plugins

    outside = session_of(context).context()
    emulators = start(crm, directory, outside, documents, seed, port, latency_ms, faults)
    try:
        serving = {name: {"url": each.url, "ca_file": str(each.ca_file)} for name, each in emulators.items()}
        ready = {"crm": crm, "config": str(directory / "offloader.yaml"), "documents": documents, "crms": serving}
        first = next(iter(serving.values())) if len(serving) == 1 else {}
        sys.stdout.write(json.dumps({**ready, **first}) + "\n")
        sys.stdout.flush()
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        for emulator in emulators.values():
            emulator.close()
    return 0
