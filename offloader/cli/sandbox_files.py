"""Starting an emulated CRM in a directory, with a configuration that is ready to use beside its data."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ruamel.yaml import YAML

from offloader.errors import ConfigError
from offloader.plugins import Context, Emulator, EmulatorPlugin, StorePlugin, load

#: the demo's stores: name, country
STORES = (("de", "DE"), ("us", "US"), ("au", "AU"), ("br", "BR"))
LINK_URL = "http://127.0.0.1:8480"


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
            name: _attested(
                name,
                {
                    "path": f"stores/{name}",
                    "country": country,
                    "attested_by": "the sandbox, for demonstration only",
                    "attested_until": until,
                },
                outside,
                directory,
            )
            for name, country in STORES
        },
        "policies": {"residency": {"type": "residency"}},
    }
    path = directory / "offloader.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(value, file)
    return path


def _attested(name: str, options: dict[str, str], outside: Context, directory: Path) -> dict[str, str]:
    """A filesystem store's options; a disk that only an attestation can vouch for (overlay, tmpfs) is attested too."""
    plugin = load(StorePlugin, "filesystem")
    proof = plugin.open(name, plugin.options.model_validate(options), replace(outside, directory=directory)).prove()
    filesystem = proof.evidence.get("filesystem")
    if not proof.usable_at(outside.now()) and filesystem:
        options = {**options, "filesystem": filesystem}
    return {"type": "filesystem", **options}
