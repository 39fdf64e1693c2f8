"""Stores on real servers for the demo: started beside the CRM, each in a country, proven before the first byte."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from offloader.cli.sandbox_files import STORES
from offloader.errors import ConfigError
from offloader.plugins import Context, StorePlugin, load

FILESYSTEM = "filesystem"
#: what a user calls them, and the plugins
KINDS: Mapping[str, str] = {FILESYSTEM: "filesystem", "s3": "s3", "azure": "azure_blob"}


@dataclass(frozen=True, slots=True)
class DemoStores:
    """Options of the stores by name, and what the proof says of servers that must be refused, by kind."""

    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def kinds_of(text: str) -> list[str]:
    """Read `--stores`. Raises ConfigError."""
    kinds = [each.strip() for each in text.split(",")]
    if unknown := [each for each in kinds if each not in KINDS]:
        raise ConfigError(f"--stores knows {', '.join(KINDS)}, not {', '.join(unknown) or 'nothing'}")
    return list(dict.fromkeys(kinds))


@contextlib.contextmanager
def running_stores(kinds: Sequence[str], directory: Path, context: Context) -> Iterator[DemoStores]:
    """Start what the kinds need; the demo's countries are dealt out to them in turn. Raises ConfigError."""
    dealt: dict[str, list[tuple[str, str]]] = {}
    for turn, store in enumerate(STORES):
        dealt.setdefault(kinds[turn % len(kinds)], []).append(store)
    options: dict[str, Mapping[str, Any]] = {}
    refused: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for kind, stores in dealt.items():
            if kind == FILESYSTEM:
                continue
            plugin = load(StorePlugin, KINDS[kind])
            assert plugin.sandbox is not None
            sandbox = plugin.sandbox(directory / f"{kind}-servers", [country for _, country in stores], context)
            stack.callback(sandbox.close)
            options |= {name: {"type": KINDS[kind], **sandbox.options[country]} for name, country in stores}
            if sandbox.bare is not None:
                proof = plugin.open(kind, plugin.options.model_validate(sandbox.bare), context).prove()
                if proof.usable_at(context.now()):
                    raise ConfigError(f"{kind}: a server whose location nobody vouches for was accepted")
                refused[kind] = f"{proof.assurance}: {proof.summary}"
        yield DemoStores(options, refused)


def use_stores(config: Path, stores: DemoStores) -> None:
    """Put the stores into a sandbox's configuration, in the place of those of their names."""
    yaml = YAML(typ="safe", pure=True)
    value = yaml.load(config.read_text(encoding="utf-8"))
    value["stores"].update({name: dict(options) for name, options in stores.options.items()})
    with config.open("w", encoding="utf-8") as file:
        yaml.dump(value, file)
