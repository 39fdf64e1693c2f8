"""`offloader rehome`, `offloader apply` and `offloader duplicates` as commands, on a whole offloader of fakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.main import main
from offloader.cli.session import Session
from offloader.moves.site import Site
from tests.scenarios.conftest import House

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line on the house: exit code and JSON."""

    @contextmanager
    def site(self: Session, **kind: bool) -> Iterator[Site]:
        yield from house.site()

    monkeypatch.setattr(Session, "site", site)

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit):
            main([*arguments, "--json"])
        answer = json.loads(capsys.readouterr().out)
        return answer["exit_code"], answer

    return call


def test_from_the_plan_to_the_new_place(house: House, run: Run, tmp_path: Path) -> None:
    """A plan is written as a file, the file is applied, and a second plan has nothing to do."""
    account = house.account("DE")
    house.source.crm.document("Note", b"12345", parents=[account])
    house.run()
    house.source.crm.records[account] = {"country": "US"}
    file = tmp_path / "plan.jsonl"

    code, plan = run("rehome", "plan", "--source", "crm", "--out", str(file))
    assert (code, plan["acts"], plan["bytes"], plan["stores"]) == (0, {"move": 1}, 5, {"us": 1})
    assert [json.loads(line).get("to") for line in file.read_text().splitlines()] == [None, ["us"]]

    code, report = run("apply", str(file))
    assert (code, report["kind"], report["states"], report["copies_erased"]) == (0, "rehome", {"done": 1}, 1)
    assert [len(house.blobs(store)) for store in (house.de, house.us)] == [0, 1]

    assert run("rehome", "plan") == (0, {"exit_code": 0, "plan": None, "judged": 1})


def test_an_edited_plan_is_refused(house: House, run: Run, tmp_path: Path) -> None:
    """A file that names another place than the sealed plan ends with drift, and nothing is copied."""
    account = house.account("DE")
    house.source.crm.document("Note", b"12345", parents=[account])
    house.run()
    house.source.crm.records[account] = {"country": "US"}
    file = tmp_path / "plan.jsonl"
    run("rehome", "plan", "--out", str(file))
    file.write_text(file.read_text().replace('"to":["us"]', '"to":["de"]'))

    assert run("apply", str(file))[0] == 5
    assert len(house.blobs(house.us)) == 0


def test_what_cannot_go_is_said_first(house: House, capsys: pytest.CaptureFixture[str], run: Run) -> None:
    """A document that may not stay and has no place is the first line, and the exit code asks for a person."""
    account = house.account("DE")
    ref = house.source.crm.document("Note", b"12345", parents=[account])
    house.run()
    house.source.crm.records[account] = {"country": "FR"}

    with pytest.raises(SystemExit) as ended:
        main(["rehome", "plan"])

    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 3
    assert lines[0].startswith("! These may not stay")
    assert lines[1].strip().startswith(str(ref))


@pytest.mark.parametrize("words", [("rehome", "plan"), ("duplicates", "plan"), ("expire", "plan"), ("expire", "watch")])
def test_a_source_that_is_not_there_is_named(run: Run, words: tuple[str, str]) -> None:
    """A plan for an unknown source is a usage error that lists the known ones."""
    code, answer = run(*words, "--source", "cmr")

    assert code == 2
    assert "there are crm" in answer["message"]


def test_equal_bytes_are_listed(house: House, run: Run) -> None:
    """The report of duplicates has sums, and the groups with what keeps them apart."""
    for _ in range(2):
        house.source.crm.document("File", b"12345", parents=[house.account("DE")])
    assert run("duplicates")[1]["groups"] == 0
    house.run()

    code, answer = run("duplicates", "--most", "1")

    assert (code, answer["groups"], answer["spare_bytes"], answer["shareable_bytes"]) == (0, 1, 5, 5)
    assert answer["largest"][0]["alike"] == [
        {"store": "de", "countries": ["DE"], "source": "crm", "retention": [], "copies": 2}
    ]
