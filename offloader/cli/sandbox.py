"""offloader sandbox"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.session import Json, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.plugins import Context, Emulator

#: the demo's stores: name, country
STORES = (("de", "DE"), ("us", "US"), ("au", "AU"), ("br", "BR"))
LINK_URL = "http://127.0.0.1:8480"


def command(
    context: typer.Context,
    crm: Annotated[str, typer.Argument(help="The CRM to emulate: salesforce.")],
    directory: Annotated[Path, typer.Option("--dir", help="Where everything is kept.")] = Path("sandbox"),
    documents: Annotated[int, typer.Option(min=0, help="Documents to make, in a new directory.")] = 200,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal documents.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    latency_ms: Annotated[float, typer.Option(min=0, help="Pause before every answer, in milliseconds.")] = 0.0,
    faults: Annotated[Path | None, typer.Option(help="Scripted faults, JSON or YAML.")] = None,
    as_json: Json = False,
) -> int:
    """Serve an emulated CRM full of made-up documents until it is stopped (Ctrl-C).

    Writes DIR/offloader.yaml, ready to use, and DIR/ca.pem; prints one JSON line when it is ready.
    """
    outside = session_of(context).context()
    emulator = start(crm, directory, outside, documents, seed, port, latency_ms, faults)
    try:
        ready = {"crm": crm, "url": emulator.url, "config": str(directory / "offloader.yaml"), "documents": documents}
        sys.stdout.write(json.dumps({**ready, "ca_file": str(emulator.ca_file)}) + "\n")
        sys.stdout.flush()
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        emulator.close()
    return 0


def start(
    crm: str,
    directory: Path,
    outside: Context,
    documents: int,
    seed: int,
    port: int = 0,
    latency_ms: float = 0.0,
    faults: Path | None = None,
) -> Emulator:
    """Start an emulator in a directory and write a configuration for it beside its data."""
    from offloader.plugins import EmulatorPlugin, load  # noqa: PLC0415

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the directory {directory} cannot be made: {error.strerror}") from error
    plugin = load(EmulatorPlugin, crm)
    emulator = plugin.start(directory, documents, seed, port, latency_ms, faults)
    write_config(directory, {crm: emulator}, outside)
    return emulator


def write_config(directory: Path, emulators: dict[str, Emulator], outside: Context) -> Path:
    """Write DIR/offloader.yaml and the secrets it refers to; what is there stays, but for the CRM's address."""
    import secrets  # noqa: PLC0415
    from datetime import timedelta  # noqa: PLC0415

    from ruamel.yaml import YAML  # noqa: PLC0415

    key = directory / "link_key"
    for path in (key, directory / "proxy_secret"):
        if not path.exists():
            path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
            path.chmod(0o600)
    until = (outside.now() + timedelta(days=365)).date().isoformat()
    value = {
        "ledger": {"path": "ledger.sqlite"},
        "gateway": {
            "url": LINK_URL,
            "link_key": "file:link_key",
            "login": {"secret": "file:proxy_secret"},
        },
        "sources": {name: dict(emulator.source_options) for name, emulator in emulators.items()},
        "stores": {
            name: {
                "type": "filesystem",
                "path": f"stores/{name}",
                "country": country,
                "attested_by": "the sandbox, for demonstration only",
                "attested_until": until,
            }
            for name, country in STORES
        },
        "policies": {"residency": {"type": "residency"}},
    }
    path = directory / "offloader.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(value, file)
    return path
