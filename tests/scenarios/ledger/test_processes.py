"""The ledger and real processes: killed in mid-write, and two at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from offloader import audit
from offloader.errors import Refused
from offloader.ledger import open_ledger
from offloader.model import State

#: records documents and advances them from four threads, printing each step once it was acknowledged
WRITER = """
import os, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from offloader.ledger import Step, open_ledger
from offloader.model import Document, DocumentRef, State, Version
from offloader.ports import Page

ledger = open_ledger(Path(sys.argv[1]), now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
documents = tuple(
    Document(ref=DocumentRef("sf", "k", str(i)), title="t", versions=(Version(id="v", number=1, name="n", size=1),))
    for i in range(4000)
)
ledger.record_page("sf", "k", Page(documents=documents), since=None)

def work(start):
    for first in range(start * 1000 + 1, start * 1000 + 1000, 2):
        for state in (State.PLANNED, State.COPIED, State.VERIFIED):
            ledger.advance([Step(first, state), Step(first + 1, state)])
            os.write(1, f"{first} {state}\\n".encode())

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
"""
ORDER = [State.SEEN, State.PLANNED, State.COPIED, State.VERIFIED]


def now() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("lines", [1, 40, 333])
def test_killed_writer_keeps_what_it_acknowledged(tmp_path: Path, lines: int) -> None:
    """After kill -9 every acknowledged step is there, every pair of steps is whole, and the log is unbroken."""
    path = tmp_path / "ledger.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    with open_ledger(path, now=now, create=False) as ledger:
        states: dict[int, State] = {}
        while entries := ledger.entries(after=len(states)):
            states |= {entry.pk: entry.versions[0].state for entry in entries}
        for line in told:
            pk, state = line.split()
            assert ORDER.index(states[int(pk)]) >= ORDER.index(State(state))
        assert len(states) == 4000
        assert all(states[pk] is states[pk + 1] for pk in range(1, 4000, 2))
        steps = sum(ORDER.index(state) for state in states.values())
        events = ledger.events(limit=20_000)
        assert len(events) == 4000 + steps
        assert audit.verify([(event.record, event.hash) for event in events], remembered=ledger.head()).ok


HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from offloader.ledger import open_ledger

ledger = open_ledger(Path(sys.argv[1]), now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
ledger.set_meta("holder", "1")
print("ready", flush=True)
sys.stdin.read()
"""


def test_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """While a process has the ledger another is told its pid; killed, it leaves the ledger free; reading goes on."""
    path = tmp_path / "ledger.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(Refused, match=rf"pid {process.pid}\b"):
            open_ledger(path, now=now)
        with open_ledger(path, now=now, exclusive=False) as reader:
            assert reader.meta("holder") == "1"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        with open_ledger(path, now=now) as ledger:
            ledger.set_meta("holder", "2")
            assert ledger.meta("holder") == "2"
