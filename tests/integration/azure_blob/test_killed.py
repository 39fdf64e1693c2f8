"""A process that is killed in the middle of an upload leaves nothing that counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from offloader.model import Digest
from offloader.plugins import Context
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.testparts.testbed import Testbed

from . import killed
from .conftest import MakeStore

KEY = "documents/crm/0123abcd/1"
BLOCK = 64 * 1024


def test_an_upload_that_was_killed_is_done_again(
    bed: Testbed, make_store: MakeStore, container: str, real_time: Context, tmp_path: Path
) -> None:
    """After kill -9 between two blocks nothing can be seen; the next upload, of the same bytes or of others, is whole,
    and leaves no block of the killed one behind.
    """
    body = bytes(range(256)) * 2048
    (tmp_path / "body").write_bytes(body)
    options = {**bed.store_options(container), "block_size": BLOCK, "concurrency": 1}
    outside = Clients(AzureBlobOptions.model_validate(bed.store_options(container, bare=True)), real_time)
    for key in (KEY, f"{KEY}0"):
        process = subprocess.Popen(
            [sys.executable, killed.__file__, json.dumps(options), key, str(tmp_path / "body"), "6"],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopped\n"
        process.kill()
        process.wait()
        process.stdout.close()
        assert outside.blob(key).get_block_list("uncommitted")[1]
    store = make_store()
    assert [*store.list()] == []
    assert store.stat(KEY) is None
    assert store.size(KEY) is None
    others = body[::-1]
    for key, data in ((KEY, body), (f"{KEY}0", others)):
        assert store.put(key, [data]).sha256 == Digest.of(data).sha256
        assert b"".join(store.read(key)) == data
        assert outside.blob(key).get_block_list("all")[1] == []
