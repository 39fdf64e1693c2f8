"""The hash chain, alone and as the ledger writes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from offloader import audit
from offloader.ledger import Entry, Event, Ledger, Step
from offloader.model import Document, State

Chain = list[tuple[dict[str, Any], str]]


def chain(length: int) -> Chain:
    events, head = [], audit.GENESIS
    for seq in range(1, length + 1):
        event = {"seq": seq, "type": "test", "data": {"ü": seq}}
        head = audit.next_hash(head, event)
        events.append((event, head))
    return events


def test_whole_chain_verifies() -> None:
    """A chain that nobody touched verifies up to its last event."""
    events = chain(5)

    found = audit.verify(events, remembered=audit.Head(5, events[-1][1]))

    assert found.ok
    assert found.head == audit.Head(5, events[-1][1])


def test_auditor_needs_nothing_but_sha256_and_json() -> None:
    """An auditor recomputes a hash from the documented recipe alone."""
    (first, one), (second, two) = chain(2)
    text = json.dumps(second, sort_keys=True, separators=(",", ":"))

    assert hashlib.sha256(one.encode() + text.encode()).hexdigest() == two
    assert first["seq"] == 1


def test_edited_event_is_named() -> None:
    """An event whose content was changed is the first bad one."""
    events = chain(5)
    events[2] = ({**events[2][0], "type": "edited"}, events[2][1])

    assert audit.verify(events).broken_at == 3


def test_rehashed_event_is_named() -> None:
    """An event that was changed and given its own right hash breaks at the next one."""
    events = chain(5)
    forged = {**events[2][0], "type": "edited"}
    events[2] = (forged, audit.next_hash(events[1][1], forged))

    assert audit.verify(events).broken_at == 4


def test_deleted_event_is_named() -> None:
    """A hole is found where the missing event should stand."""
    events = chain(5)
    del events[2]

    assert audit.verify(events).broken_at == 3


def test_reordered_events_are_named() -> None:
    """Two events that changed places are found at the first place."""
    events = chain(5)
    events[1], events[2] = events[2], events[1]

    assert audit.verify(events).broken_at == 2


def test_truncation_shows_against_a_remembered_head() -> None:
    """A chain that lost its end verifies by itself, and not against the head remembered elsewhere."""
    events = chain(5)
    remembered = audit.Head(5, events[-1][1])

    assert audit.verify(events[:3]).ok
    assert audit.verify(events[:3], remembered=remembered).broken_at == 4


def test_rewritten_log_shows_against_a_remembered_head() -> None:
    """A chain written anew as a whole is found at the remembered event."""
    remembered = audit.Head(3, "f" * 64)

    assert audit.verify(chain(5), remembered=remembered).broken_at == 3


def test_part_of_a_chain_verifies_from_its_start() -> None:
    """The end of a chain verifies from the head before it."""
    events = chain(5)

    assert audit.verify(events[3:], start=audit.Head(3, events[2][1])).ok


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_json_no_hash(value: float) -> None:
    """What JSON does not have is refused instead of written in some program's own way."""
    with pytest.raises(ValueError, match="JSON"):
        audit.next_hash(audit.GENESIS, {"x": value})


def test_ledger_log_verifies(ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]) -> None:
    """Every event that the ledger writes, hostile text and all, is chained by the documented recipe."""
    entry = seen(document())
    nasty = '"\\\u2028\ud800\0\n'
    ledger.advance([Step(entry.versions[0].pk, State.PLANNED, rule=nasty[:5], detail=nasty, data={nasty: [1.5, None]})])
    ledger.record_event(nasty[:3], data={"b": {"y": 1, "x": 2}, "a": nasty})

    events = ledger.events()

    assert audit.verify([(event.record, event.hash) for event in events], remembered=ledger.head()).ok
    assert len(events) == 3


def test_events_tell_the_history(ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]) -> None:
    """Each transition leaves one event with its document, version, states, rule and data, and nobody else's."""
    entry = seen(document("D1"))
    seen(document("D2"))
    ledger.advance([Step(entry.versions[0].pk, State.KEPT, rule="R1", detail="why", data={"a": 1})])

    events = ledger.events(document=entry.pk)

    def told(event: Event) -> tuple[Any, ...]:
        return (event.type, event.version, event.from_state, event.to_state, event.rule)

    version = entry.versions[0].pk
    assert [told(event) for event in events] == [
        ("seen", version, None, State.SEEN, None),
        ("transition", version, State.SEEN, State.KEPT, "R1"),
    ]
    assert events[0].data["ref"] == "sf/ContentDocument/D1@D1-v1"
    assert events[1].data == {"a": 1, "detail": "why"}


def test_events_come_in_pages(ledger: Ledger) -> None:
    """Events are read in order, each once, page by page."""
    for number in range(5):
        ledger.record_event("n", data={"n": number})

    first = ledger.events(limit=3)
    rest = ledger.events(after=first[-1].seq)

    assert [event.data["n"] for event in first + rest] == [0, 1, 2, 3, 4]
    assert all(later.seq == earlier.seq + 1 for earlier, later in pairwise(first + rest))
