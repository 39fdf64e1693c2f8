"""The command line alone: its answers, its errors, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offloader.cli.main import main
from offloader.cli.output import printable


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_demo_never_continues_an_earlier_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that holds an earlier demo is refused before anything is started in it."""
    (tmp_path / "ledger.sqlite").touch()

    code, out, _ = run(capsys, "demo", "--keep", str(tmp_path), "--json")

    assert (code, json.loads(out)["error"]) == (2, "ConfigError")
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.sqlite"]


@pytest.mark.parametrize("command", ["check", "scan", "plan", "run", "status", "verify", "reconcile", "gateway"])
def test_without_a_configuration_every_command_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A missing configuration is a usage error, in one JSON object on stdout and nothing else there."""
    code, out, _ = run(capsys, "-c", str(tmp_path / "none.yaml"), command, "--json")

    answer = json.loads(out)
    assert (code, answer["exit_code"]) == (2, 2)
    assert "offloader init" in answer["message"]


def test_init_writes_a_configuration_that_loads_and_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of `init` is valid as it stands, and a second `init` leaves an edited one alone."""
    path = tmp_path / "offloader.yaml"

    assert run(capsys, "-c", str(path), "init")[0] == 0
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    code, _, err = run(capsys, "-c", str(path), "init")

    assert code == 2
    assert "--force" in err
    assert path.read_text(encoding="utf-8").endswith("# mine\n")
    assert run(capsys, "-c", str(path), "status", "--json")[0] == 2, "there is no ledger yet, and status makes none"


def test_an_unknown_option_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error with --json is one JSON object with exit code 2."""
    code, out, _ = run(capsys, "plan", "--bogus", "--json")

    assert (code, json.loads(out)["error"]) == (2, "usage")


def test_hostile_text_is_shown_as_escapes() -> None:
    """Control characters, direction marks and terminal escapes never reach the terminal as such."""
    assert printable("a\x1b[31m\u202eb\r\nc é 😀") == "a\\x1b[31m\\u202eb\\r\\nc é 😀"
