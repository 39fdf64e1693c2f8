"""Whatever is done to documents that may share bytes, in whatever order: each keeps its bytes as long as it lives."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offloader.testing import FakeClock, MemorySource, MemoryStore
from tests.scenarios.conftest import House
from tests.scenarios.sharing.conftest import SharePolicy, World
from tests.scenarios.sharing.test_plan import APART, apply, plan

NAMES = "abc"
BODY = b"logo"
acts = st.lists(
    st.tuples(
        st.sampled_from(["move", "apart", "erase", "expire", "rehome", "restore", "hold", "share"]),
        st.sampled_from(NAMES),
    ),
    min_size=4,
    max_size=10,
)


class Model:
    """What is known of each document without offloader: whether it was moved, held, or ended, and where it belongs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = dict.fromkeys(NAMES, "new")
        self.held: set[str] = set()

    def do(self, act: str, name: str) -> None:
        state, world = self.state[name], self.world
        if act in ("move", "apart") and state == "new":
            world.house.policy = APART if act == "apart" else SharePolicy()
            world.document(name, BODY)
            world.run()
            world.house.policy = SharePolicy()
            self.state[name] = "moved"
        elif act == "share":
            made = plan(world)
            if made.row is not None:
                assert apply(world, made).states["failed"] == 0
        elif state != "moved":
            return
        elif act == "hold":
            (world.release if name in self.held else world.hold)(name)
            self.held ^= {name}
        elif act == "restore" and name not in self.held:
            world.restore(name)
            self.state[name] = "restored"
        elif act in ("erase", "expire", "rehome"):
            self._end(act, name)

    def _end(self, act: str, name: str) -> None:
        records = self.world.house.source.crm.records
        before = records[self.world.records[name]]
        to = {"to": "DE" if before["country"] == "US" else "US"} if act == "rehome" else {}
        getattr(self.world, act)(name, **to)
        if name in self.held:
            records[self.world.records[name]] = before
        elif act != "rehome":
            self.state[name] = "ended"

    def check(self) -> None:
        for name, state in self.state.items():
            if state in ("moved", "restored"):
                assert self.world.bodies(name) == [BODY]
            elif state == "ended":
                assert self.world.keys(name) == []
        self.world.check()
        stores = (self.world.house.de, self.world.house.us)
        alive = any(state in ("moved", "restored") for state in self.state.values())
        assert bool(sum(len(self.world.objects(store)) for store in stores)) == alive


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=acts)
def test_any_order_of_acts_keeps_what_lives(blank_ledger: Path, sequence: list[tuple[str, str]]) -> None:
    """After each act, every living document reads back, no store has an object that nobody has, and none is missing."""
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(blank_ledger, Path(directory) / "ledger.sqlite")
        de, us = (MemoryStore(name, countries=[name.upper()], now=clock.now) for name in ("de", "us"))
        house = House(Path(directory), clock, MemorySource(now=clock.now), de, us, policy=SharePolicy())
        model = Model(World(house))
        for act, name in [("move", "a"), *sequence]:
            model.do(act, name)
            model.check()
