"""Peak resident memory of the offloader: for one file of 2 GB, and for many small files."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from harness import PYTHON, arguments, detail, offload, sandbox, say, workshop

LARGE = 2 * 1024**3
QUICK_LARGE = 256 * 1024**2
TARGET_MB = 200


def add_large_file(directory: Path, size: int) -> None:
    """Put an account with one large file into a sandbox that is not running."""
    from offloader_connectors.emulation.blobs import Synthetic  # noqa: PLC0415 - in a process of its own, see below
    from offloader_connectors.salesforce.emulator.org import FileParent, Org  # noqa: PLC0415

    moment = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
    org = Org(directory, now=lambda: moment)
    account = org.insert("Account", {"Name": "Large GmbH", "BillingCountryCode": "DE", "BillingCountry": "Germany"})
    org.add_file(
        title="large",
        path_on_client="large.iso",
        bodies=[Synthetic(size, 1)],
        owner=org.integration_user,
        parents=[FileParent(account)],
        created=moment,
    )
    org.close()


def large(size: int) -> None:
    with workshop() as directory:
        with sandbox(directory, documents=0):
            pass
        # a child inherits the peak of the process that starts it: this one stays small
        subprocess.run([*PYTHON, __file__, "--add-large-file", str(directory), str(size)], check=True)
        with sandbox(directory, documents=0) as crm:
            ran = offload(crm)
    say(f"peak memory, one file of {size // 1024**2} MiB", ran.peak_mb, TARGET_MB, " MB")
    detail(bytes_moved=ran.answer["bytes"], seconds=ran.seconds, cpu_seconds=ran.cpu)


def small(documents: int) -> None:
    with workshop() as directory, sandbox(directory, documents=documents) as crm:
        ran = offload(crm)
    say(f"peak memory, {documents} small files", ran.peak_mb, TARGET_MB, " MB")
    detail(versions_moved=ran.answer["versions_moved"], bytes_moved=ran.answer["bytes"], seconds=ran.seconds)


def main() -> None:
    if sys.argv[1:2] == ["--add-large-file"]:
        add_large_file(Path(sys.argv[2]), int(sys.argv[3]))
        return
    options = arguments(__doc__, documents=20_000, quick=500)
    large(QUICK_LARGE if options.quick else LARGE)
    small(options.documents)


if __name__ == "__main__":
    main()
