"""Rows as the JSON of query results and of single records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.resolve import Resolver, child_relations, leaf
from offloader_connectors.salesforce.emulator.schema import Field, SObject
from offloader_connectors.salesforce.emulator.soql import Call, Path, Query, Selected
from offloader_connectors.salesforce.emulator.store import Row, kind_of

#: query of children, child object, its field, the parent's row -> nested result
Children = Callable[[Query, str, str, Row], dict[str, Any] | None]


def record_url(base: str, kind: str, record_id: str) -> str:
    return f"{base}/sobjects/{kind}/{record_id}"


def value_of(field: Field, row: Row, base: str) -> Any:
    """A field's JSON value; a body is the relative URL from which it can be read."""
    if field.type == "base64":
        if row.get(f"_{field.name}") is None:
            return None
        return f"{record_url(base, kind_of(row['Id']) or '', row['Id'])}/{field.name}"
    if field.name == "VersionDataUrl":
        return None if row.get("ContentUrl") else f"{record_url(base, 'ContentVersion', row['Id'])}/VersionData"
    return leaf(field)(row)


def whole_record(sobject: SObject, row: Row, base: str, names: Sequence[str] | None = None) -> dict[str, Any]:
    """All fields of a record (or the named ones), as the sObject Rows resource gives them."""
    fields = [sobject.fields[name] for name in names] if names else sobject.fields.values()
    record = {"attributes": {"type": sobject.name, "url": record_url(base, sobject.name, row["Id"])}}
    return record | {field.name: value_of(field, row, base) for field in fields}


class Renderer:
    """Renders the selected items of one query."""

    def __init__(
        self, resolver: Resolver, base: str, items: Sequence[Selected], children: Children, limit: int | None = None
    ) -> None:
        self._resolver = resolver
        self._base = base
        self._children = children
        self._limit = limit
        self.has_body = False
        #: name -> Field, or (relation, subtree), or (child query, child object, field)
        self._tree: dict[str, Any] = {}
        for item in items:
            self._add(item)

    def _add(self, item: Selected) -> None:
        if isinstance(item.what, Query):
            relation = child_relations(self._resolver.sobject.name).get(item.what.name.lower())
            if relation is None:
                text = f"Didn't understand relationship '{item.what.name}' in FROM part of query call."
                raise SalesforceError("INVALID_TYPE", text)
            self._tree[relation[0]] = (item.what, relation[1], relation[2])
        elif isinstance(item.what, Call):
            self._add_call(item.what)
        else:
            self._add_path(item.what)

    def _add_call(self, call: Call) -> None:
        name, sobject = call.name.upper(), self._resolver.sobject
        if name == "FIELDS":
            which = str(call.argument).upper()
            if sobject.name == "ContentVersion":
                raise SalesforceError("INVALID_FIELD", f"The SOQL FIELDS function is not supported for {sobject.name}")
            if which != "STANDARD" and (self._limit is None or self._limit > 200):
                raise SalesforceError("MALFORMED_QUERY", "The SOQL FIELDS function must have a LIMIT of at most 200")
            for field in sobject.fields.values():
                if which == "ALL" or field.custom is (which == "CUSTOM"):
                    self._add_path(Path((field.name,)))
        elif name in {"TOLABEL", "FORMAT"} and isinstance(call.argument, Path):
            self._add_path(call.argument)
        else:
            raise SalesforceError("MALFORMED_QUERY", f"unexpected function {call.name}")

    def _add_path(self, path: Path) -> None:
        target = self._resolver.target(path)
        tree = self._tree
        for relation in target.steps:
            tree = tree.setdefault(str(relation.relation), (relation, {}))[1]
        tree[target.field.name] = target.field
        self.has_body = self.has_body or target.field.type == "base64"

    def record(self, row: Row) -> dict[str, Any]:
        kind = self._resolver.sobject.name
        attributes = {"type": kind}
        if row.get("Id"):
            attributes["url"] = record_url(self._base, kind, row["Id"])
        return self._fill({"attributes": attributes}, self._tree, row)

    def _fill(self, out: dict[str, Any], tree: dict[str, Any], row: Row) -> dict[str, Any]:
        for name, node in tree.items():
            if isinstance(node, Field):
                out[name] = value_of(node, row, self._base)
            elif isinstance(node[0], Query):
                out[name] = self._children(node[0], node[1], node[2], row)
            else:
                out[name] = self._parent(node[0], node[1], row)
        return out

    def _parent(self, relation: Field, tree: dict[str, Any], row: Row) -> dict[str, Any] | None:
        parent = self._resolver.parent(row, relation)
        if parent is None:
            return None
        kind = kind_of(parent["Id"]) or ""
        shown = kind if len(relation.targets) == 1 else "Name"
        attributes = {"type": shown, "url": record_url(self._base, kind, parent["Id"])}
        return self._fill({"attributes": attributes}, tree, parent)
