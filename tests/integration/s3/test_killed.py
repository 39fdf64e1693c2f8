"""A process killed in the middle of an object in parts: nothing is visible, and a sweep cleans up."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.integration.s3.servers import Server
from tests.integration.s3.stores import open_clients, open_store, unfinished

KEY = "documents/crm/0123abcd/1"


def test_a_killed_upload_leaves_nothing_visible_and_is_swept(honest: Server) -> None:
    """After kill -9 amid the parts there is no object; the next day's sweep removes the parts; the key is free."""
    place = {**honest.place(), "part_size": 5 << 20}
    told = {"options": honest.options(**place), "environ": dict(honest.environ), "key": KEY}
    command = [sys.executable, "-m", "tests.integration.s3.killed"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
        seen = [process.stdout.readline() for _ in range(4)]  # two of them try the server out
        process.kill()
    assert seen == [b"part\n"] * 4

    clients = open_clients(honest, **place)
    store = open_store(honest, now=lambda: datetime.now(UTC), **place)
    later = open_store(honest, now=lambda: datetime.now(UTC) + timedelta(hours=25), **place)
    assert store.size(KEY) is None
    assert store.stat(KEY) is None
    assert [*store.list()] == []
    assert len(unfinished(honest, clients)) == 1

    assert store.sweep() == 0
    assert later.sweep() == 1
    assert unfinished(honest, clients) == []
    assert store.put(KEY, [b"after all"]).size == 9
