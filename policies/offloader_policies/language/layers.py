"""Layers: packs, organisation, source. What a higher layer says wins, and every value knows its file and line.

Single values and plain lists are replaced; mappings merge key by key; lists of named things (clauses, rules, groups,
transfer bases, tests) merge by name. Nothing leaves the layers below but by `removes`, with a reason.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from offloader.errors import ConfigError
from offloader_policies.language.model import Pack, PolicyFile
from offloader_policies.language.reading import MAX_BYTES, Source, Steps, dotted, read

MAX_LAYERS = 64
PACKS = "packs/"
#: lists of named things: where they stand, and the key of the name
NAMED: Mapping[tuple[str, ...], str] = {
    ("clauses",): "id",
    ("rules",): "id",
    ("groups",): "id",
    ("purge",): "id",
    ("residency", "transfer_bases"): "id",
    ("tests",): "name",
}
#: the commonest mistakes, by pydantic's names for them
_IN_WORDS = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotation marks",
    "model_type": "must hold keys and values",
    "model_attributes_type": "must hold keys and values",
    "tuple_type": "must be a list",
    "string_pattern_mismatch": "is no name: begin with a letter, go on with letters, digits or '_'",
}
#: what a layer says of itself
OWN = ("extends", "pack", "removes")


@dataclass(frozen=True, slots=True)
class Known:
    """A value of one layer, and where it stands. Mappings and named lists hold further ones."""

    value: Any
    source: Source
    steps: Steps

    @property
    def origin(self) -> str:
        return self.source.origin(self.steps)


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that a layer took out of the layers below."""

    section: str
    name: str
    reason: str
    origin: str
    #: what was taken out, and where it stood
    value: Any
    was: str


@dataclass(frozen=True, slots=True)
class Override:
    """A value of a lower layer that a higher one replaced."""

    steps: Steps
    #: the named thing that it belongs to, if any
    name: str | None
    below: Known
    above: Known


@dataclass(frozen=True, slots=True)
class Book:
    """All layers together: the effective values, and where each comes from."""

    layers: tuple[Source, ...]
    content: PolicyFile
    origins: Mapping[Steps, Known]
    removals: tuple[Removal, ...]
    overrides: tuple[Override, ...]

    def origin(self, *steps: str | int) -> str:
        """File and line of an effective value, or of the nearest thing around it."""
        way: Steps = steps
        while way and way not in self.origins:
            way = way[:-1]
        return self.origins[way].origin if way else f"{self.layers[-1].name}:1"

    def fail(self, steps: Sequence[str | int], message: str) -> ConfigError:
        return ConfigError(f"{self.origin(*steps)}: {dotted(steps)}: {message}")

    def packs(self) -> Iterator[tuple[Source, Pack]]:
        """The packs among the layers, and what each says of itself."""
        for layer in self.layers:
            if layer.value.get("pack"):
                yield layer, Pack.model_validate(layer.value["pack"])

    @property
    def shas(self) -> tuple[tuple[str, str], ...]:
        """The layers by name, lowest first, with the SHA-256 of their text."""
        return tuple((layer.name, hashlib.sha256(layer.text.encode()).hexdigest()) for layer in self.layers)


def shipped_packs() -> tuple[str, ...]:
    """Names of the packs that come with this package."""
    folder = files("offloader_policies") / "packs"
    return tuple(sorted(part.name.removesuffix(".yaml") for part in folder.iterdir() if part.name.endswith(".yaml")))


def load(path: Path) -> Book:
    """Read a policy file with all layers below it. Raises ConfigError naming file, line and key."""
    layers: list[Source] = []
    _collect(_file(path, path.name), path.parent, layers, ())
    return _merged(layers)


@cache
def load_pack(name: str) -> Book:
    """Read a pack of this package by its name, with the layers below it."""
    layers: list[Source] = []
    _collect(_pack(name), None, layers, ())
    return _merged(layers)


