"""The Azure Blob store on Azurite: requests per document, CPU against bare upload_blob, peak memory, a 5 GB object."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import store_loads as loads
from harness import PYTHON, arguments, measure, workshop
from store_loads import EACH, GIANT, MANY, MIB, QUICK_GIANT, SMALL, THREADS

if TYPE_CHECKING:
    from offloader.plugins import Context
    from offloader_connectors.azure_blob.store import AzureBlobStore
    from offloader_connectors.azure_blob.testparts.testbed import Testbed

CONTAINER = "benchmark"


def surroundings() -> Context:
    from offloader.plugins import Context  # noqa: PLC0415 - as below: only where it is measured

    return Context(
        now=lambda: datetime.now(UTC),  # noqa: TID251
        sleep=time.sleep,  # noqa: TID251
        monotonic=time.monotonic,
        random=lambda: 0.5,
        environ={},
        directory=Path(),
    )


def open_store(given: dict[str, Any]) -> AzureBlobStore:
    from offloader_connectors.azure_blob.options import AzureBlobOptions  # noqa: PLC0415
    from offloader_connectors.azure_blob.store import AzureBlobStore  # noqa: PLC0415

    return AzureBlobStore("azure", AzureBlobOptions.model_validate(given["options"]), surroundings())


def put_small(given: dict[str, Any]) -> dict[str, Any]:
    loads.put_small(open_store(given), given["documents"])
    return {}


def compare_cpu(given: dict[str, Any]) -> dict[str, Any]:
    import requests  # noqa: PLC0415
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    store, options = open_store(given), given["options"]
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", HTTPAdapter(pool_maxsize=THREADS))
    service = BlobServiceClient(
        options["account_url"],
        credential={"account_name": "sandbox", "account_key": Path(options["account_key"][5:]).read_text()},
        transport=RequestsTransport(session=session, session_owner=False, connection_verify=options["ca_file"]),
    )
    container = service.get_container_client(options["container"])
    bodies = loads.made_bodies(given)

    def bare(name: str, number: int) -> None:
        container.get_blob_client(f"bare/{name}/{number}").upload_blob(bodies[number])

    return loads.compare_cpu(store, bodies, bare)


def put_large(given: dict[str, Any]) -> dict[str, Any]:
    return loads.put_large(open_store(given), given)


def read_large(given: dict[str, Any]) -> dict[str, Any]:
    """Measure what `put_large` has stored."""
    stored = open_store(given).stat("large/0")
    assert stored is not None
    return {"bytes": stored.size}


WORKERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "small": put_small,
    "cpu": compare_cpu,
    "large": put_large,
    "read": read_large,
}


class Bench:
    """Containers on one testbed, whose proxy is in this process and not in the measured ones."""

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed
        self._containers = 0

    def run(self, worker: str, *, fresh: bool = True, **given: Any) -> Any:
        self._containers += fresh
        container = f"{CONTAINER}-{self._containers}"
        self.bed.make_container(container, surroundings())
        self.bed.proxy.requests.clear()
        told = {"options": self.bed.store_options(container), **given}
        return measure([*PYTHON, __file__, "--worker", worker], given=told)


def report(bench: Bench, documents: int, giant: int) -> None:
    bench.run("small", documents=documents)
    asked = bench.bed.proxy.requests
    loads.say_requests(asked.total(), documents, **asked)
    for size, number in ((SMALL, documents // 5), (2 * MIB, 40)):
        loads.say_cpu(bench.run("cpu", documents=number, size=size).answer, number, size, "upload_blob")
    many = bench.run("large", size=EACH, at_once=MANY)
    loads.say_memory(f"{MANY} documents of {EACH // MIB} MiB at once", many)
    one = bench.run("large", size=giant, at_once=1)
    speed = giant / 1e6 / one.seconds
    loads.say_memory(f"one blob of {giant // MIB} MiB", one, mb_per_second=speed, **bench.bed.proxy.requests)
    read = bench.run("read", fresh=False)
    loads.say_memory(f"the same blob read back ({read.answer['bytes'] // MIB} MiB)", read)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(WORKERS[sys.argv[2]](json.load(sys.stdin))))
        return
    from offloader_connectors.azure_blob.testparts.testbed import Testbed  # noqa: PLC0415

    options = arguments(__doc__, documents=2000, quick=400)
    with workshop() as directory:
        bed = Testbed(directory, os.environ, time.sleep, in_memory=False)  # noqa: TID251
        try:
            report(Bench(bed), options.documents, QUICK_GIANT if options.quick else GIANT)
        finally:
            bed.close()


if __name__ == "__main__":
    main()
