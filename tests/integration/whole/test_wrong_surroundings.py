"""Disposal where the world is not as it should be: a clock that is wrong, a store that is another CRM's."""

from __future__ import annotations

import json
from typing import Any

from offloader.system import system_context
from tests import processes
from tests.integration.whole.depot import LATER
from tests.integration.whole.ground import Ground
from tests.integration.whole.plant import TIMEOUT_S
from tests.integration.whole.test_expiry_line import governed


def at(ground: Ground, hours: float, *words: str, expect: int) -> dict[str, Any]:
    """A command on a machine whose clock is so many hours ahead."""
    done = processes.run([str(LATER), str(ground.config), str(hours), *words], timeout=TIMEOUT_S)
    assert done.returncode == expect, f"exit {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_clock_that_is_wrong_ends_no_term(ground: Ground) -> None:
    """Far ahead, a person must say that the clock is right; behind the ledger, nothing is disposed of at all."""
    governed(ground)
    ground.configure("schedule", expire="every 1d", purge="every 1d")
    document = ground.file("first")
    ground.offloader("run")

    for words in (["expire", "plan"], ["purge", "plan"]):
        assert "--clock-checked" in at(ground, 2000, *words, expect=4)["message"], words
    made = at(ground, 2000, "expire", "plan", "--clock-checked", expect=0)
    assert made["acts"] == {"erase": 1}

    for words in (["expire", "plan"], ["purge", "plan"], ["apply", made["plan"]]):
        assert "clock" in ground.offloader(*words, expect=(4,))["message"], words
    jobs = ground.offloader("service", "--once", expect=(4,))["jobs"]
    assert [(job["job"], job["exit_code"]) for job in jobs] == [("expire", 4), ("purge", 4)]
    assert list((ground.directory / "stores").glob("*/documents/**/*-*"))
    assert ground.gone(document)


def test_a_store_of_another_crm_gets_nothing(ground: Ground) -> None:
    """Production's store in a sandbox's configuration: no document, no hold and no checkpoint is written there."""
    ground.file("first")
    ground.offloader("run")
    store = ground.directory / "stores/de"
    (mark,) = store.glob("owner/salesforce.json")
    mark.chmod(0o600)
    mark.write_text(mark.read_text().replace("00D", "00C"))
    before = sorted(store.rglob("*"))
    second = ground.file("second")
    ground.configure("audit", stores=["de"])
    with ground.config.open("a", encoding="utf-8") as file:
        file.write(f"\npeople: {{dora: {{name: Dora, login: {system_context(ground.directory).account}}}}}\n")

    run = ground.offloader("run", "--full", expect=(4,))
    held = ground.offloader(
        "hold", "add", "--matter", "Doe", "--record", f"Account:{ground.account}", "--reason", "claim"
    )

    assert "another CRM" in json.dumps(run)
    assert not ground.gone(second)
    assert held["not_kept_in"] == ["de"]
    assert sorted(store.rglob("*")) == before
