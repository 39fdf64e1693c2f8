"""$select, $filter and $expand over JSON documents, as the metadata resources have them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from offloader_connectors.dynamics365.emulator.errors import bad_query, no_property
from offloader_connectors.dynamics365.emulator.query.syntax import (
    Call,
    Compare,
    Expression,
    Joined,
    Literal,
    Negated,
    Path,
    parse_expand,
    parse_filter,
    split,
)

Document = dict[str, Any]
_MISSING = object()
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


class Kind:
    """A type of document: the properties that can be named, and what can be expanded."""

    def __init__(self, name: str, known: set[str], expansions: Mapping[str, Callable[[Document], Any]]) -> None:
        self.name = name
        self.known = known
        self.expansions = expansions


def _value(document: Document, path: Path, kind: Kind) -> Any:
    if path.names[0] not in kind.known:
        raise no_property(path.names[0], kind.name)
    found: Any = document.get(path.names[0])
    for name in path.names[1:]:
        found = found.get(name, _MISSING) if isinstance(found, Mapping) else None
        if found is _MISSING:
            raise no_property(name, kind.name)
    return found


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def holds(where: Expression, document: Document, kind: Kind) -> bool:
    """Whether a document fulfils a condition. Raises DataverseError."""
    if isinstance(where, Joined):
        combine = all if where.operator == "and" else any
        return combine(holds(part, document, kind) for part in where.parts)
    if isinstance(where, Negated):
        return not holds(where.part, document, kind)
    if isinstance(where, Compare) and isinstance(where.left, Path) and isinstance(where.right, Literal):
        left, right = _folded(_value(document, where.left, kind)), _folded(where.right.value)
        if where.operator not in {"eq", "ne"} and (left is None or right is None):
            return False
        return bool(_OPERATORS[where.operator](left, right))
    if isinstance(where, Call) and where.name in _TEXT:
        path, text = where.arguments
        if isinstance(path, Path) and isinstance(text, Literal):
            held = _value(document, path, kind)
            return held is not None and _TEXT[where.name](_folded(held), _folded(text.value))
    raise bad_query("This filter is not supported on metadata.")


def project(document: Document, options: Mapping[str, str], kind: Kind) -> Document:
    """A document with what $select and $expand want of it. Raises DataverseError."""
    names = [name for name in split(options.get("$select") or "", ",") if name]
    if unknown := next((name for name in names if name not in kind.known), None):
        raise no_property(unknown, kind.name)
    kept = document if not names else {name: document.get(name) for name in names}
    found = {name: value for name, value in document.items() if name.startswith("@")}
    found |= {name: value for name, value in kept.items() if name in kind.known}
    if names and "MetadataId" in document:
        found["MetadataId"] = document["MetadataId"]
    for item in parse_expand(options["$expand"]) if options.get("$expand") else []:
        if item.name not in kind.expansions:
            raise no_property(item.name, kind.name)
        value = kind.expansions[item.name](document)
        found[item.name] = _expanded(value, item.options)
    return found


def _expanded(value: Any, options: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        documents, kind = value
        return chosen(documents, options, kind)
    if isinstance(value, Mapping):
        names = [name for name in split(options.get("$select") or "", ",") if name]
        kept = {"MetadataId", *names}
        return {name: held for name, held in value.items() if not names or name in kept}
    return value


def chosen(documents: Sequence[Document], options: Mapping[str, str], kind: Kind) -> list[Document]:
    """The documents that fulfil $filter, projected. Raises DataverseError."""
    where = parse_filter(options["$filter"]) if options.get("$filter") else None
    found = [document for document in documents if where is None or holds(where, document, kind)]
    top = options.get("$top", "")
    return [project(document, options, kind) for document in (found[: int(top)] if top.isdigit() else found)]
