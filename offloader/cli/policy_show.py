"""offloader policy show"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.output import Answer
from offloader.cli.policy_choice import Chosen, Name, choose, is_file, of
from offloader.cli.session import Json, Session, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.plugins import PolicyValue, WholePolicy

#: sections whose empty defaults mean something: no limit, nobody, nothing small
_TOLD = ("approvals", "caps", "limits", "exceptions", "expiry", "deletions")
#: columns of a key and of a value, as far as they fit
_KEY, _VALUE = 30, 34


def command(
    context: typer.Context,
    name: Name = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Only what applies to this source, under the policy that it has.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Print the whole policy after all its layers: every value with its file and line, and what it replaced."""
    session = session_of(context)
    config = None if is_file(name) else session.config()
    data: dict[str, Any] = {}
    lines: list[str] = []
    for each in _about(session, config, name, source):
        if each.plugin.show is None:
            raise ConfigError(f"the policy {each.name} cannot be shown: its type has no values")
        whole = each.plugin.show(each.options, each.outside)
        values = [*whole.values, *_limits(config)]
        values = [value for value in values if source is None or not value.sources or source in value.sources]
        places = [_place(value, each, config) for value in values]
        data[each.name] = _json(whole, values, places)
        head = f"Policy {each.name}" + (f", as it applies to {source}" if source else "")
        lines += ["", head, *_layers(whole), *shown(values, places), *_rest(whole)]
    return Answer(data={"policies": data} | ({"source": source} if source else {}), lines=lines[1:])


def _about(session: Session, config: Config | None, name: str | None, source: str | None) -> Sequence[Chosen]:
    if source is None or config is None:
        return choose(session, name)
    if source not in config.sources:
        raise ConfigError(f"no source is called {source!r}; there are: {', '.join(config.sources)}")
    part = config.policy_for(source)
    if name not in (None, part.name):
        raise ConfigError(f"the source {source!r} is under the policy {part.name}, not {name}")
    return [of(part, session.context())]


def _limits(config: Config | None) -> Iterator[PolicyValue]:
    """The limits of the configuration, which bind beside a policy's caps."""
    from offloader.plugins import PolicyValue  # noqa: PLC0415 - loads pydantic

    if config is not None:
        limits = config.settings.limits
        for key in type(limits).model_fields:
            yield PolicyValue("limits", key, getattr(limits, key), "" if key in limits.model_fields_set else None)


def _place(value: PolicyValue, each: Chosen, config: Config | None) -> str:
    """File and line of a value, or that it is a default."""
    from offloader.config import line_in  # noqa: PLC0415

    if value.origin is None:
        return "default"
    if value.origin or config is None:
        return value.origin
    above = ("limits",) if value.part == "limits" else ("policies", each.name)
    return f"{config.path.name}:{line_in(config.path, (*above, *value.key.split('.')))}"


def _json(whole: WholePolicy, values: Iterable[PolicyValue], places: Iterable[str]) -> dict[str, Any]:
    return {
        "layers": [{"file": file, "sha256": sha256} for file, sha256 in whole.layers],
        "values": [
            {
                "part": value.part,
                "key": value.key,
                "value": value.value,
                "default": value.origin is None,
                "origin": None if value.origin is None else place,
                "replaced": [{"value": old, "origin": origin} for old, origin in value.replaced],
            }
            for value, place in zip(values, places, strict=True)
        ],
        "removed": [
            {"what": what, "was": was, "reason": reason, "origin": origin}
            for what, was, reason, origin in whole.removed
        ],
        "tests": whole.tests,
    }


def _layers(whole: WholePolicy) -> Iterator[str]:
    if whole.layers:
        yield f"Layers, lowest first: {', '.join(file for file, _ in whole.layers)}"


def shown(values: Iterable[PolicyValue], places: Iterable[str]) -> Iterator[str]:
    """Values as lines, each with its place and what it replaced; by section, and by named thing."""
    told = [pair for pair in zip(values, places, strict=True) if _told(pair[0])]
    for part in dict.fromkeys(value.part for value, _ in told):
        yield ""
        if part:
            yield f"{part}:"
        for value, place in told:
            if value.part == part:
                yield from _line(value, place, "  " if part else "")


def _rest(whole: WholePolicy) -> Iterator[str]:
    if whole.removed:
        yield ""
        yield "Taken out of the layers below:"
    for what, was, reason, origin in whole.removed:
        yield f"  {what} ({was})"
        yield f"      {origin}: {reason}"
    yield ""
    yield f"Examples beside it: {whole.tests}. What is empty by default is left out; --json has it."


def _told(value: PolicyValue) -> bool:
    if value.key == "id":  # stands in the heading
        return False
    return value.origin is not None or value.value not in (None, [], {}, "") or value.part in _TOLD


def _line(value: PolicyValue, place: str, margin: str) -> Iterator[str]:
    yield from _columns(f"{margin}{value.key}", in_words(value.value), place)
    for old, origin in reversed(value.replaced):
        yield from _columns("", f"replaces {in_words(old)}", origin)


def _columns(key: str, words: str, place: str) -> Iterator[str]:
    """A long value has its place on the next line."""
    if len(words) <= _VALUE:
        yield f"{key:<{_KEY}} {words:<{_VALUE}} {place}"
    else:
        yield f"{key:<{_KEY}} {words}"
        yield f"{'':<{_KEY + _VALUE + 1}} {place}"


def in_words(value: Any) -> str:
    """A value as a policy would write it, in one line."""
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
