"""Change tracking ("Use change tracking to synchronize data with external systems", Web API guide)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from offloader_connectors.dynamics365.emulator.errors import DataverseError, bad_query
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.query import paging
from offloader_connectors.dynamics365.emulator.query.shape import Shape, shape
from offloader_connectors.dynamics365.emulator.schema import Table
from offloader_connectors.dynamics365.emulator.store import Row

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.caller import Caller
    from offloader_connectors.dynamics365.emulator.org import Org

_REFUSED = ("$filter", "$orderby", "$expand", "$top", "$apply")
_TOKEN = re.compile(r"(\d+)!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)")
_FORMAT = "%m/%d/%Y %H:%M:%S"
#: what a cookie of a tracked query names: the row version from which changes count, and the page's last row
_NAMES = ("since", "versionnumber", "id")


def tracked(options: Mapping[str, str], prefer: Prefer) -> bool:
    """Whether a list is asked for with its changes."""
    token = options.get("$skiptoken", "")
    return prefer.track_changes or "$deltatoken" in options or 'istracking="True"' in token


def _check(org: Org, caller: Caller, table: Table, options: Mapping[str, str]) -> None:
    for name in _REFUSED:
        if name in options:
            raise bad_query(f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.')
    if not table.tracking:
        text = f"Entity {table.name} isn't enabled for change tracking."
        raise DataverseError(400, "0x80072491", text)
    caller.check("Read", table.name)


def _since(org: Org, token: str) -> int:
    """The row version of a delta token. Raises DataverseError if it is none, or too old."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise DataverseError(400, "0x80044352", f"The delta token '{token[:50]}' is not valid.")
    made = datetime.strptime(match[2], _FORMAT).replace(tzinfo=UTC)
    if org.now() - made > timedelta(days=org.settings["expirechangetrackingindays"]):
        text = "Version stamp associated with the client has expired. Please perform a full sync."
        raise DataverseError(400, "0x80044352", text)
    return int(match[1])


def _horizon(org: Org) -> int:
    """The row version below which no open transaction can still publish a row."""
    return org.store.version - org.store.late_commit if org.store.late_commit else org.store.version


def _token(org: Org, version: int) -> str:
    text = quote(f"{version}!{org.now().astimezone(UTC).strftime(_FORMAT)}", safe="")
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)


def _changed(org: Org, caller: Caller, table: Table, since: int | None) -> list[tuple[int, str, Row | None]]:
    """(row version, id, row or None for a deleted one) of all that came after, in order; of all rows without it."""
    store = org.store
    pairs = store.between(table.name, "versionnumber", None if since is None else since + 1, None)
    rows = store.tables[table.name]
    found: list[tuple[int, str, Row | None]] = [
        (version, key, rows[key]) for version, key in pairs if caller.may_read(table.name, rows[key])
    ]
    if since is not None:
        gone: list[tuple[int, str, Row | None]] = [
            (entry["versionnumber"], entry["id"], None) for entry in store.deleted(table.name, since)
        ]
        found = sorted([*found, *gone], key=lambda item: item[:2])
    return found


def count_changes(org: Org, caller: Caller, table: Table, options: Mapping[str, str]) -> int:
    """`/$count?$deltatoken=…`. Raises DataverseError."""
    _check(org, caller, table, options)
    token = options.get("$deltatoken")
    return len(_changed(org, caller, table, None if token is None else _since(org, token)))


def track(org: Org, caller: Caller, table: Table, options: Mapping[str, str], prefer: Prefer) -> dict[str, Any]:
    """JSON of a list with a link to its changes, or of the changes since such a link. Raises DataverseError."""
    _check(org, caller, table, options)
    token = options.get("$deltatoken")
    since = None if token is None else _since(org, token)
    shaped = shape(org, caller, table, options, prefer, lambda *_: ())
    found = _changed(org, caller, table, since)
    horizon, number = _horizon(org), 1
    if "$skiptoken" in options:
        cookie = paging.read(options["$skiptoken"], _NAMES, table.name, options)
        horizon, version, key = cookie.last
        number = cookie.number
        found = [item for item in found if (item[0], item[1]) > (version, key)]
    size = max(1, min(org.options.page_cap, prefer.max_page_size or org.options.page_cap))
    page = found[:size]
    tail = "/$delta" if since is not None else ""
    answer: dict[str, Any] = {"@odata.context": f"{org.root}$metadata#{table.set_name}{shaped.selected}{tail}"}
    answer["value"] = [_item(org, table, shaped, item) for item in page]
    base = f"{org.root}{table.set_name}"
    if len(found) > size:
        last = (horizon, page[-1][0], page[-1][1])
        text = paging.write(paging.Cookie(number + 1, last, tracking=True), _NAMES, table.name, options)
        answer["@odata.nextLink"] = paging.address(base, options, text)
    else:
        kept = {name: value for name, value in options.items() if name not in {"$skiptoken", "$deltatoken"}}
        answer["@odata.deltaLink"] = paging.address(base, kept, _token(org, horizon), "$deltatoken")
    return answer


def _item(org: Org, table: Table, shaped: Shape, item: tuple[int, str, Row | None]) -> dict[str, Any]:
    if item[2] is not None:
        return shaped.row(item[2])
    context = f"{org.root}$metadata#{table.set_name}/$deletedEntity"
    return {"@odata.context": context, "id": item[1], "reason": "deleted"}
