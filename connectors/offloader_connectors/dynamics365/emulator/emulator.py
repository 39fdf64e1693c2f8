"""The running emulator: an environment behind its Web API, with login server and storage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offloader_connectors.dynamics365.emulator.app import Dataverse
from offloader_connectors.dynamics365.emulator.auth import CERTIFICATE_FILE, SECRET_FILE
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.emulator.protocol import ProtocolOptions
from offloader_connectors.emulation.running import Running


class DynamicsEmulator(Running):
    """Serves an environment until `close`. Implements `offloader.plugins.Emulator`.

    `org`, `faults`, `counters`, `protocol` and `latency_ms` may be used from the same process while it serves.
    """

    def __init__(self, org: Org, *, port: int = 0, latency_ms: float = 0.0, faults: Path | None = None) -> None:
        self.org = org
        self.app = Dataverse(org, self._prepare(latency_ms, faults))
        self._serve(self.app, org.directory, port, others=("storage",))
        self.storage_url = f"https://127.0.0.1:{self._server.ports['storage']}"
        self.app.port, self.app.storage_port = self._server.port, self._server.ports["storage"]
        self.app.storage.url = self.storage_url
        self.org.url = self.url
        #: options of the source for a client secret; file names are relative to the environment's directory
        self.source_options: Mapping[str, Any] = {
            "type": "dynamics365",
            "url": self.url,
            "client_id": self.client_id,
            "client_secret": f"file:{SECRET_FILE}",
            "login_url": self.url,
            "ca_file": "ca.pem",
            "storage_hosts": ["127.0.0.1"],
        }

    @property
    def certificate_options(self) -> Mapping[str, Any]:
        """Options of the source for a certificate."""
        options = {name: value for name, value in self.source_options.items() if name != "client_secret"}
        return {**options, "certificate": f"file:{CERTIFICATE_FILE}"}

    @property
    def client_id(self) -> str:
        return self.app.auth.client_id

    @property
    def tenant(self) -> str:
        return self.app.auth.tenant

    @property
    def protocol(self) -> ProtocolOptions:
        return self.app.protocol

    @protocol.setter
    def protocol(self, options: ProtocolOptions) -> None:
        self.app.protocol = options

    def token(self, user: str | None = None) -> str:
        """An access token for a user by systemuserid; None: for the application."""
        return self.app.auth.token_for(user, f"127.0.0.1:{self._server.port}")

    def close(self) -> None:
        """Stop serving; the environment's directory keeps everything."""
        self._server.close()
        self.org.close()
