"""Whoever takes a document away takes its reference; the bytes go with the last one, and never before."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from offloader.disposition.certificate import certify
from offloader.disposition.certificate_page import page
from offloader.disposition.erasure import ERASE, plan_erasure
from offloader.disposition.subjects import receive, search, subject_of
from offloader.errors import Transient
from offloader.moves.verify import reconcile
from offloader.moves.withdrawing import take_away
from tests.scenarios.sharing.conftest import World

ENDS = ("erase", "expire", "rehome")


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations_with_replacement(ENDS, 2)))
def test_in_every_order_the_last_one_takes_the_bytes_along(world: World, first: str, second: str) -> None:
    """However the one ends, the other's bytes stay readable; when both have ended, their old place is empty."""
    one, other = "ab" if first != second else "ba"
    world.moved(a=b"logo", b=b"logo")

    assert getattr(world, first)(one).states["done"] == 1
    assert world.bodies(other) == [b"logo"]
    assert len(world.objects()) == 1
    world.check()
    assert getattr(world, second)(other).states["done"] == 1

    assert world.objects() == []
    assert len(world.objects(world.house.us)) == [first, second].count("rehome")
    world.check()


@pytest.mark.parametrize("end", ENDS)
def test_both_in_one_plan(world: World, end: str) -> None:
    """Two that share and end together leave nothing; re-homed together they share again where the law is the same."""
    world.moved(a=b"logo", b=b"logo")

    assert getattr(world, end)("a", "b").states["done"] == 2

    assert world.objects() == []
    assert len(world.objects(world.house.us)) == (end == "rehome")
    world.check()


@pytest.mark.parametrize(("end", "held"), list(zip(ENDS, "aba", strict=True)))
def test_a_hold_on_one_keeps_its_bytes(world: World, end: str, held: str) -> None:
    """A held document stays readable whatever becomes of the other, and goes with its bytes after the release."""
    free = "ab".replace(held, "")
    world.moved(a=b"logo", b=b"logo")
    world.hold(held)

    report = getattr(world, end)(held, free)

    assert (report.states["done"], sum(report.states.values())) == (1, 1 if end == "rehome" else 2)

    assert world.bodies(held) == [b"logo"]
    assert len(world.objects()) == 1
    world.release(held)
    assert getattr(world, end)(held).states["done"] == 1
    assert world.objects() == []


@pytest.mark.parametrize("end", ENDS)
def test_a_restored_document_goes_on_having_its_copy(world: World, end: str) -> None:
    """Putting one back in the CRM touches no stored byte; the end of the other leaves its copy alone."""
    world.moved(a=b"logo", b=b"logo")
    world.restore("a")

    getattr(world, end)("b")

    assert world.house.source.crm.bytes_of(world.refs["a"]) == [b"logo"]
    assert world.bodies("a") == [b"logo"]
    world.check()


@pytest.mark.parametrize("end", ["erase", "expire"])
def test_a_lock_is_in_the_way_of_the_last_one_only(world: World, end: str) -> None:
    """A document that shares a locked object can go, for nothing is removed; the last one waits for the lock's end."""
    world.moved(a=b"logo", b=b"logo")
    (key,) = world.objects()
    world.house.de.lock(key, world.house.clock.now() + timedelta(days=3))

    assert getattr(world, end)("a").states["done"] == 1
    held = getattr(world, end)("b")

    assert not held.states["done"]
    assert world.objects() == [key]
    world.house.clock.advance(4 * 86_400)
    assert getattr(world, end)("b").states["done"] == 1
    assert world.objects() == []


def test_of_two_that_expire_together_one_waits_for_the_lock(world: World) -> None:
    """The first gives its reference up, the last one is held by the lock, not failed."""
    world.moved(a=b"logo", b=b"logo")
    world.house.de.lock(world.objects()[0])
    for name in "ab":
        world.say(name, erase_by="2020-01-01")

    assert world.expire().states == {"done": 1, "held": 1}
    world.check()


def test_the_certificate_says_that_equal_bytes_stay(world: World) -> None:
    """It names the place, that another document keeps the bytes there, and that document by its number alone."""
    world.moved(a=b"logo", b=b"logo")
    report = world.erase("a")
    with world.site() as site:
        certificate = certify(site, report.plan, backups={})
        statement = certificate.statement

    (copy,) = statement["documents"][0]["copies"]
    assert copy["shared_with"] == [f"document {world.pks['b']}"]
    assert "the reference of this one is gone" in copy["evidence"]
    assert f"(document {world.pks['b']})" in page(certificate.as_json(), "", "nl")
    assert world.refs["b"].id not in str(statement["documents"])
    assert world.records["b"][1] not in str(statement)


def test_equal_bytes_of_others_are_found_for_a_person(world: World) -> None:
    """A search for a subject also finds documents with the same bytes that hang on others; a person decides on them."""
    world.moved(a=b"passport", b=b"passport", c=b"other")
    with world.site() as site:
        subject = subject_of(site, [":".join(world.records["a"])])
        found = search(site, subject)
        made = plan_erasure(site, receive(site, "erasure", subject), found)

    assert {hit.entry.pk: hit.why for hit in found.hits} == {
        world.pks["a"]: ["record", "catalog"],
        world.pks["b"]: ["same bytes"],
    }
    assert [each.entry.pk for each in made.of(ERASE)] == [world.pks["a"]]


def test_an_object_that_a_copy_under_way_rests_on_is_not_removed(world: World) -> None:
    """While one worker proves a shared object, the last line about it stays, and so does the object; and the other way
    round, an object that is being removed is not shared."""
    world.moved(a=b"logo")
    (key,) = world.objects()
    with world.site() as site:
        assert site.ledger.pins.take("de", key)
        pk = world.entry_in(site, "a").versions[0].pk
        with pytest.raises(Transient):
            take_away(site, pk, "de", key)
        assert world.objects() == [key]
        assert world.entry_in(site, "a").versions[0].copies
        site.ledger.pins.drop("de", key)

        with site.ledger.alone("de", key, versions={pk}) as free:
            assert free
            assert not site.ledger.pins.take("de", key)
        take_away(site, pk, "de", key)
        assert world.objects() == []


def test_reconcile_counts_each_that_shares(world: World) -> None:
    """An object that is missing is missing for every document that has it."""
    world.moved(a=b"logo", b=b"logo")
    world.house.de.delete(world.objects()[0])
    with world.site() as site:
        assert reconcile(site).counts == {"-": 2}