def _file(path: Path, name: str) -> Source:
    try:
        with path.open("rb") as file:
            return read(name, file.read(MAX_BYTES + 1))
    except OSError as error:
        raise ConfigError(f"the policy {path} cannot be read: {error.strerror}") from error


def _pack(name: str) -> Source:
    if name not in shipped_packs():
        raise ConfigError(f"no pack is called {name!r}; there are: {', '.join(shipped_packs())}")
    data = (files("offloader_policies") / "packs" / f"{name}.yaml").read_bytes()
    return read(f"{PACKS}{name}.yaml", data)


def _collect(source: Source, folder: Path | None, layers: list[Source], above: tuple[str, ...]) -> None:
    """Add a layer after those that it extends. `folder` is None inside of packs, which extend only packs."""
    extends = source.value.get("extends", [])
    named = [extends] if isinstance(extends, str) else extends
    if not isinstance(named, list) or not all(isinstance(word, str) and word for word in named):
        source.fail(("extends",), "a list of layers: packs/NAME, or a file relative to this one")
    for number, word in enumerate(named):
        steps: Steps = ("extends",) if isinstance(extends, str) else ("extends", number)
        try:
            below, place = _below(word, source, folder)
        except ConfigError as error:
            source.fail(steps, str(error))
        if below.name in (*above, source.name):
            source.fail(steps, f"{word} extends this file again; a layer cannot stand on itself")
        if any(layer.name == below.name for layer in layers):
            continue
        _collect(below, place, layers, (*above, source.name))
    layers.append(source)
    if len(layers) > MAX_LAYERS:
        source.fail(("extends",), f"more than {MAX_LAYERS} layers")


def _below(word: str, source: Source, folder: Path | None) -> tuple[Source, Path | None]:
    if word.startswith(PACKS):
        return _pack(word.removeprefix(PACKS).removesuffix(".yaml")), None
    path = PurePosixPath(word)
    if folder is None or path.is_absolute() or "\\" in word:
        raise ConfigError(f"{word!r} is no layer; write packs/NAME, or a file relative to this one")
    found = folder / path
    return _file(found, posixpath.normpath(PurePosixPath(source.name).parent / path)), found.parent


@dataclass(slots=True)
class _Merge:
    """Puts one layer upon the other."""

    removals: list[Removal]
    overrides: list[Override]

    def known(self, value: Any, source: Source, steps: Steps, way: tuple[str, ...]) -> Known:
        """A layer's own value with the place of every part that can be overridden."""
        if isinstance(value, dict):
            parts: Any = {key: self.known(part, source, (*steps, key), (*way, key)) for key, part in value.items()}
        elif way in NAMED and isinstance(value, list):
            parts = self._named(value, source, steps, way)
        else:
            parts = value
        return Known(parts, source, steps)

    def _named(self, value: list[Any], source: Source, steps: Steps, way: tuple[str, ...]) -> dict[str, Known]:
        key, found = NAMED[way], dict[str, Known]()
        for number, part in enumerate(value):
            below = (*steps, number)
            if not isinstance(part, dict) or not isinstance(part.get(key), str):
                source.fail(below, f"needs `{key}:` with a name")
            if part[key] in found:
                source.fail(
                    (*below, key), f"{part[key]!r} stands here twice; the first is in {found[part[key]].origin}"
                )
            found[part[key]] = self.known(part, source, below, (*way, "*"))
        return found

    def over(self, below: Known, above: Known, way: tuple[str, ...], name: str | None) -> Known:
        if isinstance(below.value, dict) and isinstance(above.value, dict):
            parts = dict(below.value)
            for key, part in above.value.items():
                called = key if way in NAMED else name
                parts[key] = self.over(parts[key], part, (*way, key), called) if key in parts else part
            return Known(parts, above.source, above.steps)
        if _plain(below) != _plain(above):
            self.overrides.append(Override(way, name, below, above))
        return above

    def take_out(self, tree: dict[str, Any], source: Source) -> None:
        """Carry out a layer's `removes`."""
        removes = source.value.get("removes", {})
        sections = {way[-1]: way for way in NAMED}
        for section, wanted in removes.items() if isinstance(removes, dict) else ():
            way = sections.get(section)
            holder = tree
            for step in (way or ())[:-1]:
                inner = holder.get(step)
                holder = inner.value if inner is not None and isinstance(inner.value, dict) else {}
            held = holder.get(section)
            for name, reason in wanted.items() if way and isinstance(wanted, dict) else ():
                if held is None or not isinstance(held.value, dict) or name not in held.value:
                    source.fail(("removes", section, name), f"no layer below has {name!r} among its {section}")
                gone = held.value.pop(name)
                origin = source.origin(("removes", section, name))
                self.removals.append(Removal(section, name, str(reason), origin, _plain(gone), gone.origin))


