"""Opening a ledger: what is refused, with which words, and what it leaves on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from offloader.errors import ConfigError, Refused, Transient
from offloader.ledger import Entry, Ledger, Step, open_ledger, opening, schema
from offloader.ledger.opening import made_anew
from offloader.ledger.schema import HEAD
from offloader.ledger.sqlite import reading_engine
from offloader.model import Document, State


def test_files_are_for_the_owner_alone(ledger: Ledger, path: Path) -> None:
    """The ledger and the files beside it can be read by nobody else."""
    ledger.set_meta("a", "b")

    assert {file.name for file in path.parent.iterdir()} >= {"ledger.db", "ledger.db-wal", "ledger.db.lock"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_what_was_written_is_there_after_reopening(path: Path, clock: Any) -> None:
    """A ledger keeps what it was told, and its log goes on where it stopped."""
    with open_ledger(path, now=clock) as ledger:
        ledger.set_meta("a", "b")
        ledger.record_event("one", data={})
        head = ledger.head()
    with open_ledger(path, now=clock, create=False) as ledger:
        ledger.record_event("two", data={})

        assert ledger.meta("a") == "b"
        assert ledger.head().seq == head.seq + 1


def test_second_opening_is_refused_with_the_holder(ledger: Ledger, path: Path, clock: Any) -> None:
    """Who comes second is told which process has the ledger, also by another name of the file."""
    other = path.with_name("alias.db")
    other.symlink_to(path)

    for name in (path, other):
        with pytest.raises(Refused, match=rf"pid {os.getpid()}, started 2026-11-22T12:00:00"):
            open_ledger(name, now=clock)


def test_reader_sees_each_write_and_writes_nothing(ledger: Ledger, path: Path, clock: Any) -> None:
    """A ledger opened for reading stands beside the writer, sees what it writes, and refuses to write."""
    with open_ledger(path, now=clock, exclusive=False) as reader:
        ledger.set_meta("a", "b")

        assert reader.meta("a") == "b"
        with pytest.raises(Refused, match="not open for writing"):
            reader.set_meta("a", "c")


def test_closed_ledger_writes_nothing(path: Path, clock: Any) -> None:
    """After closing, a write is refused, and the next offloader gets in."""
    ledger = open_ledger(path, now=clock)
    ledger.close()
    ledger.close()

    with pytest.raises(Refused, match="not open"):
        ledger.set_meta("a", "b")
    open_ledger(path, now=clock).close()


@pytest.mark.parametrize("how", [{"create": False}, {"exclusive": False}])
def test_missing_ledger(path: Path, clock: Any, how: dict[str, bool]) -> None:
    """A missing ledger is an error in the configuration, and is not made in passing."""
    with pytest.raises(ConfigError, match="there is no ledger at"):
        open_ledger(path, now=clock, **how)

    assert not path.exists()


@pytest.mark.parametrize("exclusive", [True, False])
def test_file_that_is_no_database(path: Path, clock: Any, exclusive: bool) -> None:
    """A file of another kind is named as such, and not touched."""
    path.write_bytes(b"%PDF-1.7 " * 1000)

    with pytest.raises(ConfigError, match="no ledger"):
        open_ledger(path, now=clock, exclusive=exclusive)

    assert path.read_bytes() == b"%PDF-1.7 " * 1000


@pytest.mark.parametrize("exclusive", [True, False])
def test_damaged_ledger(path: Path, clock: Any, exclusive: bool) -> None:
    """A ledger whose first pages are lost is named as damaged."""
    open_ledger(path, now=clock).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8000)

    with pytest.raises(ConfigError, match="damaged"):
        open_ledger(path, now=clock, exclusive=exclusive)


def test_database_of_another_program(path: Path, clock: Any) -> None:
    """A database that is no ledger is refused, and not written to."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE mine (a)")

    with pytest.raises(ConfigError, match="no ledger of offloader"):
        open_ledger(path, now=clock)


def test_folder_in_place_of_a_file(path: Path, clock: Any) -> None:
    """A folder at the ledger's path is an error in the configuration."""
    path.mkdir()

    with pytest.raises(ConfigError, match=str(path)):
        open_ledger(path, now=clock)


def test_path_below_a_file(tmp_path: Path, clock: Any) -> None:
    """A path that cannot be made is an error in the configuration."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigError, match="cannot be opened"):
        open_ledger(tmp_path / "file" / "ledger.db", now=clock)


def test_failed_opening_leaves_no_lock(path: Path, clock: Any) -> None:
    """After a failed opening the ledger can be opened once its cause is gone."""
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError):
        open_ledger(path, now=clock)
    path.unlink()

    open_ledger(path, now=clock).close()


def test_interrupted_creation_is_finished(path: Path, clock: Any) -> None:
    """An empty database, as a killed creation leaves it, becomes a ledger."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")

    with open_ledger(path, now=clock) as ledger:
        assert ledger.entries() == []


def test_a_ledger_that_is_made_anew_is_there_when_it_is_whole(path: Path, clock: Any) -> None:
    """An end in the middle leaves no ledger that lacks something, and nobody else makes one meanwhile."""
    for trouble in (Transient("a store is away"), None):
        with suppress(Transient), made_anew(path, clock()) as half, open_ledger(half, now=clock) as ledger:
            assert not ledger.plans()
            ledger.set_meta("found", "all")
            with pytest.raises(Refused, match="in use"):
                open_ledger(path, now=clock)
            if trouble is not None:
                raise trouble
        assert path.exists() is (trouble is None)
        assert list(path.parent.glob("*rebuilding*")) == []
    with open_ledger(path, now=clock, exclusive=False) as ledger:
        assert ledger.meta("found") == "all"
    with pytest.raises(ConfigError, match="never overwritten"), made_anew(path, clock()):
        raise AssertionError


