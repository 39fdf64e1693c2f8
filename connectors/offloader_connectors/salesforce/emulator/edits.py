"""Changes that somebody else makes while a client is at work, by script.

| `action` | keys | does |
| --- | --- | --- |
| `new_version` | `id`, `body` | uploads a new version of the document (or replaces an Attachment's body) |
| `update` | `id`, `fields` | changes fields |
| `delete`, `undelete`, `purge` | `id` | deletes, brings back, deletes for good |
| `delete_parent` | `id`, `number` | deletes the number-th record that the document hangs on |
| `link` | `id`, `to`, `share_type`, `visibility` | shares the document with a record or user |
| `unlink` | `id`, `from` | takes such a share away |
| `insert` | `type`, `fields` | makes a record |
| `expire_sessions` | | ends all sessions |

Without `id`, the change is made to what the call was about: the record read or written, or the `number`-th row found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offloader_connectors.salesforce.emulator import files
from offloader_connectors.salesforce.emulator.ids import normal
from offloader_connectors.salesforce.emulator.store import Row, kind_of

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.app import Salesforce

Change = Mapping[str, Any]


def apply_edit(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    """Raises ValueError for a change that cannot be understood."""
    action = _ACTIONS.get(str(change.get("action")))
    if action is None:
        raise ValueError(f"unknown action {change.get('action')!r}; known: {', '.join(_ACTIONS)}")
    with app.org.store.transaction():
        action(app, change, subjects)


def _subject(change: Change, subjects: Sequence[str]) -> str:
    named = change.get("id")
    number = int(change.get("number", 0)) if change.get("action") != "delete_parent" else 0
    if named is None and number >= len(subjects):
        raise ValueError(f"the change {change.get('action')} has no id and the call was about no record")
    found = normal(str(named)) if named is not None else subjects[number]
    if found is None:
        raise ValueError(f"{named!r} is no record id")
    return found


def _document(app: Salesforce, key: str) -> str:
    """The document of a document's, a version's or a link's id."""
    row = app.org.store.get(key)
    if row is None:
        raise ValueError(f"no record {key}")
    return key if kind_of(key) == "ContentDocument" else str(row["ContentDocumentId"])


def _new_version(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    key, body = _subject(change, subjects), str(change.get("body", "edited by somebody else")).encode()
    if kind_of(key) == "Attachment":
        app.org.update(key, {"Body": body})
        return
    document = _document(app, key)
    latest = app.org.get(str((app.org.get(document) or {})["LatestPublishedVersionId"])) or {}
    fields = {
        "ContentDocumentId": document,
        "Title": latest["Title"],
        "PathOnClient": latest["PathOnClient"],
        "VersionData": body,
    }
    app.org.insert("ContentVersion", fields)


def _update(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    app.org.update(_subject(change, subjects), change["fields"])


def _delete(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    app.org.delete(_subject(change, subjects))


def _undelete(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    app.org.undelete(_subject(change, subjects))


def _purge(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    app.org.remove(_subject(change, subjects), hard=True)


def _parents(app: Salesforce, document: str) -> list[Row]:
    links = app.org.store.where("ContentDocumentLink", "ContentDocumentId", document)
    return [link for link in links if kind_of(link["LinkedEntityId"]) != "User"]


def _delete_parent(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    key, number = _subject(change, subjects), int(change.get("number", 0))
    if kind_of(key) == "Attachment":
        app.org.delete(str((app.org.get(key) or {})["ParentId"]))
        return
    parents = _parents(app, _document(app, key))
    if number >= len(parents):
        raise ValueError(f"the document has no parent number {number}")
    app.org.delete(parents[number]["LinkedEntityId"])


def _link(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    fields = {"ContentDocumentId": _document(app, _subject(change, subjects)), "LinkedEntityId": change["to"]}
    given = {"ShareType": change.get("share_type", "V"), "Visibility": change.get("visibility", "AllUsers")}
    app.org.insert("ContentDocumentLink", fields | given)


def _unlink(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    document, entity = _document(app, _subject(change, subjects)), normal(str(change["from"]))
    link = files.find_link(app.org, document, entity or "")
    if link is None:
        raise ValueError("there is no such link")
    app.org.delete(link["Id"])


def _insert(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    app.org.insert(change["type"], change["fields"])


def _expire(app: Salesforce, change: Change, subjects: Sequence[str]) -> None:
    app.auth.expire_all()


_ACTIONS: Mapping[str, Callable[[Salesforce, Change, Sequence[str]], None]] = {
    "new_version": _new_version,
    "update": _update,
    "delete": _delete,
    "undelete": _undelete,
    "purge": _purge,
    "delete_parent": _delete_parent,
    "link": _link,
    "unlink": _unlink,
    "insert": _insert,
    "expire_sessions": _expire,
}
