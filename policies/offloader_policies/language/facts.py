"""What clauses may ask of a document. A fact that the CRM does not say is not there: unknown is never false."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from offloader.model import Document, Parent

_DAY = 86_400


def extension(name: str) -> str:
    """The extension of a file name in lower case, without its dot; empty if it has none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def modified(document: Document) -> datetime | None:
    return _aware(document.modified or (document.versions[-1].modified if document.versions else None))


def created(document: Document) -> datetime | None:
    return _aware(document.created or (document.versions[0].created if document.versions else None))


def size(document: Document) -> int | None:
    """Bytes of all versions; None if the CRM does not say one of them."""
    total = 0
    for version in document.versions:
        if version.size is None:
            return None
        total += version.size
    return total


def mime(document: Document) -> str | None:
    found = document.current.mime
    return found.partition(";")[0].strip().lower() or None if found else None


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and moment.tzinfo is not None else None


def _days(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else int((now - moment).total_seconds() // _DAY)


def _text(value: str | None) -> str | None:
    """Text that can be written in UTF-8; a CRM's half character can not, and is unknown."""
    if value is None or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


#: fact → its type, and how it is read
_FACTS: Mapping[str, tuple[str, Callable[[Document, datetime], Any]]] = {
    "source": ("string", lambda document, now: document.ref.source),
    "kind": ("string", lambda document, now: document.ref.kind),
    "id": ("string", lambda document, now: _text(document.ref.id)),
    "title": ("string", lambda document, now: _text(document.title)),
    "name": ("string", lambda document, now: _text(document.current.name)),
    "extension": ("string", lambda document, now: _text(extension(document.current.name))),
    "mime": ("string", lambda document, now: _text(mime(document))),
    "size": ("int", lambda document, now: size(document)),
    "versions": ("int", lambda document, now: len(document.versions)),
    "age_days": ("int", lambda document, now: _days(modified(document), now)),
    "created_days": ("int", lambda document, now: _days(created(document), now)),
    "owner": ("string", lambda document, now: _text(document.owner) or None),
}
TYPES: Mapping[str, str] = {
    **{f"document.{name}": kind for name, (kind, _) in _FACTS.items()},
    "document.known": "strings",
    "parents": "records",
    "now": "time",
}


def values(document: Document, now: datetime, names: Iterable[str]) -> dict[str, Any]:
    """The variables of these names, those left out that the CRM does not say."""
    found: dict[str, Any] = {}
    for name in names:
        value: Any
        if name == "parents":
            value = [_record(parent) for parent in document.parents]
        elif name == "now":
            value = now
        elif name == "document.known":
            value = [fact for fact, (_, read) in _FACTS.items() if read(document, now) is not None]
        else:
            value = _FACTS[name.removeprefix("document.")][1](document, now)
        if value is not None:
            found[name] = value
    return found


def _record(parent: Parent) -> dict[str, Any]:
    """A parent without the signals for which the CRM has no value."""
    given = parent.signals.items()
    signals = {name: value for name, value in given if isinstance(value, str) and value and _text(value) is not None}
    return {"type": _text(parent.type) or "", "id": _text(parent.id) or "", "signals": signals}