@pytest.mark.parametrize("exclusive", [True, False])
def test_newer_ledger_is_refused(path: Path, clock: Any, exclusive: bool) -> None:
    """A ledger of a newer program is not touched by an older one."""
    open_ledger(path, now=clock).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConfigError, match="newer offloader"):
        open_ledger(path, now=clock, exclusive=exclusive)


NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", "{head}"
def upgrade():
    op.add_column("meta", sa.Column("note", sa.Text))
    {more}
"""


@pytest.fixture
def next_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Become a program with one more migration."""

    def install(more: str) -> None:
        scripts = tmp_path / "scripts"
        shutil.copytree(Path(opening.__file__).parent / "migrations", scripts)
        (scripts / "versions" / "r9999_next.py").write_text(NEXT.format(more=more, head=HEAD))
        monkeypatch.setattr(opening, "SCRIPTS", str(scripts))
        monkeypatch.setattr(opening, "HEAD", "9999")

    return install


def test_older_ledger_is_brought_up_to_date(path: Path, clock: Any, next_program: Callable[[str], None]) -> None:
    """Opening for writing migrates an older ledger and keeps a copy of it; opening for reading says what to do."""
    with open_ledger(path, now=clock) as ledger:
        ledger.set_meta("a", "b")
    next_program("")

    with pytest.raises(ConfigError, match="offloader ledger upgrade"):
        open_ledger(path, now=clock, exclusive=False)
    with open_ledger(path, now=clock) as ledger:
        assert ledger.meta("a") == "b"
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(f"{path}.{HEAD}.backup")) as old:
        assert new.execute("SELECT key, value, note FROM meta").fetchall() == [("a", "b", None)]
        assert old.execute("SELECT * FROM meta").fetchall() == [("a", "b")]
    assert stat.S_IMODE(path.with_name(f"ledger.db.{HEAD}.backup").stat().st_mode) == 0o600


def test_failed_migration_changes_nothing(path: Path, clock: Any, next_program: Callable[[str], None]) -> None:
    """A migration is made as a whole or not at all, and can be tried again."""
    open_ledger(path, now=clock).close()
    next_program("op.execute('this is no SQL')")

    for _ in range(2):
        with pytest.raises(ConfigError, match="syntax error"):
            open_ledger(path, now=clock)
    with closing(sqlite3.connect(path)) as connection:
        assert len(connection.execute("PRAGMA table_info(meta)").fetchall()) == 2
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)


def test_migrations_make_what_the_program_uses(ledger: Ledger, path: Path) -> None:
    """The migrated database is the one that the program's tables describe, at the newest revision."""
    with reading_engine(path).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    scripts = ScriptDirectory(str(Path(opening.__file__).parent / "migrations"))
    assert scripts.get_current_head() == schema.HEAD


def test_opening_does_not_import_alembic(path: Path, clock: Any) -> None:
    """A ledger that needs no migration is opened without alembic."""
    open_ledger(path, now=clock).close()
    program = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from offloader.ledger import open_ledger\n"
        "open_ledger(Path(sys.argv[1]), now=lambda: datetime(2026, 11, 22, tzinfo=UTC)).close()\n"
        "sys.exit('alembic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 0


def test_clock_may_go_back_a_little(path: Path, clock: Any) -> None:
    """Times in the log never go back; an hour is nobody's business."""
    with open_ledger(path, now=clock) as ledger:
        ledger.record_event("one", data={})
        clock.forward(minutes=-59)
        ledger.record_event("two", data={})

        assert len({event.at for event in ledger.events()}) == 1
        assert ledger.clock_warning is None


def test_clock_that_went_back_far_is_reported_once(path: Path, clock: Any) -> None:
    """A jump back by more than an hour is one event and a warning, also for those who open the ledger later."""
    with open_ledger(path, now=clock) as ledger:
        ledger.record_event("one", data={})
        clock.forward(days=-2)
        ledger.record_event("two", data={})
        ledger.record_event("three", data={})
        assert "2 days" in str(ledger.clock_warning)
    with open_ledger(path, now=clock) as ledger:
        assert "2 days" in str(ledger.clock_warning)
        ledger.record_event("four", data={})
    with open_ledger(path, now=clock, exclusive=False) as ledger:
        assert "2 days" in str(ledger.clock_warning)

        events = ledger.events()
        assert [event.type for event in events] == ["one", "clock_behind", "two", "three", "four"]
        assert len({event.at for event in events}) == 1
    clock.forward(days=3)
    with open_ledger(path, now=clock) as ledger:
        assert ledger.clock_warning is None


def test_many_steps_later_the_same_ledger(
    path: Path, clock: Any, ledger: Ledger, seen: Callable[..., Entry], document: Callable[..., Document]
) -> None:
    """A second connection of another opening sees states, and documents that were restored, as the first does."""
    entry = seen(document(), State.PLANNED)
    ledger.advance([Step(entry.versions[0].pk, State.COPIED)])

    with open_ledger(path, now=clock, exclusive=False) as reader:
        assert reader.entries() == ledger.entries()
