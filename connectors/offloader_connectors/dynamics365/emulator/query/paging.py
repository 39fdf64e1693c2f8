"""Skip tokens as the platform writes them ("Page results", Web API guide): a cookie inside of a cookie.

The inner cookie says after which row the next page begins. A check over it and over the query guards both: a cookie
that was changed, or that belongs to another query, is refused.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from offloader_connectors.dynamics365.emulator.errors import bad_cookie
from offloader_connectors.dynamics365.emulator.ids import normal

_OUTER = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(True|False)" ?/>')
_INNER = re.compile(r'<cookie page="(\d+)" check="(\w+)">(.*)</cookie>', re.DOTALL)
_FIELD = re.compile(r'<(\w+) last="([^"]*)" first="([^"]*)" />')
_OPTION = "$skiptoken"


@dataclass(frozen=True, slots=True)
class Cookie:
    """Where the page `number` begins: after the row with these values, in the order of the query."""

    number: int
    last: tuple[Any, ...]
    tracking: bool = False
    #: the values of the first row of the page before
    first: tuple[Any, ...] = ()


def _fingerprint(table: str, options: Mapping[str, str]) -> str:
    """Names the query that a cookie belongs to."""
    kept = sorted((name, value) for name, value in options.items() if name != _OPTION)
    return json.dumps([table, kept])


def _check(inside: str, number: int, fingerprint: str) -> str:
    return hashlib.sha256(f"{number} {inside} {fingerprint}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _shown(value: Any) -> str:
    guid = normal(value)
    return f"{{{guid.upper()}}}" if guid else html.escape(json.dumps(value), quote=True)


def _meant(text: str) -> Any:
    return normal(text) if text.startswith("{") else json.loads(html.unescape(text))


def write(cookie: Cookie, names: Sequence[str], table: str, options: Mapping[str, str]) -> str:
    """The value of $skiptoken, as it stands in an address."""
    pairs = zip(names, cookie.last, cookie.first or cookie.last, strict=True)
    inside = "".join(f'<{name} last="{_shown(last)}" first="{_shown(first)}" />' for name, last, first in pairs)
    check = _check(inside, cookie.number, _fingerprint(table, options))
    inner = f'<cookie page="{cookie.number - 1}" check="{check}">{inside}</cookie>'
    once = _lower(quote(inner, safe=""))
    outer = f'<cookie pagenumber="{cookie.number}" pagingcookie="{once}" istracking="{cookie.tracking}" />'
    return quote(outer, safe="=/")


def _lower(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)


def read(text: str, names: Sequence[str], table: str, options: Mapping[str, str]) -> Cookie:
    """The inverse of `write`, for a token as it comes out of the query string. Raises DataverseError."""
    outer = _OUTER.fullmatch(text)
    inner = _INNER.fullmatch(unquote(outer[2])) if outer else None
    if outer is None or inner is None:
        raise bad_cookie()
    number, inside = int(outer[1]), inner[3]
    fields = _FIELD.findall(inside)
    good = int(inner[1]) == number - 1 and [field[0] for field in fields] == list(names)
    if not good or inner[2] != _check(inside, number, _fingerprint(table, options)):
        raise bad_cookie()
    values = tuple(_meant(field[1]) for field in fields)
    return Cookie(number, values, outer[3] == "True")


def address(base: str, options: Mapping[str, str], token: str, name: str = _OPTION) -> str:
    """The address of the next page: the same query with this token (already encoded)."""
    kept = [f"{option}={quote(value, safe=_SAFE)}" for option, value in options.items() if option != _OPTION]
    return f"{base}?{'&'.join([*kept, f'{name}={token}'])}"


_SAFE = "$,()'=:@/"
