"""A process that sends a large object and stops in the middle, to be killed there. Its options come on stdin."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from offloader.testing import context
from offloader_connectors.s3.client import make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.store import S3Store

MIB = 1 << 20


def main() -> None:
    told = json.loads(sys.stdin.readline())
    clients = make_clients(S3Options.model_validate(told["options"]), context(Path(), environ=told["environ"]))
    clients.s3.meta.events.register("after-call.s3.UploadPart", lambda **_: os.write(1, b"part\n"))

    def chunks() -> Iterator[bytes]:
        for _ in range(13):
            yield bytes(MIB)
        sys.stdin.readline()  # never comes
        yield b"the end"

    S3Store("s3", clients, lambda: datetime.now(UTC)).put(told["key"], chunks())


if __name__ == "__main__":
    main()
