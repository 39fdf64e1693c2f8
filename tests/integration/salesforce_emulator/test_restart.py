"""The directory keeps the org: restarts, kills, the plugin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import requests

from offloader.plugins import EmulatorPlugin, load
from offloader_connectors.salesforce.emulator.emulator import SalesforceEmulator
from offloader_connectors.salesforce.emulator.org import Org

NOW = datetime(2026, 3, 1, tzinfo=UTC)

PROGRAM = """
import sys, threading
from pathlib import Path
from datetime import UTC, datetime
from offloader_connectors.salesforce.emulator.org import Org
from offloader_connectors.salesforce.emulator.emulator import SalesforceEmulator
emulator = SalesforceEmulator(Org(Path(sys.argv[1]), now=lambda: datetime(2026, 3, 1, tzinfo=UTC)))
token = emulator.app.auth.open_session(emulator.org.integration_user)
print(emulator.url, token, flush=True)
threading.Event().wait()
"""


def _session(emulator_ca: Path, token: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(emulator_ca)
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def test_a_killed_emulator_continues(tmp_path: Path) -> None:
    """After kill -9, the same directory serves the same records, bodies, sessions and CA on the same port."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url, token = process.stdout.readline().split()
    session = _session(tmp_path / "ca.pem", token)
    fields = {"Title": "t", "PathOnClient": "a.txt", "VersionData": "aGk="}
    made = session.post(f"{url}/services/data/v66.0/sobjects/ContentVersion", json=fields, timeout=10).json()["id"]
    session.close()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    emulator = SalesforceEmulator(Org(tmp_path, now=lambda: NOW))
    try:
        assert emulator.url == url
        again = _session(tmp_path / "ca.pem", token)
        body = again.get(f"{url}/services/data/v66.0/sobjects/ContentVersion/{made}/VersionData", timeout=10)
        assert (body.status_code, body.content) == (200, b"hi")
        new = again.post(f"{url}/services/data/v66.0/sobjects/ContentVersion", json=fields, timeout=10).json()["id"]
        assert new > made
        again.close()
    finally:
        emulator.close()


def test_the_plugin_fills_a_new_directory_once(tmp_path: Path) -> None:
    """start() seeds a new directory, continues a used one, and hands out options that log in."""
    plugin = load(EmulatorPlugin, "salesforce")
    emulator = plugin.start(tmp_path, 20, 1, 0, 0.0, None)
    options = dict(emulator.source_options)
    assert set(options) == {"type", "login_url", "client_id", "client_secret", "ca_file"}
    assert emulator.ca_file == tmp_path / options["ca_file"]
    secret = (tmp_path / str(options["client_secret"]).removeprefix("file:")).read_text()
    form = {"grant_type": "client_credentials", "client_id": options["client_id"], "client_secret": secret}
    session = _session(emulator.ca_file, "none")
    token = session.post(f"{emulator.url}/services/oauth2/token", data=form, timeout=10).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    query = {"q": "SELECT COUNT() FROM ContentDocument"}
    count = session.get(f"{emulator.url}/services/data/v66.0/query", params=query, timeout=10).json()["totalSize"]
    assert count > 0
    session.close()
    emulator.close()
    again = plugin.start(tmp_path, 500, 2, 0, 0.0, None)
    session = _session(again.ca_file, token)
    assert session.get(f"{again.url}/services/data/v66.0/query", params=query, timeout=10).json()["totalSize"] == count
    state = session.get(f"{again.url}/_emulator/state", timeout=10).json()
    assert state["ContentDocument"]["live"] >= count
    assert json.dumps(state)
    session.close()
    again.close()
