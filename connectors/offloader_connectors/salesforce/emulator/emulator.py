"""The running emulator: an org behind a TLS server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offloader_connectors.emulation.faults import Faults
from offloader_connectors.emulation.harness import Counters, Harness
from offloader_connectors.emulation.server import TlsServer
from offloader_connectors.salesforce.emulator.app import Salesforce
from offloader_connectors.salesforce.emulator.auth import KEY_FILE, SECRET_FILE
from offloader_connectors.salesforce.emulator.org import INTEGRATION_USER, Org


class SalesforceEmulator:
    """Serves an org until `close`. Implements `offloader.plugins.Emulator`.

    `org`, `faults`, `counters` and `latency_ms` may be used from the same process while it serves.
    """

    def __init__(self, org: Org, *, port: int = 0, latency_ms: float = 0.0, faults: Path | None = None) -> None:
        self.org = org
        self._harness = Harness(latency_ms=latency_ms)
        if faults is not None:
            self._harness.faults.load_file(faults)
        self.app = Salesforce(org, self._harness)
        self._harness.vendor = self.app
        self._server = TlsServer(self._harness, org.directory, port)
        self.url = self._server.url
        self.ca_file = self._server.ca_file
        #: options of the source for client credentials; file names are relative to the org's directory
        self.source_options: Mapping[str, Any] = {
            "type": "salesforce",
            "login_url": self.url,
            "client_id": self.client_id,
            "client_secret": f"file:{SECRET_FILE}",
            "ca_file": "ca.pem",
        }

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

    @property
    def client_id(self) -> str:
        return self.app.auth.client_id

    @property
    def jwt_options(self) -> Mapping[str, Any]:
        """Options of the source for the JWT bearer flow."""
        options = {name: value for name, value in self.source_options.items() if name != "client_secret"}
        return {**options, "username": INTEGRATION_USER, "private_key": f"file:{KEY_FILE}"}

    def close(self) -> None:
        """Stop serving; the org's directory keeps everything."""
        self._server.close()
        self.app.limits.save()
        self.org.close()
