"""How far a scan has come: the watermark of a finished one, the cursor of one under way. Text, opaque to the core.

Row versions increase database-wide and without repetition (table reference, versionnumber), but a row whose
transaction stays open for longer appears with a version below some that were listed before. So an incremental scan
looks back by an overlap, and passes over the versions there that it knows: they are kept as a bit map.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Self

from offloader.errors import Permanent


@dataclass(frozen=True, slots=True)
class Seen:
    """Row versions up to `top` that were listed, as far back as `overlap` reaches."""

    top: int = 0
    versions: frozenset[int] = frozenset()

    def __contains__(self, version: int) -> bool:
        return version in self.versions

    def with_(self, listed: Iterable[int], overlap: int, *, top: int | None = None) -> Seen:
        """After listing these too; `top` is the highest of all unless it is given."""
        every = self.versions.union(listed)
        highest = max(every | {self.top}) if top is None else top
        return Seen(highest, frozenset(each for each in every if highest - overlap < each <= highest))

    def encode(self) -> str:
        if not self.versions:
            return ""
        bits = 0
        for each in self.versions:
            bits |= 1 << (self.top - each)
        packed = zlib.compress(bits.to_bytes((bits.bit_length() + 7) // 8, "little"), 9)
        return base64.b64encode(packed).decode("ascii")

    @classmethod
    def decode(cls, top: int, text: str) -> Seen:
        if not text:
            return cls(top)
        data = zlib.decompress(base64.b64decode(text, validate=True))
        bits = (number for number in range(len(data) * 8) if data[number >> 3] >> (number & 7) & 1)
        return cls(top, frozenset(top - number for number in bits))


@dataclass(frozen=True, slots=True)
class Mark:
    """What the next step needs to know. Fields that do not apply keep their defaults."""

    #: fingerprint of the options that decide what is listed: with others, a watermark is worth nothing
    options: str = ""
    #: the scan that this stands for was, or is, a full one
    full: bool = False
    seen: Seen = field(default_factory=Seen)
    #: the application user, so that its privileges can be read at once
    user: str = ""
    #: where change tracking goes on
    delta: str = ""
    #: change tracking was read page by page, and may have passed over what changed meanwhile
    look_back: bool = False
    #: mails that were changed before this moment (ISO 8601) are judged by it
    cut: str = ""
    #: cursors only: the next page, by its address or by the last version listed
    link: str = ""
    last: int | None = None

    def to_text(self) -> str:
        """Only what differs from the defaults, as JSON."""
        values = {name: value for name, value in asdict(replace(self, seen=Seen())).items() if name != "seen"}
        kept = {
            name: value for name, value in values.items() if value is not None and value is not False and value != ""
        }
        if self.seen.top:
            kept |= {"version": self.seen.top, "listed": self.seen.encode()}
        return json.dumps(kept, separators=(",", ":"))

    @classmethod
    def of(cls, text: str, what: str) -> Self:
        """Raises Permanent for what is no mark."""
        try:
            values = json.loads(text)
            seen = Seen.decode(int(values.pop("version", 0)), str(values.pop("listed", "")))
            known = {each.name: each for each in fields(cls)}
            if not values.keys() <= known.keys() - {"seen"}:
                raise ValueError(what)
            return cls(**values, seen=seen)
        except (ValueError, TypeError, AttributeError, binascii.Error, zlib.error) as error:
            raise Permanent(f"the {what} of the earlier scan cannot be read; scan in full") from error
