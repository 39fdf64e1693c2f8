"""The whole effective policy: every value after all layers, with its file and line and what it replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from offloader.plugins import PolicyValue, WholePolicy
from offloader_policies.language.layers import NAMED, Book, Known
from offloader_policies.language.policy import FilePolicy
from offloader_policies.language.reading import Steps, dotted
from offloader_policies.shown import plain

#: sections that are no values of the policy: how it is put together, and the examples beside it
_LEFT_OUT = ("extends", "pack", "removes", "tests")
#: how one thing of a named section is called
_CALLED = {
    "clauses": "clause",
    "rules": "rule",
    "groups": "group",
    "purge": "purge rule",
    "transfer_bases": "transfer basis",
}


def whole(policy: FilePolicy) -> WholePolicy:
    """Every effective value of the policy, defaults included, in the order of the language."""
    book = policy.book
    return WholePolicy(
        layers=book.shas,
        values=tuple(_Walk(book, _replaced(book)).policy()),
        removed=tuple(
            (f"{_thing(each.section)} {each.name}", each.was, each.reason, each.origin) for each in book.removals
        ),
        tests=len(book.content.tests),
    )


def _thing(section: str) -> str:
    return _CALLED.get(section, section.removesuffix("s"))


def _replaced(book: Book) -> Mapping[tuple[str | int, ...], tuple[tuple[Any, str], ...]]:
    """By the way to a value (named things by their names): what stood there in lower layers."""
    found: dict[tuple[str | int, ...], tuple[tuple[Any, str], ...]] = {}
    for override in book.overrides:
        below = (_plain(override.below), override.below.origin)
        found[override.steps] = (*found.get(override.steps, ()), below)
    return found


@dataclass(frozen=True, slots=True)
class _Walk:
    """Goes through the policy's content and says of each value where it comes from."""

    book: Book
    replaced: Mapping[tuple[str | int, ...], tuple[tuple[Any, str], ...]]

    def policy(self) -> Iterator[PolicyValue]:
        # the size at the top stands for the one among the options of the rules
        doubled = ("min_bytes",) if self.book.content.min_bytes is None else ("residency", "min_bytes")
        for steps, names, value in self._fields(self.book.content, (), ()):
            if steps[0] not in _LEFT_OUT and steps != doubled:
                yield self._value(steps, names, value)

    def _fields(self, model: BaseModel, steps: Steps, names: Steps) -> Iterator[tuple[Steps, Steps, Any]]:
        """Every value of a model: the way to it by numbers, the same by names, and what the model holds."""
        for field, about in type(model).model_fields.items():
            key = about.alias or field
            way, called = (*steps, key), (*names, key)
            named = NAMED.get(tuple(map(str, way)))
            value = getattr(model, field)
            if isinstance(value, BaseModel):
                yield from self._fields(value, way, called)
            elif named is not None and value:
                for number, part in enumerate(value):
                    yield from self._fields(part, (*way, number), (*called, str(getattr(part, named))))
            elif isinstance(value, Mapping) and value:
                for name, part in value.items():
                    yield (*way, name), (*called, name), part
            else:
                yield way, called, value

    def _value(self, steps: Steps, names: Steps, value: Any) -> PolicyValue:
        part, at = _part(steps, names)
        known = self.book.origins.get(steps)
        return PolicyValue(
            part=part,
            key=dotted(names[at:]),
            value=_plain(value if known is None else known),
            origin=known.origin if known is not None else None,
            replaced=self.replaced.get(names, ()) if known is not None else (),
            sources=self._sources(steps),
        )

    def _sources(self, steps: Steps) -> tuple[str, ...]:
        """The only sources that a clause or a purge rule is about."""
        content = self.book.content
        if len(steps) > 1 and isinstance(steps[1], int):
            if steps[0] == "clauses":
                return content.clauses[steps[1]].select.sources
            if steps[0] == "purge":
                return content.purge[steps[1]].sources
        return ()


def _part(steps: Steps, names: Steps) -> tuple[str, int]:
    """What a value belongs to, and where the way inside of that begins."""
    for at, step in enumerate(steps):
        if isinstance(step, int):
            return f"{_thing(str(names[at - 1]))} {names[at]}", at + 1
    return (str(names[0]), 1) if len(names) > 1 else ("", 0)


def _plain(value: Any) -> Any:
    """A value as it is written, or as the model has it, in plain JSON."""
    if isinstance(value, Known):
        return _plain(value.value)
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else plain(value)
