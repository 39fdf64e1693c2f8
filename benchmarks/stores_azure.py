"""The Azure Blob store on Azurite: requests per document, CPU against bare upload_blob, peak memory, a 5 GB object."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import PYTHON, arguments, detail, measure, say, workshop

if TYPE_CHECKING:
    from offloader.plugins import Context
    from offloader_connectors.azure_blob.store import AzureBlobStore
    from offloader_connectors.azure_blob.testparts.testbed import Testbed

MIB = 1 << 20
THREADS = 16
SMALL = 60_000
#: the offloader describes documents in segments, one before and one after removal of each batch of links
SEGMENTS, BATCH = 2, 200
ROUNDS = 5
MANY, EACH = 25, 64 * MIB
GIANT = 5 << 30
QUICK_GIANT = 512 * MIB
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
    """Small documents, each with its share of segments."""
    from offloader.model import Digest  # noqa: PLC0415

    store = open_store(given)
    for number in range(given["documents"]):
        body = os.urandom(SMALL)
        store.put(f"documents/crm/{number:08x}/1", [body], size=SMALL, digest=Digest.of(body))
        if number % BATCH == 0:
            for segment in range(SEGMENTS):
                store.put(f"catalog/{number:08x}-{segment}.jsonl", [body])
    return {}


def compare_cpu(given: dict[str, Any]) -> dict[str, Any]:
    """Rounds of the same bytes by a plain client and by the store, in turn; CPU seconds of each."""
    import requests  # noqa: PLC0415
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    from offloader.model import Digest  # noqa: PLC0415

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
    bodies = [os.urandom(given["size"]) for _ in range(given["documents"])]
    digests = [Digest.of(body) for body in bodies]

    def bare(name: str, number: int) -> None:
        container.get_blob_client(f"bare/{name}/{number}").upload_blob(bodies[number])

    def ours(name: str, number: int) -> None:
        store.put(f"{name}/{number}", [bodies[number]], size=len(bodies[number]), digest=digests[number])

    def seconds(put: Callable[[str, int], None], name: str) -> float:
        started = time.process_time()
        with ThreadPoolExecutor(THREADS) as threads:
            for each in [threads.submit(put, name, number) for number in range(len(bodies))]:
                each.result()
        return time.process_time() - started

    for put in (bare, ours):
        seconds(put, "warm")
    taken = [(seconds(bare, str(turn)), seconds(ours, str(turn))) for turn in range(ROUNDS)]
    return {"bare": statistics.median(b for b, _ in taken), "ours": statistics.median(o for _, o in taken)}


def made_up(size: int) -> Iterator[bytes]:
    """So many bytes in chunks as a download brings them, without holding them."""
    chunk = bytes(range(256)) * 1024
    for start in range(0, size, len(chunk)):
        yield chunk[: min(len(chunk), size - start)]


def put_large(given: dict[str, Any]) -> dict[str, Any]:
    """Large documents at once."""
    store = open_store(given)
    with ThreadPoolExecutor(given["at_once"]) as threads:
        stored = [*threads.map(lambda n: store.put(f"large/{n}", made_up(given["size"])), range(given["at_once"]))]
    sha256 = hashlib.sha256()
    for chunk in made_up(given["size"]):
        sha256.update(chunk)
    assert {each.sha256 for each in stored} == {sha256.hexdigest()}
    return {"bytes": sum(each.size for each in stored)}


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
    say("requests per small document with its share of the catalog", asked.total() / documents, 1.02)
    detail(documents=documents, **asked)
    for size, number in ((SMALL, documents // 5), (2 * MIB, 40)):
        cpu = bench.run("cpu", documents=number, size=size).answer
        say(f"CPU ÷ CPU of bare upload_blob, {number} documents of {size} bytes", cpu["ours"] / cpu["bare"], 1.3)
        detail(store_ms_per_document=cpu["ours"] / number * 1000, bare_ms_per_document=cpu["bare"] / number * 1000)
    many = bench.run("large", size=EACH, at_once=MANY)
    say(f"peak memory, {MANY} documents of {EACH // MIB} MiB at once", many.peak_mb, 350, " MB")
    detail(seconds=many.seconds, cpu_seconds=many.cpu)
    one = bench.run("large", size=giant, at_once=1)
    say(f"peak memory, one blob of {giant // MIB} MiB", one.peak_mb, 350, " MB")
    detail(
        seconds=one.seconds, cpu_seconds=one.cpu, mb_per_second=giant / 1e6 / one.seconds, **bench.bed.proxy.requests
    )
    read = bench.run("read", fresh=False)
    say(f"peak memory, the same blob read back ({read.answer['bytes'] // MIB} MiB)", read.peak_mb, 350, " MB")
    detail(seconds=read.seconds, cpu_seconds=read.cpu)


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