def _merged(layers: list[Source]) -> Book:
    merge = _Merge([], [])
    tree: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        merge.take_out(tree, layer)
        top = number == len(layers) - 1
        for key, value in layer.value.items():
            known = merge.known(value, layer, (key,), (key,))
            if key in OWN:
                if top or key == "removes":
                    tree[key] = known
                else:
                    _alone(layer, key, value)
            elif key in ("policy", "version") and not top:
                continue
            else:
                tree[key] = merge.over(tree[key], known, (key,), None) if key in tree else known
    origins: dict[Steps, Known] = {}
    value = {key: _effective(part, (key,), origins) for key, part in tree.items()}
    try:
        content = PolicyFile.model_validate(value)
    except ValidationError as error:
        raise _translated(error, layers[-1], origins) from error
    return Book(tuple(layers), content, origins, tuple(merge.removals), tuple(merge.overrides))


def _alone(layer: Source, key: str, value: Any) -> None:
    """What a lower layer says of itself is not part of the whole, but must be right."""
    try:
        PolicyFile.model_validate({"policy": "x", key: value})
    except ValidationError as error:
        raise _translated(error, layer, {}) from error


def _plain(known: Any) -> Any:
    if isinstance(known, Known):
        return _plain(known.value)
    if isinstance(known, dict):
        return {key: _plain(part) for key, part in known.items()}
    return known


def _effective(known: Known, steps: Steps, origins: dict[Steps, Known]) -> Any:
    """The plain value, noting where each part of it comes from."""
    origins[steps] = known
    if not isinstance(known.value, dict):
        return known.value
    if tuple(str(step) for step in steps) in NAMED:
        return [_effective(part, (*steps, number), origins) for number, part in enumerate(known.value.values())]
    return {key: _effective(part, (*steps, key), origins) for key, part in known.value.items()}


def _translated(error: ValidationError, top: Source, origins: Mapping[Steps, Known]) -> ConfigError:
    """The first problem, with its file, its line and its key; a misspelt key before what is missing for its lack."""
    problems = error.errors(include_url=False, include_input=False)
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    steps: Steps = problem["loc"]
    way = steps
    while way and way not in origins:
        way = way[:-1]
    if way:
        known = origins[way]
        origin = known.source.origin((*known.steps, *steps[len(way) :]))
    else:
        origin = top.origin(steps)
    where = dotted(tuple(step for step in steps if step != "[key]"))
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(str(steps[-1]), _keys(), n=1)
        what = f"did you mean `{near[0]}`?" if near else "`offloader policy schema` lists what may stand here"
        return ConfigError(f"{origin}: {where}: unknown key; {what}")
    plain = _IN_WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    return ConfigError(f"{origin}: {where}: {plain.replace('Input should be', 'must be')}")


def _keys() -> frozenset[str]:
    """Every key that may stand somewhere in a policy."""
    schema = PolicyFile.model_json_schema(by_alias=True)
    models = (schema, *schema["$defs"].values())
    return frozenset(key for model in models for key in model.get("properties", ()))
