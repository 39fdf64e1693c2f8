"""A running emulator: a vendor behind its TLS server, with what a test in the same process may turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from offloader_connectors.emulation.faults import Faults
from offloader_connectors.emulation.harness import Counters, Harness, Vendor
from offloader_connectors.emulation.server import TlsServer


class Running:
    """Begins with `_prepare`, serves after `_serve`. `faults`, `counters` and `latency_ms` may be used meanwhile."""

    _server: TlsServer
    #: https://127.0.0.1:PORT
    url: str
    ca_file: Path

    def _prepare(self, latency_ms: float, faults: Path | None) -> Harness:
        """Make the harness; the vendor is made with it."""
        self._harness = Harness(latency_ms=latency_ms)
        if faults is not None:
            self._harness.faults.load_file(faults)
        return self._harness

    def _serve(self, vendor: Vendor, directory: Path, port: int, others: Sequence[str] = ()) -> None:
        self._harness.vendor = vendor
        self._server = TlsServer(self._harness, directory, port, others=others)
        self.url = self._server.url
        self.ca_file = self._server.ca_file

    @property
    def faults(self) -> Faults:
        return self._harness.faults

    @property
    def counters(self) -> Counters:
        return self._harness.counters

    @property
    def latency_ms(self) -> float:
        return self._harness.latency_ms

    @latency_ms.setter
    def latency_ms(self, value: float) -> None:
        self._harness.latency_ms = value
