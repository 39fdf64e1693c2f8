"""Emulated CRMs in a process of their own, for the demo: memory and time are measured apart."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from offloader.errors import OffloaderError

STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running emulator's administrative side."""

    url: str
    ca_file: Path
    #: the process that serves it, if it is one of its own
    pid: int = 0

    def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the emulator itself; such calls are not counted as CRM requests. `body` is sent as JSON."""
        trusted = ssl.create_default_context(cafile=str(self.ca_file))
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=trusted))
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/_emulator/{path}", data, method=method)  # noqa: S310 - https on loopback
        with opener.open(request, timeout=120) as response:
            return json.load(response)

    def requests(self) -> dict[str, int]:
        """CRM requests by operation, as the server counted them."""
        return dict(sorted(self.call("requests")["outer"].items()))

    def reset_requests(self) -> None:
        self.call("requests/reset", "POST")


@contextlib.contextmanager
def running_sandboxes(crm: str, directory: Path, *, documents: int, seed: int) -> Iterator[dict[str, Sandbox]]:
    """Start `offloader sandbox` and wait until it serves. By CRM, which is also the source's name."""
    command = [sys.executable, "-m", "offloader", "sandbox", crm, "--dir", str(directory)]
    command += ["--documents", str(documents), "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise OffloaderError("the emulated CRM did not start; its message stands above")
            crms = json.loads(line)["crms"]
            yield {name: Sandbox(each["url"], Path(each["ca_file"]), process.pid) for name, each in crms.items()}
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def running_sandbox(crm: str, directory: Path, *, documents: int, seed: int) -> Iterator[Sandbox]:
    """Start one emulated CRM."""
    with running_sandboxes(crm, directory, documents=documents, seed=seed) as sandboxes:
        yield sandboxes[crm]
