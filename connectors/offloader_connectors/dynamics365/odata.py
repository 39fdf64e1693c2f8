"""Addresses of the Web API: filters, lists of ids and literals, encoded and safe from injection.

Web API guide, "Query data using the Web API" and "Filter rows using OData". Paths are below /api/data/v9.x/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from offloader.errors import Permanent

#: ids in one In() list: each takes 43 characters of an address that may have 32,768 (Web API guide, "Compose HTTP
#: requests and handle errors")
IDS_PER_LIST = 700
T = TypeVar("T")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: left as they are in an encoded filter
_SAFE = "(),='.$*:/@-_~"


def is_guid(text: str) -> bool:
    """Whether this is an id, with dashes and without braces."""
    return _GUID.fullmatch(text) is not None


def guid(text: str) -> str:
    """Return the id in lower case. Raises Permanent for anything else."""
    if not is_guid(text):
        raise Permanent(f"{text[:60]!a} is no record id")
    return text.lower()


def is_name(text: str) -> bool:
    """Whether this can be the logical name of a table or column."""
    return _NAME.fullmatch(text) is not None


def name(text: str) -> str:
    """Return the logical name of a table or column. Raises Permanent for what cannot be one."""
    if not is_name(text):
        raise Permanent(f"{text[:60]!a} is no name of a table or column")
    return text


def literal(text: str) -> str:
    """A string literal, encoded for an address."""
    return quote("'" + text.replace("'", "''") + "'", safe="")


def moment(at: datetime) -> str:
    """A moment as a literal, in UTC to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(filter_text: str) -> str:
    """Encode a filter whose literals are encoded already or hold nothing that needs it."""
    return quote(filter_text, safe=_SAFE + "%")


def in_list(column: str, ids: Iterable[str]) -> str:
    """The encoded filter for rows whose column is one of these ids, 700 at most.

    `column` is the logical name, for lookups too: query functions do not know the names of OData (`_x_value`).
    """
    listed = [guid(each) for each in ids]
    if not 0 < len(listed) <= IDS_PER_LIST:
        raise Permanent(f"an In() list of {len(listed)} ids")
    values = quote(json.dumps(listed, separators=(",", ":")), safe=",")
    return f"Microsoft.Dynamics.CRM.In(PropertyName='{name(column)}',PropertyValues={values})"


def both(*filters: str) -> str:
    """Join encoded filters; empty ones are left out."""
    return "%20and%20".join(each for each in filters if each)


def select(
    set_name: str,
    columns: Iterable[str],
    *,
    filter: str = "",
    expand: str = "",
    orderby: str = "",
    top: int | None = None,
) -> str:
    """The path of a list query; `filter` and `expand` are encoded."""
    parts = ["$select=" + ",".join(name(each) for each in columns)]
    if filter:
        parts.append("$filter=" + filter)
    if expand:
        parts.append("$expand=" + expand)
    if orderby:
        parts.append("$orderby=" + quote(orderby, safe=","))
    if top is not None:
        parts.append(f"$top={top}")
    return f"{name(set_name)}?{'&'.join(parts)}"


def record(set_name: str, id: str) -> str:
    """The path of one row."""
    return f"{name(set_name)}({guid(id)})"


def unique(values: Iterable[T]) -> list[T]:
    """Return the values without repetitions, in order."""
    return list(dict.fromkeys(values))


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut into parts of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))
