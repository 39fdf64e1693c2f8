"""Which policies a command is about: one by its name, a file, or all of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.session import Session
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.config import Part
    from offloader.plugins import Context, PolicyPlugin

#: the policy type whose option `path` is a file
FILE = "file"
_SUFFIXES = (".yaml", ".yml")
Name = Annotated[
    str | None,
    typer.Argument(help="A policy's name in the configuration, or a policy file; all policies if left out."),
]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A policy that was named, with its plugin and options, and the folder that its paths are relative to."""

    name: str
    plugin: PolicyPlugin
    options: Any
    outside: Context
    #: as the configuration has it; None for a file
    part: Part | None = None


def is_file(name: str | None) -> bool:
    return name is not None and name.endswith(_SUFFIXES)


def choose(session: Session, name: str | None) -> list[Chosen]:
    """Raises ConfigError naming the policies that there are, if none is called so."""
    if name is not None and is_file(name):
        return [Chosen(name, *opened_file(Path(name)), session.context())]
    config = session.config()
    if name is not None and name not in config.policies:
        raise ConfigError(f"no policy is called {name!r}; there are: {', '.join(config.policies)}, or name a file")
    return [of(part, session.context()) for part in config.policies.values() if name in (None, part.name)]


def of(part: Part, outside: Context) -> Chosen:
    from offloader.plugins import PolicyPlugin, load  # noqa: PLC0415 - loads pydantic

    return Chosen(part.name, load(PolicyPlugin, part.type), part.options, outside, part)


def opened_file(path: Path) -> tuple[PolicyPlugin, Any]:
    from offloader.plugins import PolicyPlugin, load  # noqa: PLC0415

    plugin = load(PolicyPlugin, FILE)
    return plugin, plugin.options.model_validate({"path": path.resolve()})
