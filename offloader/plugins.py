"""Plugins: found by entry points, listed without importing, loaded by name.

A plugin is a value of one of the classes below under the entry point group of its kind. A plugin that
cannot be loaded is named in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from offloader.errors import ConfigError
from offloader.model import Finding
from offloader.ports import Policy, Source, Store, Target, Tariff
from offloader.records import Records


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
    #: the account of this machine under which the program runs, as the system says it
    account: str = ""


@dataclass(frozen=True, slots=True)
class SourcePlugin:
    """A kind of CRM. `open` makes no call to the CRM."""

    help: str
    options: type[Options]
    open: Callable[[str, Any, Context], Source]
    #: system and meter in `tables/crm_storage_prices.psv` by which its documents' bytes are charged
    storage_price: tuple[str, str] | None = None
    #: the records of a source that `open` gave, over its session, where the plugin can purge and bring back; makes no
    #: call either
    open_records: Callable[[Source], Records] | None = None


class StoreSandbox(Protocol):
    """Servers for a demonstration, on loopback until closed."""

    #: ready-made options of a store in each country, as they stand in offloader.yaml
    @property
    def options(self) -> Mapping[str, Mapping[str, Any]]: ...

    #: options of a server whose location cannot be proven, to show that it is refused; None if there is none
    @property
    def bare(self) -> Mapping[str, Any] | None: ...

    def close(self) -> None: ...


def _no_tariff(options: Any) -> Tariff | None:
    return None


def _no_permissions(options: Any) -> Mapping[str, Any] | None:
    return None


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
    #: by which row of `tables/object_storage_prices.psv` a store with these options is paid, if known
    tariff: Callable[[Any], Tariff | None] = _no_tariff
    #: what an administrator grants so that every question of the location proof may be asked, and nothing be changed,
    #: in the provider's own JSON (an IAM policy, an Azure role); None where nothing is to be granted
    permissions: Callable[[Any], Mapping[str, Any] | None] = _no_permissions


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One example that stands beside a policy (given, expected), and what came of it. `where` is file:line."""

    name: str
    where: str
    #: what differs, in words; empty if all is as expected
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """One effective value of a policy, as it is written (plain JSON), and where it comes from.

    `part` is the section or the named thing that it belongs to ("caps", "clause closed-cases"; empty for the policy
    itself), `key` the way inside of it ("select.min_age").
    """

    part: str
    key: str
    value: Any
    #: file:line; empty where the value stands among the plugin's options; None for a default
    origin: str | None
    #: the values of lower layers that it replaced, lowest first, each with its file:line
    replaced: tuple[tuple[Any, str], ...] = ()
    #: the only sources that its part is about; all, if empty
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WholePolicy:
    """A policy after all its layers: every effective value, and what a layer took out."""

    #: files, lowest first, each with the SHA-256 of its text
    layers: tuple[tuple[str, str], ...]
    values: tuple[PolicyValue, ...]
    #: what was taken out, where it stood, why, and where that is said
    removed: tuple[tuple[str, str, str, str], ...] = ()
    #: how many examples stand beside it
    tests: int = 0


@dataclass(frozen=True, slots=True)
class PolicyName:
    """A source, a kind of document or a store that a policy names; a name that nothing has would never apply."""

    #: "source", "kind" or "store"
    what: str
    name: str
    #: file:line and what names it: "policy.yaml:7: the clause closed-cases"; the options' key, if no file says it
    place: str
    #: of a kind: the only sources that it is looked for in; all, if empty
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyPlugin:
    """A kind of rule book.

    `open` reads the files that the options name (relative to `context.directory`), and nothing later. `lint` gives
    what is doubtful about a policy that opens, `test` runs the examples that stand beside it; `schema` is the JSON
    Schema of its file, where it has one. `show` gives every effective value with its place, `names` what of the
    configuration the policy names. All raise ConfigError with the file and the line.
    """

    help: str
    options: type[Options]
    open: Callable[[Any, Context], Policy]
    lint: Callable[[Any, Context, Sequence[Target]], Sequence[Finding]] | None = None
    test: Callable[[Any, Context], Sequence[CaseResult]] | None = None
    schema: Callable[[], Mapping[str, Any]] | None = None
    show: Callable[[Any, Context], WholePolicy] | None = None
    names: Callable[[Any, Context], Sequence[PolicyName]] | None = None


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


@cache
def _installed(group: str) -> Sequence[EntryPoint]:
    """The plugins of a group. Each look reads the metadata of all installed packages; they do not change meanwhile."""
    return tuple(entry_points(group=group))


def available(kind: type[P]) -> Sequence[str]:
    """Names of the installed plugins of a kind, sorted; imports none of them."""
    return sorted(point.name for point in _installed(GROUPS[kind]))


def load(kind: type[P], name: str) -> P:
    """Load one plugin. Raises ConfigError naming it when it is unknown, broken, or something else."""
    group = GROUPS[kind]
    points = [point for point in _installed(group) if point.name == name]
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
