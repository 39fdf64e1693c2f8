"""How many requests listing takes."""

from __future__ import annotations

import pytest

from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World, request
from .conftest import Open, documents, mark

KINDS = ("annotation", "activitymimeattachment", "filecolumn", "imagecolumn")


def some_of_each(world: World, count: int) -> None:
    account, contact = world.record(), world.record("contact")
    case = world.record("incident", title="t", customerid=("account", account))
    for number in range(count):
        world.note(parent=(("account", account), ("contact", contact), ("incident", case))[number % 3])
        world.shared(mails=1 + number % 3)
    world.file()
    world.file(kind="imagecolumn")


def counted(world: World, source: DynamicsSource, marks: dict[str, str] | None = None) -> dict[str, int]:
    """Requests of a scan of each kind, logins included."""
    found = {}
    for kind in KINDS:
        world.reset_counters()
        list(source.scan(kind, since=marks[kind] if marks else None))
        found[kind] = world.emulator.counters.total
    return found


@pytest.mark.parametrize("count", [3, 300])
def test_a_full_scan(world: World, source: DynamicsSource, count: int) -> None:
    """Requests depend on pages, kinds and hops, not on how many documents there are; every one is counted."""
    some_of_each(world, count)
    found = counted(world, source)

    assert sum(found.values()) <= 24, found
    assert sum(source.usage().requests.values()) == sum(found.values())


@pytest.mark.parametrize("fresh", [True, False])
def test_nothing_changed(world: World, source: DynamicsSource, open_source: Open, fresh: bool) -> None:
    """An incremental scan that finds nothing takes two requests a kind at most, with the same source or another."""
    some_of_each(world, 30)
    marks = {kind: mark(source.scan(kind)) for kind in KINDS}
    world.clock.move(minutes=30)
    again = open_source(min_size=0) if fresh else source
    if fresh:
        again._api._session.token()
    found = counted(world, again, marks)

    assert found == {"annotation": 1, "activitymimeattachment": 2, "filecolumn": 1, "imagecolumn": 1}


def test_nothing_changed_after_a_scan_of_many_pages(world: World, open_source: Open) -> None:
    """The first incremental scan after one of many pages looks back once, and still takes two requests a kind."""
    some_of_each(world, 30)
    small = open_source(min_size=0, page_size=7)
    marks = {kind: mark(small.scan(kind)) for kind in KINDS}
    again = open_source(min_size=0)
    again._api._session.token()
    found = counted(world, again, marks)

    assert max(found.values()) <= 2, found
    assert found["annotation"] == 2


def test_right_after_a_run(world: World, open_source: Open, source: DynamicsSource) -> None:
    """What a run of ours leaves behind costs the next scan no signals, and offers nothing for moving."""
    some_of_each(world, 40)
    marks = {kind: mark(source.scan(kind)) for kind in KINDS}
    for kind in KINDS[:2]:
        found = list(documents(source.scan(kind)).values())
        source.link([request(each) for each in found])
    world.clock.move(hours=1)
    again = open_source(min_size=0)
    again._api._session.token()
    counts = {}
    for kind in KINDS[:2]:
        world.reset_counters()
        pages = list(again.scan(kind, since=marks[kind]))
        counts[kind] = world.emulator.counters.total
        assert {each.skip.code if each.skip else None for each in documents(pages).values()} == {"own_link"}
        assert len(documents(pages)) == 40

    assert counts == {"annotation": 1, "activitymimeattachment": 3}


def test_fetch_takes_lists(world: World, source: DynamicsSource) -> None:
    """Reading 200 documents afresh takes a handful of requests."""
    some_of_each(world, 100)
    refs = [each.ref for kind in KINDS for each in documents(source.scan(kind)).values()]
    world.reset_counters()

    found = source.fetch(refs)

    assert [each and each.ref for each in found] == refs
    assert world.emulator.counters.total <= 12, world.calls()
