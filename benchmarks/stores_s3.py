"""The S3 store on SeaweedFS and on ministack: requests per document, CPU against bare put_object, peak memory."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import PYTHON, arguments, detail, measure, say, workshop

if TYPE_CHECKING:
    from offloader_connectors.s3.client import Clients
    from offloader_connectors.s3.store import S3Store

MIB = 1 << 20
THREADS = 16
SMALL = 60_000
#: the offloader describes documents in segments, one before and one after removal of each batch of links
SEGMENTS, BATCH = 2, 200
ROUNDS = 5
MANY, EACH = 25, 64 * MIB
GIANT = 5 << 30
QUICK_GIANT = 512 * MIB


def serve(directory: Path, name: str) -> Any:
    """A server in a process of its own. The tests' starter is used: both need the same programs."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.integration.s3 import servers  # noqa: PLC0415

    directory.mkdir()
    return getattr(servers, name)(directory)


def open_store(given: dict[str, Any]) -> tuple[S3Store, Clients]:
    from datetime import UTC, datetime  # noqa: PLC0415 - as below: only in measured processes

    from offloader.testing import context  # noqa: PLC0415
    from offloader_connectors.s3.client import make_clients  # noqa: PLC0415
    from offloader_connectors.s3.options import S3Options  # noqa: PLC0415
    from offloader_connectors.s3.store import S3Store  # noqa: PLC0415

    clients = make_clients(S3Options.model_validate(given["options"]), context(Path(), environ=given["environ"]))
    return S3Store("s3", clients, lambda: datetime.now(UTC)), clients  # noqa: TID251


def count_requests(given: dict[str, Any]) -> dict[str, Any]:
    """Store small documents, each with its share of segments; how many requests were sent."""
    from offloader.model import Digest  # noqa: PLC0415

    store, clients = open_store(given)
    sent: dict[str, int] = {}

    def note(event_name: str, **_: object) -> None:
        name = event_name.rpartition(".")[2]
        sent[name] = sent.get(name, 0) + 1

    clients.s3.meta.events.register("before-send.s3", note)
    documents = given["documents"]
    for number in range(documents):
        body = os.urandom(SMALL)
        store.put(f"documents/crm/{number:08x}/1", [body], size=SMALL, digest=Digest.of(body))
        if number % BATCH == 0:
            for segment in range(SEGMENTS):
                store.put(f"catalog/{number:08x}-{segment}.jsonl", [body])
    return {"requests": sum(sent.values()), "by_operation": sent}


def compare_cpu(given: dict[str, Any]) -> dict[str, Any]:
    """Rounds of the same bytes by a plain client and by the store, in turn; CPU seconds of each."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    from offloader.model import Digest  # noqa: PLC0415

    store, _ = open_store(given)
    options, environ = given["options"], given["environ"]
    session = boto3.session.Session(environ["S3_ACCESS_KEY"], environ["S3_SECRET_KEY"])
    config = Config(max_pool_connections=THREADS, s3={"addressing_style": "path"}, proxies={})
    client = session.client("s3", endpoint_url=options["endpoint_url"], region_name=options["region"], config=config)
    bodies = [os.urandom(given["size"]) for _ in range(given["documents"])]
    digests = [Digest.of(body) for body in bodies]

    def bare(name: str, number: int) -> None:
        client.put_object(Bucket=options["bucket"], Key=f"bare/{name}/{number}", Body=bodies[number])

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
    store, _ = open_store(given)
    with ThreadPoolExecutor(given["at_once"]) as threads:
        stored = [*threads.map(lambda n: store.put(f"large/{n}", made_up(given["size"])), range(given["at_once"]))]
    sha256 = hashlib.sha256()
    for chunk in made_up(given["size"]):
        sha256.update(chunk)
    assert {each.sha256 for each in stored} == {sha256.hexdigest()}
    return {"bytes": sum(each.size for each in stored)}


WORKERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "requests": count_requests,
    "cpu": compare_cpu,
    "large": put_large,
}


def run(worker: str, server: Any, **given: Any) -> Any:
    told = {"options": server.options(**server.place()), "environ": dict(server.environ), **given}
    return measure([*PYTHON, __file__, "--worker", worker], given=told)


def report(name: str, server: Any, documents: int, giant: int) -> None:
    print(f"{name}:")
    asked = run("requests", server, documents=documents).answer
    say("requests per small document with its share of the catalog", asked["requests"] / documents, 1.02)
    detail(documents=documents, **asked["by_operation"])
    for size, number in ((SMALL, documents // 5), (2 * MIB, 40)):
        cpu = run("cpu", server, documents=number, size=size).answer
        say(f"CPU ÷ CPU of bare put_object, {number} documents of {size} bytes", cpu["ours"] / cpu["bare"], 1.3)
        detail(store_ms_per_document=cpu["ours"] / number * 1000, bare_ms_per_document=cpu["bare"] / number * 1000)
    many = run("large", server, size=EACH, at_once=MANY)
    say(f"peak memory, {MANY} documents of {EACH // MIB} MiB at once", many.peak_mb, 350, " MB")
    detail(seconds=many.seconds, cpu_seconds=many.cpu)
    if giant:
        one = run("large", server, size=giant, at_once=1)
        say(f"peak memory, one object of {giant // MIB} MiB", one.peak_mb, 350, " MB")
        detail(seconds=one.seconds, cpu_seconds=one.cpu, mb_per_second=giant / 1e6 / one.seconds)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(WORKERS[sys.argv[2]](json.load(sys.stdin))))
        return
    options = arguments(__doc__, documents=2000, quick=400)
    giant = QUICK_GIANT if options.quick else GIANT
    with workshop() as directory:
        # ministack keeps everything in memory, so the giant goes to the server that keeps it on disk
        for name, size in (("seaweedfs", giant), ("ministack", 0)):
            with serve(directory / name, name) as server:
                report(name, server, options.documents, size)


if __name__ == "__main__":
    main()
