"""What can be shown of a policy's options: every value, and what of the configuration they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel

from offloader.plugins import PolicyName, PolicyValue, WholePolicy
from offloader_policies.options import ResidencyOptions


def whole(options: ResidencyOptions) -> WholePolicy:
    """The values of a policy that stands among the plugin's options, in no file of its own."""
    return WholePolicy(layers=(), values=tuple(_values(options, "")))


def _values(options: BaseModel, above: str) -> Iterator[PolicyValue]:
    for name in type(options).model_fields:
        value, key = getattr(options, name), f"{above}{name}"
        if isinstance(value, BaseModel):
            yield from _values(value, f"{key}.")
        else:
            yield PolicyValue("residency", key, plain(value), "" if name in options.model_fields_set else None)


def names(options: ResidencyOptions) -> Iterator[PolicyName]:
    """The kinds and stores that the options name."""
    for kind in options.categories.by_kind:
        yield PolicyName("kind", kind, "categories.by_kind")
    for store in options.prefer:
        yield PolicyName("store", store, "prefer")


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(by_alias=True, exclude_unset=True))
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(part) for part in value]
    return value.isoformat() if isinstance(value, date) else value
