"""Changes that somebody else makes while a client is at work, by script. A change has one of these keys:

| key | value |
| --- | --- |
| `update` | `{"fields": {…}}` changes columns |
| `body` | text: new bytes for the note, attachment, or (with `column`) file column |
| `delete` | `{}` deletes the row |
| `share` | `{"user": systemuserid, "rights": ["ReadAccess"]}` shares the row; without rights it ends the share |
| `insert` | `{"table": …, "fields": {…}}` makes a row |
| `retain` | `{}` moves the row to long-term retention |
| `expire_tokens` | `{}`: no token is valid any more |

Which row it is: `{"table": …, "id": …}` in the value; else the `subject`-th row that the call was about (from 0; the
first if not given). `body` takes `table`, `id`, `subject` and `column` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator.blocks import BODY

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.app import Dataverse

Change = Mapping[str, Any]


def apply_edit(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    """Raises ValueError for a change that cannot be understood."""
    named = [name for name in _ACTIONS if name in change]
    if len(named) != 1:
        raise ValueError(f"a change has one of the keys {', '.join(_ACTIONS)}")
    given = change[named[0]]
    keys = {**change, **given} if isinstance(given, Mapping) else change
    with app.org.store.transaction():
        _ACTIONS[named[0]](app, keys, subjects)


def _row(change: Change, subjects: Sequence[str]) -> tuple[str, str]:
    if "id" in change:
        return str(change["table"]), str(change["id"])
    number = int(change.get("subject", 0))
    wanted = [each for each in subjects if "table" not in change or each.startswith(f"{change['table']}/")]
    if number >= len(wanted):
        raise ValueError("the change names no row, and the call was not about so many")
    table, _, key = wanted[number].partition("/")
    return table, key


def _update(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    app.org.update(*_row(change, subjects), change["fields"])


def _body(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    table, key = _row(change, subjects)
    text = change["body"]
    data = text if isinstance(text, bytes) else str(text).encode()
    if "column" in change:
        app.org.set_file(table, key, change["column"], file_name=change.get("file_name", "edited.txt"), body=data)
    else:
        app.org.update(table, key, {BODY[table]: data})


def _delete(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    app.org.delete(*_row(change, subjects))


def _share(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    app.org.share(*_row(change, subjects), change["user"], change.get("rights", ()))


def _insert(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    app.org.insert(change["table"], change["fields"], id=change.get("id"))


def _retain(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    app.org.retain(*_row(change, subjects))


def _expire(app: Dataverse, change: Change, subjects: Sequence[str]) -> None:
    app.auth.expire_all()


_ACTIONS: Mapping[str, Callable[[Dataverse, Change, Sequence[str]], None]] = {
    "update": _update,
    "body": _body,
    "delete": _delete,
    "share": _share,
    "insert": _insert,
    "retain": _retain,
    "expire_tokens": _expire,
}
