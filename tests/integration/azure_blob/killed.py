"""A process of its own that puts a large blob, says so in the middle, and waits to be killed."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from offloader.plugins import Context
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.store import AzureBlobStore


def main(options: str, key: str, body: str, after: int) -> None:
    """Put the bytes of the file `body`, a block at a time, and stop for ever after so many of them."""
    context = Context(
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
        monotonic=time.monotonic,
        random=lambda: 0.5,
        environ={},
        directory=Path(),
    )
    given = AzureBlobOptions.model_validate(json.loads(options))
    store = AzureBlobStore("azure", given, context)
    data = Path(body).read_bytes()

    def chunks() -> Iterator[bytes]:
        for number, start in enumerate(range(0, len(data), given.block_size)):
            if number == after:
                print("stopped", flush=True)
                threading.Event().wait()
            yield data[start : start + given.block_size]

    store.put(key, chunks())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
