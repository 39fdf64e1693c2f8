"""The measure of all benchmarks: download bodies and write them to files. No ledger, no digest, no check, no link.

Reads `url, ca_file, token, paths, patches, target, threads` as JSON from stdin; prints the seconds and the CPU seconds
of the loop alone, without the start of the process. `patches` has a path and JSON for each body, sent by PATCH after
its download, or is empty.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

CHUNK = 256 * 1024


def main() -> None:
    given = json.load(sys.stdin)
    target, threads = Path(given["target"]), int(given["threads"])
    patches = given["patches"]
    target.mkdir(parents=True, exist_ok=True)
    session = requests.Session()
    session.trust_env = False
    session.verify = given["ca_file"]
    session.headers["Authorization"] = f"Bearer {given['token']}"
    session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=threads))

    def copy(numbered: tuple[int, str]) -> int:
        number, path = numbered
        written = 0
        with session.get(given["url"] + path, stream=True, timeout=600) as answer:
            answer.raise_for_status()
            with (target / str(number)).open("wb") as file:
                for chunk in answer.iter_content(CHUNK):
                    written += file.write(chunk)
        if patches:
            row, change = patches[number]
            session.patch(given["url"] + row, json=change, timeout=600).raise_for_status()
        return written

    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(copy, enumerate(given["paths"])))
    seconds, spent = time.perf_counter() - wall, time.process_time() - cpu
    json.dump({"files": len(given["paths"]), "bytes": total, "seconds": seconds, "cpu": spent}, sys.stdout)


if __name__ == "__main__":
    main()
