"""kill -9 in the middle of a purge and of its restore; a second run, and a hold, in the middle of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from offloader_connectors.emulation.faults import Rule
from tests.integration.whole import officers
from tests.integration.whole.bed import CREATED, Bed
from tests.integration.whole.dynamics import Field, large
from tests.integration.whole.ground import Ground
from tests.integration.whole.test_purge_line import governed

#: between the copy of a document and the record's archive, between archive and purge, between purge and ledger
PURGE_KILLS = [
    ("store", "put", 1, "after"),
    ("records", "delete", 1, "before"),
    ("records", "delete", 1, "after"),
]


def archived(bed: Bed) -> set[str]:
    """Ids of the records in the archives on disk."""
    found = set()
    for path in bed.directory.glob("stores/*/archive/**/*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            value = json.loads(line)
            found |= {value["id"], *(each["id"] for each in value["with"])}
    return found


def killed_until_done(bed: Bed, records: list[str], there: Callable[[str], bool]) -> str:
    """Plan, be killed at every step in turn, and go on to the end; no record is ever gone that is not archived."""
    bed.remember()
    plan = str(bed.offloader("purge", "plan")["plan"])
    for kill in PURGE_KILLS:
        assert bed.crash(*kill, command="purge", plan=plan) == -9
        assert {each for each in records if not there(each)} <= archived(bed)
        bed.nothing_lost()
    report = bed.offloader("apply", plan, expect=(0,))
    assert report["states"] == {"done": len(records)}
    assert not any(map(there, records))
    assert set(records) <= archived(bed)
    bed.nothing_lost()
    assert len(list(bed.directory.glob("stores/*/archive/**/*.jsonl"))) == 1
    return plan


def cases_with_scans(ground: Ground, count: int = 3) -> list[str]:
    governed(ground, "Case", "CreatedDate", "documents: copy")
    made = []
    for number in range(count):
        fields = {"Subject": "twin", "OwnerId": ground.owner, "AccountId": ground.account, "CreatedDate": CREATED}
        made.append(ground.org.insert("Case", fields))
        ground.attachment(f"scan {number}.pdf", parent=made[-1])
    return made


def living(ground: Ground) -> list[str]:
    return [row["Id"] for row in ground.org.rows("Case") if not row["IsDeleted"]]


def test_a_killed_purge_of_salesforce_converges(ground: Ground) -> None:
    """Killed at every step, cases go with their attachments, archived and copied before; a restore that is killed as
    well brings each back once, out of the bin."""
    cases = cases_with_scans(ground)

    plan = killed_until_done(ground, cases, lambda each: not ground.gone(each))

    assert ground.crash("records", "undelete", 1, "after", command="revive", plan=plan) == -9
    back = ground.offloader("purge", "restore", plan)
    assert (back["failed"], back["created"]) == (0, 0)
    assert sorted(living(ground)) == sorted(cases)
    assert len([row for row in ground.org.rows("Attachment") if not row["IsDeleted"]]) == len(cases)


def test_a_killed_restore_doubles_nothing(ground: Ground) -> None:
    """With the bin emptied, a restore that is killed after a creation claims what it made, and puts the files back."""
    cases = cases_with_scans(ground)
    plan = str(ground.offloader("purge", "plan")["plan"])
    ground.offloader("apply", plan, expect=(0,))
    with ground.org.store.transaction():
        for each in cases:
            ground.org.remove(each, hard=True)

    assert ground.crash("records", "create", 1, "after", command="revive", plan=plan) == -9
    back = ground.offloader("purge", "restore", plan)

    assert (back["created"], back["unclear"], back["failed"]) == (len(cases), 0, 0)
    assert len(living(ground)) == len(cases)
    scans = [row for row in ground.org.rows("Attachment") if not row["IsDeleted"]]
    assert sorted(row["ParentId"] for row in scans) == sorted(living(ground))


def test_a_killed_purge_of_dynamics_converges(field: Field) -> None:
    """The same on Dynamics 365, where a restore that is killed after a creation finds the rows by their ids;
    notes come back byte for byte, in rows that are made anew."""
    governed(field, "incident", "createdon", "documents: copy")
    fields = {"ownerid": ("systemuser", field.owner), "createdon": CREATED, "title": "twin"}
    records = [field.org.insert("incident", {**fields, "customerid": ("account", field.account)}) for _ in range(2)]
    for each in records:
        field.note(body=large(f"of {each}"), parent=("incident", each))

    plan = killed_until_done(field, records, lambda each: field.org.get("incident", each) is not None)

    assert field.crash("records", "create", 1, "after", command="revive", plan=plan) == -9
    back = field.offloader("purge", "restore", plan)
    assert (back["failed"], back["unclear"]) == (0, 0)
    assert sorted(row["incidentid"] for row in field.org.rows("incident")) == sorted(records)
    notes = {
        note["objectid"][1]: b"".join(field.org.chunks(note["_documentbody"])) for note in field.org.rows("annotation")
    }
    assert notes == {each: large(f"of {each}") for each in records}


def meanwhile(bed: Bed, monkeypatch: pytest.MonkeyPatch, operation: str, act: Callable[[], Any]) -> list[Any]:
    """Do something when the CRM is asked so for the first time, before it answers; gives what came of it."""
    answers: list[Any] = []
    usual = bed.emulator.faults.hit

    def hit(name: str) -> list[Rule]:
        if name == operation and not answers:
            answers.append(None)
            answers[0] = act()
        return list(usual(name))

    monkeypatch.setattr(bed.emulator.faults, "hit", hit)
    return answers


def test_a_store_that_is_away_a_second_run_and_a_hold(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store cannot be written, nothing is deleted. Once it can, a second run beside the first is refused, and
    a hold that is added in mid-run saves its record."""
    officers.governed(ground)
    cases = cases_with_scans(ground, 2)
    plan = str(ground.offloader("purge", "plan")["plan"])
    stores = ground.directory / "stores"
    stores.write_text("not a folder", encoding="ascii")
    ground.offloader("apply", plan, expect=(1, 4, 5))
    assert sorted(living(ground)) == sorted(cases)
    stores.unlink()

    def beside() -> tuple[dict[str, Any], dict[str, Any]]:
        second = ground.offloader("apply", plan, expect=(1, 2, 4))
        hold = ("hold", "add", "--matter", "M", "--reason", "r", "--record", f"Case:{cases[0]}")
        return second, ground.offloader(*hold, expect=(0,))

    answers = meanwhile(ground, monkeypatch, "blob.get", beside)
    report = ground.offloader("apply", plan)

    assert answers[0][0]["exit_code"] in (1, 2, 4), answers
    assert report["states"] == {"held": 1, "done": 1}
    assert living(ground) == [cases[0]]
