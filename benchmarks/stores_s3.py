"""The S3 store on SeaweedFS and on ministack: requests per document, CPU against bare put_object, peak memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import store_loads as loads
from harness import PYTHON, arguments, measure, workshop
from store_loads import EACH, GIANT, MANY, MIB, QUICK_GIANT, SMALL, THREADS

if TYPE_CHECKING:
    from offloader_connectors.s3.client import Clients
    from offloader_connectors.s3.store import S3Store


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
    store, clients = open_store(given)
    sent: dict[str, int] = {}

    def note(event_name: str, **_: object) -> None:
        name = event_name.rpartition(".")[2]
        sent[name] = sent.get(name, 0) + 1

    clients.s3.meta.events.register("before-send.s3", note)
    loads.put_small(store, given["documents"])
    return {"requests": sum(sent.values()), "by_operation": sent}


def compare_cpu(given: dict[str, Any]) -> dict[str, Any]:
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    store, _ = open_store(given)
    options, environ = given["options"], given["environ"]
    session = boto3.session.Session(environ["S3_ACCESS_KEY"], environ["S3_SECRET_KEY"])
    config = Config(max_pool_connections=THREADS, s3={"addressing_style": "path"}, proxies={})
    client = session.client("s3", endpoint_url=options["endpoint_url"], region_name=options["region"], config=config)
    bodies = loads.made_bodies(given)

    def bare(name: str, number: int) -> None:
        client.put_object(Bucket=options["bucket"], Key=f"bare/{name}/{number}", Body=bodies[number])

    return loads.compare_cpu(store, bodies, bare)


def put_large(given: dict[str, Any]) -> dict[str, Any]:
    store, _ = open_store(given)
    return loads.put_large(store, given)


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
    loads.say_requests(asked["requests"], documents, **asked["by_operation"])
    for size, number in ((SMALL, documents // 5), (2 * MIB, 40)):
        loads.say_cpu(run("cpu", server, documents=number, size=size).answer, number, size, "put_object")
    loads.say_memory(f"{MANY} documents of {EACH // MIB} MiB at once", run("large", server, size=EACH, at_once=MANY))
    if giant:
        one = run("large", server, size=giant, at_once=1)
        loads.say_memory(f"one object of {giant // MIB} MiB", one, mb_per_second=giant / 1e6 / one.seconds)


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
