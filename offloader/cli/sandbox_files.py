"""Starting emulated CRMs in a directory, with a configuration that is ready to use beside its data."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from offloader.errors import ConfigError
from offloader.evidence import read
from offloader.plugins import Context, Emulator, EmulatorPlugin, SourcePlugin, StorePlugin, available, load

#: the demo's stores: name, country
STORES = (("de", "DE"), ("us", "US"), ("au", "AU"), ("br", "BR"))
#: stands for every emulated CRM that is installed
ALL = "all"
LINK_URL = "http://127.0.0.1:8480"


def crms_named(name: str) -> list[str]:
    """The emulated CRMs that a name stands for: itself, or all that are installed."""
    return list(available(EmulatorPlugin)) if name == ALL else [name]


def start(
    crm: str,
    directory: Path,
    outside: Context,
    documents: int,
    seed: int,
    port: int = 0,
    latency_ms: float = 0.0,
    faults: Path | None = None,
) -> dict[str, Emulator]:
    """Start one emulator in a directory, or each of several in a folder of it, and write a configuration there.

    Several share the number of documents.
    """
    names = crms_named(crm)
    if port and len(names) > 1:
        raise ConfigError("--port is for one CRM; several take free ports")
    folders = {name: directory / name if len(names) > 1 else directory for name in names}
    for folder in folders.values():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the directory {folder} cannot be made: {error.strerror}") from error
    shares = [documents * (turn + 1) // len(names) - documents * turn // len(names) for turn in range(len(names))]
    emulators: dict[str, Emulator] = {}
    try:
        for (name, folder), share in zip(folders.items(), shares, strict=True):
            emulators[name] = load(EmulatorPlugin, name).start(folder, share, seed, port, latency_ms, faults)
    except BaseException:
        for emulator in emulators.values():
            emulator.close()
        raise
    write_config(directory, emulators, outside)
    return emulators


def write_config(directory: Path, emulators: Mapping[str, Emulator], outside: Context) -> Path:
    """Write DIR/offloader.yaml and the secrets it refers to; what is there stays, but for the CRM's address."""
    key = directory / "link_key"
    for path in (key, directory / "proxy_secret"):
        if not path.exists():
            path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
            path.chmod(0o600)
    path = directory / "offloader.yaml"
    yaml = YAML(typ="safe", pure=True)
    sources = {
        name: _below(name if len(emulators) > 1 else "", emulator.source_options)
        for name, emulator in emulators.items()
    }
    value = _kept(path, yaml) if path.exists() else _fresh(directory, outside)
    known = value["sources"]
    value["sources"] = known | {name: {**known.get(name, {}), **options} for name, options in sources.items()}
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(value, file)
    return path


def _kept(path: Path, yaml: YAML) -> dict[str, Any]:
    """The configuration that stands there. Raises ConfigError if it is none."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"))
        if isinstance(value["sources"], dict):
            return dict(value)
    except (YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is no configuration that a sandbox can go on with; move it away") from error
    raise ConfigError(f"{path} has no sources that a sandbox can go on with; move it away")


def _fresh(directory: Path, outside: Context) -> dict[str, Any]:
    """A new sandbox's configuration, without its sources."""
    until = (outside.now() + timedelta(days=365)).date().isoformat()
    return {
        "ledger": {"path": "ledger.sqlite"},
        "gateway": {
            "url": LINK_URL,
            "link_key": "file:link_key",
            "login": {"secret": "file:proxy_secret"},
        },
        "sources": {},
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


def _below(folder: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A source's options with the files that they name in a folder of the configuration's directory."""
    if not folder:
        return dict(options)
    model = load(SourcePlugin, options["type"]).options
    paths = {name for name, item in model.model_fields.items() if item.annotation in (Path, Path | None)}
    moved = dict(options)
    for name, value in options.items():
        if name in paths:
            moved[name] = f"{folder}/{value}"
        elif isinstance(value, str) and value.startswith("file:"):
            moved[name] = f"file:{folder}/{value.removeprefix('file:')}"
    return moved


def _attested(name: str, options: dict[str, str], outside: Context, directory: Path) -> dict[str, str]:
    """A filesystem store's options; a disk that only an attestation can vouch for (overlay, tmpfs) is attested too."""
    plugin = load(StorePlugin, "filesystem")
    proof = plugin.open(name, plugin.options.model_validate(options), replace(outside, directory=directory)).prove()
    filesystem = read(proof.evidence["folder"]).get("answer", {}).get("filesystem")
    if not proof.usable_at(outside.now()) and filesystem:
        options = {**options, "filesystem": filesystem}
    return {"type": "filesystem", **options}
