"""kill -9 at every step between read and removal: the next run converges."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.whole.plant import Plant, everything_is_readable

STEPS = [
    ("source", "read", 9, "before"),
    ("store", "put", 7, "before"),
    ("store", "put", 7, "after"),
    ("ledger", "record_page", 2, "after"),
    ("ledger", "add_plan_items", 1, "after"),
    ("ledger", "advance", 2, "after"),
    ("ledger", "advance", 4, "before"),
    ("source", "link", 1, "before"),
    ("source", "link", 1, "after"),
    ("source", "link", 2, "after"),
    ("source", "link", 3, "after"),
    ("source", "remove", 1, "before"),
    ("source", "remove", 1, "after"),
    ("source", "remove", 2, "after"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step)))
def test_a_killed_run_converges(plant_of: Callable[..., Plant], step: tuple[str, str, int, str]) -> None:
    """After a kill at this step the next run ends as one clean run does: every document readable at every moment,
    no second link, no orphan, no second download of a verified copy."""
    converges_after_a_kill(plant_of(40), step)


DYNAMICS_STEPS = [
    ("source", "read", 1, "after"),
    ("store", "put", 7, "after"),
    ("ledger", "advance", 2, "after"),
    ("source", "link", 1, "before"),
    ("source", "link", 1, "after"),
    ("source", "link", 2, "after"),
    ("source", "link", 3, "after"),
    ("source", "remove", 1, "before"),
    ("source", "remove", 1, "after"),
    ("source", "remove", 3, "after"),
]


@pytest.mark.parametrize("step", DYNAMICS_STEPS, ids=lambda step: "-".join(map(str, step)))
def test_a_killed_run_on_dynamics_converges(plant_of: Callable[..., Plant], step: tuple[str, str, int, str]) -> None:
    """The same on Dynamics 365, where placeholders are written over the bytes."""
    converges_after_a_kill(plant_of(60, crm="dynamics365"), step)


def converges_after_a_kill(plant: Plant, step: tuple[str, str, int, str]) -> None:
    before = plant.witness()

    assert plant.crash(*step) == -9

    everything_is_readable(plant, before)
    verified = plant.offloader("status", expect=(0, 2))["versions"].get("verified", 0) if _ledger(plant) else 0
    report = plant.offloader("run")
    assert report["failed"] == report["conflict"] == 0
    assert set(plant.links().values()) <= {1}
    reconciled = plant.offloader("reconcile", "--deep")
    assert set(reconciled["counts"]) == {"="}
    moved = plant.offloader("status")["versions"]["done"]
    assert report["versions_copied"] <= moved - verified
    assert plant.offloader("run")["moved"] == 0


def _ledger(plant: Plant) -> bool:
    return (plant.directory / "ledger.sqlite").exists()
