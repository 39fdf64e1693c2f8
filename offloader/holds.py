"""Legal holds: what each covers, as pure values.

Unknown is held: a document whose date, owner or signal the CRM does not say is covered as if it were in the scope.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any

from offloader.errors import ConfigError
from offloader.model import Document

_SIGNAL = "signal."
#: a reason of which only the hash is left
_HASHED = "sha256:"
_KNOWN_HASH = re.compile("sha256:[0-9a-f]{64}")
_LISTS = {"source": "sources", "kind": "kinds", "type": "types"}
_DATES = ("modified-from", "modified-to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a hold covers: everything that is named has to fit, and of each list one value.

    Dates are days in UTC, the last one included. `pks` are the ledger's numbers of `documents`, which stay theirs when
    a restore gives them new ids.
    """

    #: SOURCE/KIND/ID
    documents: tuple[str, ...] = ()
    pks: tuple[int, ...] = ()
    #: TYPE:ID of a record that the document hangs on
    records: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    #: object types of a record that the document hangs on
    types: tuple[str, ...] = ()
    #: name of a signal → values, compared without regard to case
    signals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    created_from: date | None = None
    created_to: date | None = None
    modified_from: date | None = None
    modified_to: date | None = None

    @property
    def empty(self) -> bool:
        return self == Scope()

    def covers(self, pk: int, document: Document) -> bool:
        """Whether the document, number `pk` of the ledger, is in this scope. Its versions are not looked at."""
        ref = document.ref
        return (
            _among(self.sources, ref.source)
            and _among(self.kinds, ref.kind)
            and (not self.documents or pk in self.pks or str(ref) in self.documents)
            and (not self.owners or document.owner is None or document.owner in self.owners)
            and (not self.records or any(f"{each.type}:{each.id}" in self.records for each in document.parents))
            and (not self.types or any(each.type in self.types for each in document.parents))
            and _within(document.created, self.created_from, self.created_to)
            and _within(document.modified, self.modified_from, self.modified_to)
            and all(_signalled(document, name, values) for name, values in self.signals.items())
        )

    def as_json(self) -> dict[str, Any]:
        """What is named, JSON-able."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, date):
                found[each.name] = value.isoformat()
            elif isinstance(value, Mapping) and value:
                found[each.name] = {name: list(values) for name, values in value.items()}
            elif value:
                found[each.name] = list(value)
        return found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scope:
        """The scope that `as_json` gave."""
        found: dict[str, Any] = {}
        for name, each in value.items():
            if name == "signals":
                found[name] = {signal: tuple(values) for signal, values in each.items()}
            else:
                found[name] = date.fromisoformat(each) if isinstance(each, str) else tuple(each)
        return cls(**found)

    def with_query(self, query: str) -> Scope:
        """Narrow by a query: NAME=VALUE with spaces between, quotes around values with spaces; a name given twice
        means either value. Names are source, kind, type, signal.NAME, modified-from and modified-to.

        Raises ConfigError naming what cannot be understood.
        """
        scope = self
        for word in _words(query):
            name, equals, value = word.partition("=")
            if not equals or not value:
                raise ConfigError(f"a query is made of NAME=VALUE, such as kind=Attachment; {word!r} is not")
            if name in _LISTS:
                change: dict[str, Any] = {_LISTS[name]: (*getattr(scope, _LISTS[name]), value)}
                scope = replace(scope, **change)
            elif name.startswith(_SIGNAL) and name != _SIGNAL:
                signal = name.removeprefix(_SIGNAL)
                scope = replace(scope, signals={**scope.signals, signal: (*scope.signals.get(signal, ()), value)})
            elif name in _DATES:
                change = {name.replace("-", "_"): day(value, name)}
                scope = replace(scope, **change)
            else:
                known = ", ".join((*_LISTS, f"{_SIGNAL}NAME", *_DATES))
                raise ConfigError(f"a query knows no {name!r}; it knows {known}")
        return scope


def day(text: str, what: str) -> date:
    """A day as in 2026-11-22. Raises ConfigError naming `what`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{what} takes a day such as 2026-11-22, not {text!r}") from error


def _words(query: str) -> Sequence[str]:
    try:
        return shlex.split(query)
    except ValueError as error:
        raise ConfigError(f"the query cannot be read: {error}") from error


def _among(wanted: Sequence[str], value: str) -> bool:
    return not wanted or value in wanted


def _within(moment: datetime | None, first: date | None, last: date | None) -> bool:
    if moment is None or (first is None and last is None):
        return True
    found = moment.astimezone(UTC).date()
    return (first is None or first <= found) and (last is None or found <= last)


def _signalled(document: Document, name: str, values: Iterable[str]) -> bool:
    said = {value.casefold() for parent in document.parents if (value := parent.signals.get(name))}
    return not said or not said.isdisjoint(value.casefold() for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One person's agreement to the end of a hold."""

    hold: str
    person: str
    #: how the person was recognised: "login:jdevries", "key:<thumbprint>"
    proof: str
    #: never leaves the ledger's table: it may say what is between lawyer and client
    reason: str
    at: str
    signature: str = ""
    #: number of the event that tells of it
    noted: int | None = None

    def statement(self) -> dict[str, Any]:
        """What the person says, and signs."""
        return {
            "type": "hold-release",
            "hold": self.hold,
            "person": self.person,
            "proof": self.proof,
            "reason_sha256": _digest(self.reason),
            "at": self.at,
        }

    @classmethod
    def from_statement(cls, said: Mapping[str, Any], signature: str) -> Release:
        """The agreement that gave this statement; of the reason only the hash is left."""
        return cls(
            hold=str(said["hold"]),
            person=str(said["person"]),
            proof=str(said["proof"]),
            reason=_HASHED + str(said["reason_sha256"]),
            at=str(said["at"]),
            signature=signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold. It stands until two people have released it."""

    #: H-20261122-0001
    id: str
    #: what it is for, in words that may be shown
    matter: str
    scope: Scope
    #: never leaves the ledger's table
    reason: str
    #: whether nothing is moved either; removal is always forbidden
    freezes_moves: bool
    person: str
    proof: str
    at: str
    signature: str = ""
    released_at: str | None = None
    noted: int | None = None
    releases: tuple[Release, ...] = ()

    def statement(self) -> dict[str, Any]:
        """What the person says, and signs; the ledger's numbers of documents are no part of that."""
        return {
            "type": "hold",
            "hold": self.id,
            "matter": self.matter,
            "scope": {name: value for name, value in self.scope.as_json().items() if name != "pks"},
            "freezes_moves": self.freezes_moves,
            "person": self.person,
            "proof": self.proof,
            "reason_sha256": _digest(self.reason),
            "at": self.at,
        }

    @classmethod
    def from_statement(cls, said: Mapping[str, Any], signature: str) -> Hold:
        """The hold that gave this statement; of the reason only the hash is left."""
        return cls(
            id=str(said["hold"]),
            matter=str(said["matter"]),
            scope=Scope.from_json(said["scope"]),
            reason=_HASHED + str(said["reason_sha256"]),
            freezes_moves=said["freezes_moves"] is not False,
            person=str(said["person"]),
            proof=str(said["proof"]),
            at=str(said["at"]),
            signature=signature,
        )


def _digest(text: str) -> str:
    if _KNOWN_HASH.fullmatch(text):
        return text.removeprefix(_HASHED)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
