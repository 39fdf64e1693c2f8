"""Creations whose answers never came: looked for in the CRM before anything is made again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from offloader.records import Record, RecordRef, RecordType

#: our clock and the CRM's may differ by so much
_SKEW = timedelta(minutes=5)
#: a call whose caller has gone may still be at work; after this long it is not
SETTLED = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Begun:
    """A record that somebody began to create: what was sent, and when."""

    draft: Record
    at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What became of creations, by the place of each: `made` as what; `absent`: surely not there; `unclear`: nobody
    can tell, since there are new records that are not quite the same."""

    made: dict[int, RecordRef] = field(default_factory=dict)
    absent: list[int] = field(default_factory=list)
    unclear: list[int] = field(default_factory=list)


def look(
    made: Callable[[Sequence[Record], datetime], Sequence[Record]],
    begun: Sequence[Begun],
    types: dict[str, RecordType],
    taken: Collection[str],
) -> Found:
    """Look for what these creations have made. `made` is that of `Records`; `taken` are records that are accounted for.

    Raises what `made` raises.
    """
    found = Found()
    if not begun:
        return found
    since = min(each.at for each in begun) - _SKEW
    left = [each for each in made([each.draft for each in begun], since) if str(each.ref) not in taken]
    for number, each in enumerate(begun):
        same = next((other for other in left if is_same(each.draft, other, types[each.draft.ref.type])), None)
        if same is not None:
            found.made[number] = same.ref
            left.remove(same)
    for number, each in enumerate(begun):
        if number not in found.made:
            like = any(other.ref.type == each.draft.ref.type for other in left)
            (found.unclear if like else found.absent).append(number)
    return found


def is_same(draft: Record, other: Record, described: RecordType) -> bool:
    """Whether a record has the id of the draft, or all its values but for one look-up, which may have been left out."""
    if (draft.ref.type, draft.ref.id) == (other.ref.type, other.ref.id):
        return True
    if draft.ref.type != other.ref.type:
        return False
    lookups = {each.name for each in described.fields if each.refers_to}
    differing = {name for name, value in draft.fields.items() if other.fields.get(name) != value}
    return differing <= lookups and len(differing) <= 1
