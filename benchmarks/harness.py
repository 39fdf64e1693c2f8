"""What the benchmarks share: an emulated CRM in a process of its own, measured processes, and one way to print."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urljoin

import requests
from ruamel.yaml import YAML

#: where this variable forbids compiled files, every start of a process would compile all its modules again
PYTHON = ("env", "-u", "PYTHONDONTWRITEBYTECODE", sys.executable)
OFFLOADER = (*PYTHON, "-m", "offloader")
BARE_LOOP = (*PYTHON, str(Path(__file__).with_name("bare_loop.py")))
#: finished, or finished with documents that need a person's review
_GOOD_EXITS = (0, 3)
Crm = TypeVar("Crm", bound="Sandbox")


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished process: wall seconds, CPU seconds (`system` is a part of `cpu`), peak memory in MiB, its JSON."""

    seconds: float
    cpu: float
    system: float
    peak_mb: float
    answer: Mapping[str, Any]


class Sandbox:
    """An emulated CRM that serves from its own process. What differs between CRMs is in `crms`."""

    #: of the CRM, and so of the source
    name: ClassVar[str]
    #: tells operations of a process's start (login, object descriptions) from those of a scan
    once: ClassVar[tuple[str, ...]] = ()
    #: settings of the source with which an incremental scan right after a run does not look back at all of it
    short_overlap: ClassVar[Mapping[str, object]] = {}

    def __init__(self, directory: Path, ready: Mapping[str, Any]) -> None:
        self.directory = directory
        self.config = directory / "offloader.yaml"
        self.url = str(ready["url"])
        self.ca_file = str(directory / "ca.pem")
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = self.ca_file

    def admin(self, method: str, name: str, body: object = None) -> dict[str, Any]:
        answer = self.http.request(method, f"{self.url}/_emulator/{name}", json=body, timeout=600)
        answer.raise_for_status()
        return dict(answer.json())

    def requests(self) -> dict[str, int]:
        """Requests so far by operation."""
        return dict(self.admin("GET", "requests")["outer"])

    def source(self) -> dict[str, Any]:
        """The source's part of the configuration."""
        return dict(YAML(typ="safe", pure=True).load(self.config)["sources"][self.name])

    def secret(self) -> str:
        name = str(self.source()["client_secret"]).removeprefix("file:")
        return (self.directory / name).read_text("ascii").strip()

    def token(self) -> str:
        """A session for a bare loop, of the configured app."""
        raise NotImplementedError

    def pages(self, url: str, following: str, **headers: str) -> Iterator[Mapping[str, Any]]:
        """The rows of a list; `following` is the member of a page that leads to the next one."""
        headers["Authorization"] = f"Bearer {self.token()}"
        while url:
            answer = self.http.get(urljoin(self.url, url), headers=headers, timeout=600)
            answer.raise_for_status()
            page = answer.json()
            yield from page.get("records", page.get("value", ()))
            url = page.get(following, "")


@contextmanager
def serving(kind: type[Crm], directory: Path, *, documents: int, latency_ms: float = 0.0) -> Iterator[Crm]:
    """Serve an emulated CRM with that many documents; a directory used before goes on with what it holds."""
    command = [*OFFLOADER, "sandbox", kind.name, "--dir", str(directory), "--documents", str(documents)]
    process = subprocess.Popen(
        [*command, "--latency-ms", str(latency_ms)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the sandbox did not start")
        yield kind(directory, json.loads(line))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def warm_up(kind: type[Sandbox]) -> None:
    """Do the whole job once in small, so that the measured processes find every module compiled."""
    with workshop() as directory, serving(kind, directory, documents=40) as crm:
        offload(crm)
        bare_loop(crm, [], threads=1)


def measure(command: Sequence[str], *, given: object = None) -> Measured:
    """Run a process to its end. `given` goes to its stdin as JSON; its stdout is one JSON object."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stdin, tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        json.dump(given, stdin)
        stdin.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=stdin, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode not in _GOOD_EXITS:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {text[:2000]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu, usage.ru_stime, usage.ru_maxrss / 1024, json.loads(text))


def offload(crm: Sandbox, *command: str) -> Measured:
    """Run the offloader on a sandbox: `offloader run`, or another command."""
    return measure([*OFFLOADER, "-c", str(crm.config), *(command or ("run",)), "--json"])


def offload_and_undo(crm: Sandbox, latency_ms: int) -> tuple[Measured, dict[str, int], dict[str, int]]:
    """Run the offloader, then put the CRM back for the loop, both at this latency.

    Returns the run, its requests as the CRM counted them, and path and size of the bodies that it moved.
    """
    before = crm.bodies()
    crm.admin("POST", "snapshot", {"name": "start"})
    crm.admin("PUT", "latency", {"ms": latency_ms})
    crm.admin("POST", "requests/reset")
    ours = offload(crm)
    spent = crm.requests()
    crm.admin("PUT", "latency", {"ms": 0})
    after = crm.bodies()
    crm.admin("POST", "restore", {"name": "start"})
    crm.admin("PUT", "latency", {"ms": latency_ms})
    return ours, spent, {path: size for path, size in before.items() if after.get(path) != size}


def bare_loop(
    crm: Sandbox, paths: Sequence[str], *, threads: int, patches: Sequence[tuple[str, object]] = ()
) -> Measured:
    """Download these bodies by the bare loop, and after each send the patch (path, JSON) that belongs to it, if any."""
    target = crm.directory / "bare"
    given = {"url": crm.url, "ca_file": crm.ca_file, "token": crm.token(), "paths": list(paths), "threads": threads}
    return measure(BARE_LOOP, given={**given, "patches": list(patches), "target": str(target)})


def configure(crm: Sandbox, section: str, **values: object) -> None:
    """Change settings in a section of the configuration, such as `pace` or `sources.salesforce`."""
    yaml = YAML(typ="safe", pure=True)
    config = part = yaml.load(crm.config)
    for name in section.split("."):
        part = part.setdefault(name, {})
    part.update(values)
    with crm.config.open("w", encoding="utf-8") as file:
        yaml.dump(config, file)


def arguments(
    doc: str | None, *, documents: int, quick: int, crms: Sequence[str] = (), concurrency: int = 0
) -> argparse.Namespace:
    """The options of a benchmark; `documents` is how many documents it works with, `crms` the CRMs that it is for.

    `concurrency` is the usual number of calls at once, where that can be chosen.
    """
    parser = argparse.ArgumentParser(description=doc)
    if crms:
        parser.add_argument("--crm", choices=crms, default=crms[0], help=f"{crms[0]} unless told")
    parser.add_argument("--quick", action="store_true", help=f"{quick} documents instead of {documents}")
    parser.add_argument("--documents", type=int, help="that many documents")
    if concurrency:
        parser.add_argument(
            "--concurrency", type=int, default=concurrency, help=f"calls at once, {concurrency} unless told"
        )
    found = parser.parse_args()
    found.documents = found.documents or (quick if found.quick else documents)
    return found


@contextmanager
def workshop() -> Iterator[Path]:
    """A directory for one benchmark, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="offloader-benchmark-") as name:
        yield Path(name)


def say(what: str, value: float, target: float, unit: str = "", *, at_least: bool = False) -> None:
    """Print one result against its target, which is the most that it may be, or the least."""
    verdict = "ok" if (value >= target if at_least else value <= target) else "MISSED"
    bound = "at least" if at_least else "at most"
    print(f"{what}: {value:.3f}{unit} (target: {bound} {target:g}{unit}) {verdict}")


def detail(**values: object) -> None:
    """Print what a result was made of."""
    for name, value in values.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"    {name.replace('_', ' ')}: {shown}")
