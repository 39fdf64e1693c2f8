"""Equal bytes that lie once in a bucket with versions, encrypted: each document's end leaves the others theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyrage

from offloader.moves.rebuild import rebuild
from offloader.moves.verify import reconcile
from offloader.testing import FakeClock, MemorySource, MemoryStore
from offloader.wrappers.encrypted import EncryptedStore, keys_of
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import open_store
from tests.scenarios.conftest import House
from tests.scenarios.sharing.conftest import SharePolicy, World
from tests.scenarios.sharing.test_plan import APART, apply, plan

LARGE = b"0123456789abcdef" * (3 << 16)


def test_documents_that_share_an_object_of_a_bucket_end_one_by_one(ministack: Server, tmp_path: Path) -> None:
    """Streamed, shared afterwards, re-homed, rebuilt and erased: the last one takes every version along."""
    clock, place = FakeClock(), ministack.place(locked=True)
    bucket = open_store(ministack, now=clock.now, **place)
    bucket.name = "de"
    us = MemoryStore("us", countries=["US"], now=clock.now)
    house = House(tmp_path, clock, MemorySource(now=clock.now), MemoryStore("de", now=clock.now), us)
    own, recovery = (pyrage.x25519.Identity.generate() for _ in range(2))
    keys = keys_of([str(own.to_public())], str(recovery.to_public()), str(own))
    house.wrapped_stores = {"de": EncryptedStore(bucket, keys)}
    world = World(house)

    house.policy = SharePolicy()
    world.moved(a=LARGE, b=LARGE)
    house.policy = APART
    world.moved(c=LARGE)
    house.policy = SharePolicy()
    made = plan(world)
    assert made.acts == {"share": 1}
    assert apply(world, made).states == {"done": 1}
    assert world.keys("a") == world.keys("b") == world.keys("c")
    world.check()
    world.rehome("a")
    for path in tmp_path.glob("ledger.sqlite*"):
        path.rename(tmp_path / f"lost-{path.name}")
    with world.site() as site:
        assert rebuild(site).errors == []
    shutil.move(tmp_path / "lost-ledger.sqlite", tmp_path / "ledger.sqlite")
    with world.site() as site:
        assert reconcile(site, deep=True).same
    assert world.bodies("c") == world.bodies("b") == [LARGE]
    world.erase("a", "c")
    world.check()
    said = ministack.client().list_object_versions(Bucket=place["bucket"], Prefix=f"{place['prefix']}documents/")
    assert len(said["Versions"]) == 1
    world.erase("b")
    said = ministack.client().list_object_versions(Bucket=place["bucket"], Prefix=f"{place['prefix']}documents/")
    assert not {"Versions", "DeleteMarkers"} & said.keys()
