"""The running emulator: an org behind a TLS server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offloader_connectors.emulation.running import Running
from offloader_connectors.salesforce.emulator.app import Salesforce
from offloader_connectors.salesforce.emulator.auth import SECRET_FILE
from offloader_connectors.salesforce.emulator.org import Org


class SalesforceEmulator(Running):
    """Serves an org until `close`. Implements `offloader.plugins.Emulator`.

    `org`, `faults`, `counters` and `latency_ms` may be used from the same process while it serves.
    """

    def __init__(self, org: Org, *, port: int = 0, latency_ms: float = 0.0, faults: Path | None = None) -> None:
        self.org = org
        self.app = Salesforce(org, self._prepare(latency_ms, faults))
        self._serve(self.app, org.directory, port)
        #: options of the source for client credentials; file names are relative to the org's directory
        self.source_options: Mapping[str, Any] = {
            "type": "salesforce",
            "login_url": self.url,
            "client_id": self.client_id,
            "client_secret": f"file:{SECRET_FILE}",
            "ca_file": "ca.pem",
        }

    @property
    def client_id(self) -> str:
        return self.app.auth.client_id

    def close(self) -> None:
        """Stop serving; the org's directory keeps everything."""
        self._server.close()
        self.app.limits.save()
        self.org.close()
