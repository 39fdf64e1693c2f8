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
from typing import Any

import requests
from ruamel.yaml import YAML

#: where this variable forbids compiled files, every start of a process would compile all its modules again
PYTHON = ("env", "-u", "PYTHONDONTWRITEBYTECODE", sys.executable)
OFFLOADER = (*PYTHON, "-m", "offloader")
BARE_LOOP = (*PYTHON, str(Path(__file__).with_name("bare_loop.py")))
API = "/services/data/v66.0"
#: finished, or finished with documents that need a person's review
_GOOD_EXITS = (0, 3)


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished process: wall seconds, CPU seconds (`system` is a part of `cpu`), peak memory in MiB, its JSON."""

    seconds: float
    cpu: float
    system: float
    peak_mb: float
    answer: Mapping[str, Any]


class Sandbox:
    """An emulated Salesforce that serves from its own process."""

    def __init__(self, directory: Path, ready: Mapping[str, Any]) -> None:
        self.directory = directory
        self.config = directory / "offloader.yaml"
        self.url = str(ready["url"])
        self.ca_file = str(directory / "ca.pem")
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = self.ca_file

    def admin(self, method: str, name: str, body: object = None) -> dict[str, Any]:
        answer = self._http.request(method, f"{self.url}/_emulator/{name}", json=body, timeout=600)
        answer.raise_for_status()
        return dict(answer.json())

    def requests(self) -> dict[str, int]:
        """Requests so far by operation."""
        return dict(self.admin("GET", "requests")["outer"])

    def token(self) -> str:
        """A session for the bare loop, of the configured connected app."""
        source = YAML(typ="safe", pure=True).load(self.config)["sources"]["salesforce"]
        secret = (self.directory / source["client_secret"].removeprefix("file:")).read_text("ascii").strip()
        form = {"grant_type": "client_credentials", "client_id": source["client_id"], "client_secret": secret}
        answer = self._http.post(f"{self.url}/services/oauth2/token", data=form, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def bodies(self) -> dict[str, int]:
        """Path and size in bytes of every body that the CRM holds now."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        found = {}
        for kind, body, size in (
            ("ContentVersion", "VersionData", "ContentSize"),
            ("Attachment", "Body", "BodyLength"),
        ):
            url = f"{API}/query"
            params: dict[str, str] | None = {"q": f"SELECT Id, {size} FROM {kind}"}
            while url:
                answer = self._http.get(self.url + url, params=params, headers=headers, timeout=600)
                answer.raise_for_status()
                page = answer.json()
                found.update({f"{API}/sobjects/{kind}/{row['Id']}/{body}": row[size] for row in page["records"]})
                url, params = page.get("nextRecordsUrl"), None
        return found


@contextmanager
def sandbox(directory: Path, *, documents: int, latency_ms: float = 0.0) -> Iterator[Sandbox]:
    """Serve an emulated CRM with that many documents; a directory used before goes on with what it holds."""
    command = [*OFFLOADER, "sandbox", "salesforce", "--dir", str(directory), "--documents", str(documents)]
    process = subprocess.Popen(
        [*command, "--latency-ms", str(latency_ms)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the sandbox did not start")
        yield Sandbox(directory, json.loads(line))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def warm_up() -> None:
    """Do the whole job once in small, so that the measured processes find every module compiled."""
    with workshop() as directory, sandbox(directory, documents=40) as crm:
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


def offload(crm: Sandbox, command: str = "run") -> Measured:
    """Run the offloader on a sandbox."""
    return measure([*OFFLOADER, "-c", str(crm.config), command, "--json"])


def bare_loop(crm: Sandbox, paths: Sequence[str], *, threads: int) -> Measured:
    """Download these bodies by the bare loop."""
    target = crm.directory / "bare"
    given = {"url": crm.url, "ca_file": crm.ca_file, "token": crm.token(), "paths": list(paths), "threads": threads}
    return measure(BARE_LOOP, given={**given, "target": str(target)})


def configure(crm: Sandbox, section: str, **values: object) -> None:
    """Change settings in a section of the configuration, such as `pace` or `sources.salesforce`."""
    yaml = YAML(typ="safe", pure=True)
    config = part = yaml.load(crm.config)
    for name in section.split("."):
        part = part.setdefault(name, {})
    part.update(values)
    with crm.config.open("w", encoding="utf-8") as file:
        yaml.dump(config, file)


def arguments(doc: str | None, *, documents: int, quick: int) -> argparse.Namespace:
    """The options of a benchmark; `documents` is how many documents it works with."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help=f"{quick} documents instead of {documents}")
    parser.add_argument("--documents", type=int, help="that many documents")
    found = parser.parse_args()
    found.documents = found.documents or (quick if found.quick else documents)
    return found


@contextmanager
def workshop() -> Iterator[Path]:
    """A directory for one benchmark, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="offloader-benchmark-") as name:
        yield Path(name)


def say(what: str, value: float, target: float, unit: str = "") -> None:
    """Print one result against its target (not more than)."""
    verdict = "ok" if value <= target else "MISSED"
    print(f"{what}: {value:.3f}{unit} (target: at most {target:g}{unit}) {verdict}")


def detail(**values: object) -> None:
    """Print what a result was made of."""
    for name, value in values.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"    {name.replace('_', ' ')}: {shown}")
