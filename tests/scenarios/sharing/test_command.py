"""`offloader duplicates plan`, and a run that is killed while it shares, as a whole."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.main import main
from offloader.cli.session import Session
from offloader.moves.site import Site
from offloader.moves.verify import reconcile
from tests.scenarios.sharing.conftest import SharePolicy, World
from tests.scenarios.sharing.test_copying import LARGE
from tests.scenarios.sharing.test_plan import APART
from tests.scenarios.test_rehoming import Killing, _on_disk


def test_from_the_report_to_one_object(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says what could lie once; a plan waits for a policy that says so, is applied, and leaves nothing."""

    @contextmanager
    def site(self: Session, **kind: bool) -> Iterator[Site]:
        yield from world.house.site()

    def call(*arguments: str) -> dict[str, Any]:
        with pytest.raises(SystemExit):
            main([*arguments, "--json"])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    monkeypatch.setattr(Session, "site", site)
    world.house.policy = APART
    world.moved(a=b"12345", b=b"12345")
    assert call("duplicates")["shareable_bytes"] == 5
    assert call("duplicates", "plan")["plan"] is None
    world.house.policy = SharePolicy()

    plan = call("duplicates", "plan", "--source", "crm", "--out", str(tmp_path / "plan.jsonl"))
    assert (plan["exit_code"], plan["acts"], plan["objects"], plan["bytes"]) == (0, {"share": 1}, 1, 5)
    report = call("apply", str(tmp_path / "plan.jsonl"))

    assert (report["exit_code"], report["kind"], report["states"], report["bytes"]) == (0, "share", {"done": 1}, 5)
    after = call("duplicates")
    assert (after["versions"], after["copies"], after["spare_bytes"]) == (2, 1, 0)
    assert call("duplicates", "plan", "--source", "cmr")["exit_code"] == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_while_it_takes_its_own_object_back(world: World, after: bool) -> None:
    """Whether or not the object that was written and not needed is gone, the next run ends with objects that are."""
    house = world.house
    disk = _on_disk(house, "de", "DE")
    house.wrapped_stores = {"de": disk}
    world.document("a", LARGE)
    world.run()
    world.document("b", LARGE)
    child = os.fork()
    if child == 0:
        house.wrapped_stores = {"de": Killing(disk, "erase", 1, after=after)}
        world.run()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert world.bodies("a") == [LARGE]

    world.run()

    assert world.bodies("b") == [LARGE]
    assert house.states(world.refs["b"]) == {"done"}
    assert sorted(world.objects(disk)) == sorted({*world.keys("a"), *world.keys("b")})
    with world.site() as site:
        assert reconcile(site).same
