"""What the benchmarks of stores share: the loads, and how they are told."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from harness import Measured, detail, say

if TYPE_CHECKING:
    from offloader.ports import Store

MIB = 1 << 20
THREADS = 16
SMALL = 60_000
#: the offloader describes documents in segments, one before and one after removal of each batch of links
SEGMENTS, BATCH = 2, 200
ROUNDS = 5
MANY, EACH = 25, 64 * MIB
GIANT = 5 << 30
QUICK_GIANT = 512 * MIB


def put_small(store: Store, documents: int) -> None:
    """Small documents, each with its share of segments."""
    from offloader.model import Digest  # noqa: PLC0415 - only in measured processes

    for number in range(documents):
        body = os.urandom(SMALL)
        store.put(f"documents/crm/{number:08x}/1", [body], size=SMALL, digest=Digest.of(body))
        if number % BATCH == 0:
            for segment in range(SEGMENTS):
                store.put(f"catalog/{number:08x}-{segment}.jsonl", [body])


def made_bodies(given: dict[str, Any]) -> list[bytes]:
    return [os.urandom(given["size"]) for _ in range(given["documents"])]


def compare_cpu(store: Store, bodies: Sequence[bytes], bare: Callable[[str, int], object]) -> dict[str, Any]:
    """The same bytes by a plain client, `bare(name, number)`, and by the store, in turn; CPU seconds of each."""
    from offloader.model import Digest  # noqa: PLC0415

    digests = [Digest.of(body) for body in bodies]

    def ours(name: str, number: int) -> None:
        store.put(f"{name}/{number}", [bodies[number]], size=len(bodies[number]), digest=digests[number])

    def seconds(put: Callable[[str, int], object], name: str) -> float:
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


def put_large(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Large documents at once."""
    with ThreadPoolExecutor(given["at_once"]) as threads:
        stored = [*threads.map(lambda n: store.put(f"large/{n}", made_up(given["size"])), range(given["at_once"]))]
    sha256 = hashlib.sha256()
    for chunk in made_up(given["size"]):
        sha256.update(chunk)
    assert {each.sha256 for each in stored} == {sha256.hexdigest()}
    return {"bytes": sum(each.size for each in stored)}


def say_requests(requests: int, documents: int, **more: Any) -> None:
    say("requests per small document with its share of the catalog", requests / documents, 1.02)
    detail(documents=documents, **more)


def say_cpu(cpu: dict[str, Any], number: int, size: int, bare: str) -> None:
    say(f"CPU ÷ CPU of bare {bare}, {number} documents of {size} bytes", cpu["ours"] / cpu["bare"], 1.3)
    detail(store_ms_per_document=cpu["ours"] / number * 1000, bare_ms_per_document=cpu["bare"] / number * 1000)


def say_memory(what: str, ran: Measured, **more: Any) -> None:
    say(f"peak memory, {what}", ran.peak_mb, 350, " MB")
    detail(seconds=ran.seconds, cpu_seconds=ran.cpu, **more)
