"""What every command shares: the configuration, the way it speaks, and how it opens a site."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.output import Bars
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.moves.site import Site
    from offloader.plugins import Context

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
PlanFile = Annotated[Path | None, typer.Option("--out", help="Also write the plan to this file, as JSON Lines.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")]
ClockChecked = Annotated[
    bool, typer.Option("--clock-checked", help="Go on though nothing was done for more than a month.")
]


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line."""

    config_path: Path

    def config(self) -> Config:
        from offloader.config import load_config  # noqa: PLC0415 - a command that needs no file starts faster

        return load_config(self.config_path)

    def context(self) -> Context:
        from offloader.system import system_context  # noqa: PLC0415

        return system_context(self.config_path.resolve().parent)

    @contextmanager
    def site(self, *, exclusive: bool = True, dry_run: bool = False, ledger: Path | None = None) -> Iterator[Site]:
        """Open the configured site, with the ledger in this file if one is given."""
        from offloader.config import LedgerOptions  # noqa: PLC0415
        from offloader.moves.site import Interrupts  # noqa: PLC0415
        from offloader.system import steady_memory  # noqa: PLC0415
        from offloader.wiring import open_site  # noqa: PLC0415 - loads every configured plugin

        steady_memory()
        interrupts = Interrupts()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: interrupts.request())
        config = self.config()
        if ledger is not None:
            config.settings = config.settings.model_copy(update={"ledger": LedgerOptions(path=ledger)})
        with (
            Bars() as progress,
            open_site(config, self.context(), exclusive=exclusive, dry_run=dry_run, progress=progress) as site,
        ):
            yield replace(site, interrupts=interrupts)


def session_of(context: typer.Context) -> Session:
    """The session that the global options made."""
    found = context.find_object(Session)
    assert found is not None
    return found


def chosen_sources(site: Site, wanted: Sequence[str] | None) -> Sequence[str]:
    """The sources that were named, none for all. Raises ConfigError for one that is not configured."""
    unknown = sorted(set(wanted or ()) - set(site.sources))
    if unknown:
        raise ConfigError(f"no source {unknown[0]!r} is configured; there are {', '.join(sorted(site.sources))}")
    return wanted or ()


def private_key(path: Path | None) -> str | None:
    """A person's private key out of its file; None for no file. Raises ConfigError if it cannot be read."""
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key {path} cannot be read: {error.__class__.__name__}") from error
