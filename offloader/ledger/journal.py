"""The event log's pen: numbers, times and chains the events of the transaction under way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from offloader.audit import GENESIS, Head, canonical
from offloader.ledger.bulk import execute_many
from offloader.ledger.schema import events, meta
from offloader.model import State

_INSERT = insert(events)
#: how far the clock may go back without a word
_TOLERANCE = timedelta(hours=1)
#: the event's type, and the key under which the ledger remembers for which newest time it was written
_SAID = "clock_behind"
Mark = tuple[Head, str, str]


def stamp(moment: datetime) -> str:
    """A time as the ledger writes it: of fixed width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def plain(text: str) -> str:
    """The text without what a database cannot hold: lone surrogates and NUL are spelled out."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


class Journal:
    """Used by the one writer only. `begin` each job, `add` its events, `flush` them before it ends."""

    def __init__(self, connection: Connection, now: Callable[[], datetime]) -> None:
        last = connection.execute(
            select(events.c.seq, events.c.hash, events.c.at).order_by(events.c.seq.desc()).limit(1)
        ).first()
        said = select(meta.c.value).where(meta.c.key == _SAID)
        self._now = now
        self._said = connection.execute(said).scalar() or ""
        self.head = Head(last.seq, last.hash.hex()) if last else Head()
        self.at = last.at if last else ""
        self._rows: list[dict[str, Any]] = []
        #: how far the clock was found behind the newest event, if by more than the tolerance
        self.behind = self._gap(now())

    def _gap(self, moment: datetime) -> timedelta | None:
        if stamp(moment) >= self.at:
            return None
        gap = datetime.fromisoformat(self.at) - moment
        return gap if gap > _TOLERANCE else None

    def mark(self) -> Mark:
        """Where the journal stands, for `rewind`."""
        return (self.head, self.at, self._said)

    def begin(self) -> None:
        """Set the time of the job's events: now, or the newest event's time if the clock is behind it."""
        moment = self._now()
        gap = self._gap(moment)
        if gap is None:
            self.at = max(stamp(moment), self.at)
            return
        self.behind = gap
        if self._said != self.at:
            # Once for each newest time: it stands still until the clock has caught up, also if we start again.
            self._said = self.at
            self.add(_SAID, data={"newest": self.at, "seconds_behind": round(gap.total_seconds())})

    def rewind(self, mark: Mark) -> None:
        """Forget everything since this mark."""
        self.head, self.at, self._said = mark
        self._rows.clear()

    def add(
        self,
        type: str,
        *,
        document: int | None = None,
        version: int | None = None,
        old: State | None = None,
        new: State | None = None,
        rule: str | None = None,
        data: Mapping[str, Any] | str,
    ) -> None:
        """Chain one event. `data` is JSON-able, or already canonical JSON."""
        text = data if isinstance(data, str) else canonical(data)
        seq = self.head.seq + 1
        row = {
            "seq": seq,
            "at": self.at,
            "type": plain(type),
            "document": document,
            "version": version,
            "from_state": old,
            "to_state": new,
            "rule": None if rule is None else plain(rule),
            "data": text,
        }
        digest = hashlib.sha256((self.head.hash + event_text(row)).encode("ascii"))
        row["hash"] = digest.digest()
        self.head = Head(seq, digest.hexdigest())
        self._rows.append(row)

    def flush(self, connection: Connection) -> None:
        """Write the events into the transaction under way."""
        if any(row["type"] == _SAID for row in self._rows):
            connection.execute(delete(meta).where(meta.c.key == _SAID))
            connection.execute(insert(meta).values(key=_SAID, value=self._said))
        if self._rows:
            execute_many(connection, _INSERT, self._rows)
            self._rows.clear()


@lru_cache(1024)
def _word(value: str | None) -> str:
    """A type, state or rule as JSON: few of them, over and over."""
    return canonical(value)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def event_text(row: Mapping[str, Any], *, hash: str = "") -> str:
    """An event's canonical JSON from its row; with `hash` (hex), that is among its members."""
    # Put together by hand because `data` is canonical JSON already; a test holds it equal to `canonical` of the
    # whole event.
    own = f'"hash":"{hash}",' if hash else ""
    return (
        f'{{"at":"{row["at"]}","data":{row["data"]},"document":{_number(row["document"])},'
        f'"from":{_word(row["from_state"])},{own}"rule":{_word(row["rule"])},"seq":{row["seq"]},'
        f'"to":{_word(row["to_state"])},"type":{_word(row["type"])},"version":{_number(row["version"])}}}'
    )


assert len(GENESIS) == hashlib.sha256().digest_size * 2
