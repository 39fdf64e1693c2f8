"""Plugins: found by entry points, listed without importing, loaded by name.

A plugin is a value of one of the classes below under the entry point group of its kind. A plugin that
cannot be loaded is named in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from offloader.errors import ConfigError
from offloader.ports import Policy, Source, Store


class Options(BaseModel):
    """Base of every options model: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything from outside that a plugin may use. Tests pass their own."""

    #: timezone-aware UTC
    now: Callable[[], datetime]
    #: seconds
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    #: uniform in [0, 1), for jitter
    random: Callable[[], float]
    environ: Mapping[str, str]
    #: relative paths in options are relative to this folder
    directory: Path


@dataclass(frozen=True, slots=True)
class SourcePlugin:
    """A kind of CRM. `open` makes no call to the CRM."""

    help: str
    options: type[Options]
    open: Callable[[str, Any, Context], Source]
    #: system and meter in `tables/crm_storage_prices.psv` by which its documents' bytes are charged
    storage_price: tuple[str, str] | None = None


class StoreSandbox(Protocol):
    """Servers for a demonstration, on loopback until closed."""

    #: ready-made options of a store in each country, as they stand in offloader.yaml
    @property
    def options(self) -> Mapping[str, Mapping[str, Any]]: ...

    #: options of a server whose location cannot be proven, to show that it is refused; None if there is none
    @property
    def bare(self) -> Mapping[str, Any] | None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StorePlugin:
    """A kind of store. `open` makes no call to the store.

    `sandbox(directory, countries, context)` starts servers for a demonstration; it raises ConfigError saying how to
    install what is missing.
    """

    help: str
    options: type[Options]
    open: Callable[[str, Any, Context], Store]
    sandbox: Callable[[Path, Sequence[str], Context], StoreSandbox] | None = None


@dataclass(frozen=True, slots=True)
class PolicyPlugin:
    """A kind of rule book."""

    help: str
    options: type[Options]
    open: Callable[[Any], Policy]


class Emulator(Protocol):
    """An emulated CRM, serving on loopback until closed."""

    #: https://127.0.0.1:PORT
    url: str
    #: PEM bundle that signs the server's certificate
    ca_file: Path
    #: ready-made options for the source of the same name, as they stand in offloader.yaml
    source_options: Mapping[str, Any]

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EmulatorPlugin:
    """An emulated CRM with made-up documents.

    `start(directory, documents, seed, port, latency_ms, faults)` serves until `close`; it keeps its certificates,
    secrets and blobs below `directory`, and with a directory used before it continues from what it holds.
    """

    help: str
    start: Callable[[Path, int, int, int, float, Path | None], Emulator]


GROUPS: Mapping[type, str] = {
    SourcePlugin: "offloader.sources",
    StorePlugin: "offloader.stores",
    PolicyPlugin: "offloader.policy_packs",
    EmulatorPlugin: "offloader.emulators",
}
Plugin = SourcePlugin | StorePlugin | PolicyPlugin | EmulatorPlugin
P = TypeVar("P", bound=Plugin)


def available(kind: type[P]) -> Sequence[str]:
    """Names of the installed plugins of a kind, sorted; imports none of them."""
    return sorted(point.name for point in entry_points(group=GROUPS[kind]))


def load(kind: type[P], name: str) -> P:
    """Load one plugin. Raises ConfigError naming it when it is unknown, broken, or something else."""
    group = GROUPS[kind]
    points: list[EntryPoint] = [point for point in entry_points(group=group) if point.name == name]
    if not points:
        known = ", ".join(available(kind)) or "none"
        raise ConfigError(f"no plugin {name!r} in {group}; installed: {known}")
    try:
        loaded = points[0].load()
    except ImportError as error:
        raise ConfigError(
            f"the plugin {name!r} of {group} ({points[0].value}) cannot be imported: {error}; "
            f"is its extra installed, as in offloader[{name}]?"
        ) from error
    if not isinstance(loaded, kind):
        raise ConfigError(f"the plugin {name!r} of {group} ({points[0].value}) is no {kind.__name__}")
    return loaded
