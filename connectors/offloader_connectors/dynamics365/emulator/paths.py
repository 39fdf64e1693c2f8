"""The path of a Web API call: segments, keys and function parameters ("Use Web API functions", OData 4.0 URL
conventions).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.ids import normal

_ROOT = re.compile(r"/api/data/v9\.[0-9]+/?(.*)", re.DOTALL)
_SEGMENT = re.compile(r"([^()]*)(?:\((.*)\))?", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_ALIAS = re.compile(r"@[A-Za-z_]\w*")
_PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)", re.DOTALL)
_OPENING, _CLOSING = "([{", ")]}"
NAMESPACE = "Microsoft.Dynamics.CRM."


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of the path: its name, and what stands between its parentheses (None: there are none)."""

    name: str
    arguments: str | None = None


def bad_url() -> DataverseError:
    text = (
        "URL was not parsed due to an ODataUnrecognizedPathException. Resource not found for the segment provided in "
        "the URL."
    )
    return DataverseError(400, "0x80060888", text)


def rest_of(path: str) -> str | None:
    """The part of a path below the root of the Web API; None if it is not below it."""
    match = _ROOT.fullmatch(path)
    return match[1] if match else None


@lru_cache(maxsize=8192)
def segments(rest: str) -> tuple[Segment, ...]:
    """Split a path that still has its percent signs. Raises DataverseError."""
    found = []
    for text in _split_steps(rest.strip("/")):
        match = _SEGMENT.fullmatch(unquote(text))
        if match is None:
            raise bad_url()
        found.append(Segment(match[1], match[2]))
    return tuple(found)


def _split_steps(rest: str) -> Iterator[str]:
    if "'" not in rest and "%27" not in rest:
        yield from (rest.split("/") if rest else ())
        return
    start, quoted = 0, False
    for match in re.finditer(r"'|%27|/", rest):
        if match[0] != "/":
            quoted = not quoted
        elif not quoted:
            yield rest[start : match.start()]
            start = match.end()
    yield rest[start:]


def split_arguments(text: str) -> Iterator[str]:
    """Cut at the commas that stand outside of quotes and brackets."""
    start = depth = 0
    quote = ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign == "," and not depth:
            yield text[start:place]
            start = place + 1
    if text[start:].strip():
        yield text[start:]


def literal(text: str, aliases: Mapping[str, str]) -> Any:
    """The value of a literal: 'text', number, true, null, an id, {…}, […], or the alias of one.

    Raises DataverseError.
    """
    text = text.strip()
    if _ALIAS.fullmatch(text):
        if text not in aliases:
            raise DataverseError(400, "0x80060888", f"The parameter alias '{text}' has no value in the URL.")
        text = aliases[text].strip()
    whole = _QUOTED.fullmatch(text)
    if whole:
        return whole[1].replace("''", "'")
    if text[:1] in {"{", "["} and text[-1:] in {"}", "]"}:
        return _structure(text)
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("-").isdigit() else float(text)
    if text in _WORDS:
        return _WORDS[text]
    return normal(text) or text


_WORDS = {"true": True, "false": False, "null": None}


def _structure(text: str) -> Any:
    """JSON whose strings may be in single quotes, as the samples of the guide write it in URLs."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return json.loads(_QUOTED.sub(lambda match: json.dumps(match[1].replace("''", "'")), text))
    except ValueError:
        raise DataverseError(400, "0x80060888", "A parameter of the URL is no valid JSON.") from None


def named(arguments: str | None, aliases: Mapping[str, str]) -> dict[str, Any]:
    """`a=1,b='x'` as values by name. Raises DataverseError."""
    found = {}
    for item in split_arguments(arguments or ""):
        match = _PAIR.fullmatch(item)
        if match is None:
            raise bad_url()
        found[match[1]] = literal(match[2], aliases)
    return found


def reference(text: str) -> tuple[str, str]:
    """Set name and key text of `accounts(…)`, as a relative or an absolute address. Raises DataverseError."""
    relative = "/" + text.split("/", 3)[-1] if "://" in text else text
    inside = rest_of(relative)
    found = segments(inside if inside is not None else relative)
    if len(found) != 1 or found[0].arguments is None:
        raise DataverseError(400, "0x80048d19", "Invalid property: the value is no valid reference to a record.")
    return found[0].name, found[0].arguments
