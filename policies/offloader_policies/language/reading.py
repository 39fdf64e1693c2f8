"""A policy file as plain values with the line of each: YAML 1.2, and nothing of it that two readers could take
differently.

Refused, each with its file and line: duplicate keys, tabs, tags, merge keys, several documents in one file, dates with
a time, and files that grow when they are read (size, depth, values and aliases are bounded).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from offloader.errors import ConfigError

MAX_BYTES = 1 << 18
MAX_DEPTH = 16
MAX_ALIASES = 100
#: values after aliases are written out
MAX_VALUES = 20_000
_TAG = "tag:yaml.org,2002:"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt]|\s+)\d{1,2}:\d{2}.*")

#: the way to a value: keys of mappings and numbers in lists
Steps = tuple[str | int, ...]


def dotted(steps: Sequence[str | int]) -> str:
    """A way as people write it: clauses[2].select.kinds."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Source:
    """One file's values, and the line on which each stands. `name` is how errors and provenance call the file."""

    name: str
    text: str
    value: Mapping[str, Any]
    lines: Mapping[Steps, int]

    def line(self, steps: Steps) -> int:
        """The line of a value, or of the nearest thing around it."""
        while steps and steps not in self.lines:
            steps = steps[:-1]
        return self.lines.get(steps, 1)

    def origin(self, steps: Steps) -> str:
        return f"{self.name}:{self.line(steps)}"

    def fail(self, steps: Steps, message: str) -> NoReturn:
        where = f" {dotted(steps)}:" if steps else ""
        raise ConfigError(f"{self.origin(steps)}:{where} {message}")


def read(name: str, data: bytes) -> Source:
    """Read a policy file. Raises ConfigError naming the file, the line and what to write instead."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES} bytes; this is not a policy")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: not UTF-8; save the file as UTF-8") from error
    try:
        _bound(name, text)
        node = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}: the character U+{ord(text[error.position]):04X} may not stand in a policy"
        ) from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{place}: {_plain(error, text)}") from error
    except ValueError as error:  # a character that YAML does not allow
        raise ConfigError(f"{name}: not valid YAML: {error.__class__.__name__}") from error
    builder = _Builder(name)
    if node is None:
        return Source(name, text, {}, {})
    if not isinstance(node, MappingNode):
        raise ConfigError(f"{name}:1: must hold keys and values, such as `policy: my-policy`")
    return Source(name, text, builder.mapping(node, ()), builder.lines)


def _bound(name: str, text: str) -> None:
    """Refuse what would grow, before anything is built of it."""
    depth = aliases = 0
    for event in YAML(typ="safe", pure=True).parse(io.StringIO(text)):
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        elif isinstance(event, AliasEvent):
            aliases += 1
        elif isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise ConfigError(f"{name}:{event.start_mark.line + 1}: another YAML than 1.2; leave the line %YAML out")
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_ALIASES} aliases (*)"
            raise ConfigError(f"{name}:{event.start_mark.line + 1}: {what}; this is not a policy")


def _plain(error: YAMLError, text: str) -> str:
    """A reader's error in words that say what to write."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error.__class__.__name__)
    if mark is not None and "\t" in "".join(text.splitlines()[mark.line : mark.line + 1])[: mark.column + 1]:
        return "a tab: write spaces"
    if "undefined alias" in problem:
        return f"{problem}: an anchor (&name) counts within its own file only; write the values out, or use `extends`"
    if "another document" in problem or "single document" in str(getattr(error, "context", "")):
        return "a second document (---): one policy stands in one file"
    return f"not valid YAML: {problem}"


@dataclass(slots=True)
class _Builder:
    """Turns YAML's nodes into values."""

    name: str
    lines: dict[Steps, int] = field(default_factory=dict)
    count: int = 0

    def fail(self, node: Node, steps: Steps, message: str) -> NoReturn:
        where = f" {dotted(steps)}:" if steps else ""
        raise ConfigError(f"{self.name}:{node.start_mark.line + 1}:{where} {message}")

    def value(self, node: Node, steps: Steps) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or len(steps) > MAX_DEPTH:
            self.fail(node, (), "grows when its aliases (*) are written out; this is not a policy")
        self.lines.setdefault(steps, node.start_mark.line + 1)
        if isinstance(node, MappingNode):
            return self.mapping(node, steps)
        if isinstance(node, SequenceNode):
            self._tag(node, steps, "seq")
            return [self.value(part, (*steps, number)) for number, part in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, steps)

    def mapping(self, node: MappingNode, steps: Steps) -> dict[str, Any]:
        self._tag(node, steps, "map")
        found: dict[str, Any] = {}
        for key_node, part in node.value:
            tag = str(key_node.tag)
            if tag == f"{_TAG}merge":
                self.fail(key_node, steps, "`<<` is not understood; write the values out, or use `extends`")
            if not isinstance(key_node, ScalarNode) or tag not in (f"{_TAG}str", f"{_TAG}int"):
                self.fail(key_node, steps, f"the key {_short(key_node)} must be text; put it in quotation marks")
            key = str(key_node.value)
            below = (*steps, key)
            if key in found:
                self.fail(key_node, below, f"stands here twice; the first is on line {self.lines[below]}")
            self.lines[below] = key_node.start_mark.line + 1
            found[key] = self.value(part, below)
        return found

    def _tag(self, node: Node, steps: Steps, *known: str) -> str:
        tag = str(node.tag).removeprefix(_TAG)
        if tag not in known:
            self.fail(node, steps, f"the tag {tag} is not understood; write the plain value")
        return tag

    def _scalar(self, node: ScalarNode, steps: Steps) -> Any:
        tag = self._tag(node, steps, "str", "int", "float", "bool", "null", "timestamp")
        text = str(node.value)
        if _MOMENT.fullmatch(text):
            self.fail(node, steps, f"{text!r} has a time of day; write the day alone ({text[:10]}), it is read in UTC")
        try:
            return _READERS[tag](text)
        except ValueError:
            self.fail(node, steps, f"{text!r} is no {_NAMES[tag]}")


def _short(node: Node) -> str:
    return repr(str(node.value)[:40]) if isinstance(node, ScalarNode) else "that is no text"


def _whole(text: str) -> int:
    return int(text.replace("_", ""), 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else 10)


def _day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


_READERS: Mapping[str, Any] = {
    "str": str,
    "int": _whole,
    "float": lambda text: float(text.replace("_", "")),
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
    "timestamp": _day,
}
_NAMES = {"int": "whole number", "float": "number", "timestamp": "date (YYYY-MM-DD)"}
