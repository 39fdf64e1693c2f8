"""kill -9 in the middle of an object in parts, and of a blob in blocks."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from offloader_connectors.azure_blob.testparts.testbed import Testbed
from offloader_connectors.emulation.faults import Rule
from tests import processes
from tests.integration.s3.servers import Server
from tests.integration.whole.bed import sha256
from tests.integration.whole.depot import MIB, Away, opened, opened_blobs
from tests.integration.whole.ground import Ground
from tests.integration.whole.plant import TIMEOUT_S

PART, BLOCK = 5 * MIB, MIB


def killed_at(place: Away, name: str, nth: int, watch: Callable[[Callable[[str], None]], None]) -> int:
    """Run until the server is asked so for the n-th time, kill the process then, and return its exit status."""
    seen = 0

    def look(operation: str) -> None:
        nonlocal seen
        seen += operation == name
        if seen == nth:
            process.kill()

    with processes.started(place.command("run")[1:]) as process:
        watch(look)
        process.join(TIMEOUT_S)
        assert process.exitcode is not None
        return process.exitcode


def test_a_run_killed_amid_parts_converges(ground: Ground, ministack: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After kill -9 between two parts the next run moves everything; one a day later sweeps what was left."""
    with opened(ground, ministack, part_size=PART) as depot:
        large = os.urandom(2 * PART + 1)
        depot.file("large", large)
        depot.files(2)
        depot.remember()
        with monkeypatch.context() as patched:
            status = killed_at(depot, "document part", 2, lambda look: patched.setattr(depot.between, "met", look))
        assert status == -9
        assert len(depot.unfinished()) == 1
        assert sha256(large) not in depot.stored()
        depot.nothing_lost()
        depot.converges()
        assert len(depot.stored()) == 3
        depot.later(25)
        assert depot.unfinished() == []


def test_a_run_killed_amid_blocks_converges(ground: Ground, bed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """After kill -9 between two blocks the next run moves everything, and leaves no block of the killed one behind."""
    with opened_blobs(ground, bed, "killed", block_size=BLOCK) as blobs:
        large = os.urandom(4 * BLOCK)
        blobs.file("large", large)
        blobs.files(2)
        blobs.remember()
        real = bed.proxy.met

        def watch(look: Callable[[str], None]) -> None:
            def met(name: str) -> list[Rule]:
                look(name)
                return real(name)

            patched.setattr(bed.proxy, "met", met)

        with monkeypatch.context() as patched:
            status = killed_at(blobs, "PutBlock", 3, watch)
        assert status == -9
        assert blobs.uncommitted()
        assert sha256(large) not in blobs.stored()
        blobs.nothing_lost()
        blobs.converges()
        assert len(blobs.stored()) == 3
        assert not blobs.uncommitted()
