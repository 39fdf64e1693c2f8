"""One emulator for all tests of this folder, brought back to its first state after each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from offloader_connectors.salesforce.emulator.emulator import SalesforceEmulator
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.emulator.org import FileIds, FileParent, Org

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Crm:
    """An emulator with a logged-in session and short cuts."""

    def __init__(self, emulator: SalesforceEmulator) -> None:
        self.emulator = emulator
        self.org = emulator.org
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(emulator.ca_file)
        self.base = f"{emulator.url}/services/data/v66.0"
        self.login()

    def token(self, **form: str) -> requests.Response:
        return self.session.post(f"{self.emulator.url}/services/oauth2/token", data=form)

    def login(self, username: str | None = None) -> str:
        """Use a session of this user (the integration user if None) from now on."""
        user = self.org.integration_user
        if username:
            user = next(str(row["Id"]) for row in self.org.rows("User") if row["Username"] == username)
        token = self.emulator.app.auth.open_session(user)
        self.session.headers["Authorization"] = f"Bearer {token}"
        return user

    def as_user(self, *permissions: str, username: str = "u@example.com", external: bool = False) -> str:
        self.org.user(username=username, permissions=permissions, external=external)
        return self.login(username)

    def request(self, method: str, path: str, **keys: Any) -> requests.Response:
        url = path if path.startswith("https:") else self.base + path
        if path.startswith("/services/"):
            url = self.emulator.url + path
        return self.session.request(method, url, timeout=30, **keys)

    def get(self, path: str, **keys: Any) -> requests.Response:
        return self.request("GET", path, **keys)

    def query(self, text: str, word: str = "query", **headers: str) -> requests.Response:
        return self.get(f"/{word}", params={"q": text}, headers=headers)

    def rows(self, text: str, word: str = "query") -> list[dict[str, Any]]:
        answer = self.query(text, word)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["records"]
        for row in rows:
            row.pop("attributes")
        return rows

    def error(self, answer: requests.Response) -> tuple[int, str, str]:
        """Status, code and message of a single error."""
        (error,) = answer.json()
        return answer.status_code, error["errorCode"], error["message"]

    def account(self, **fields: Any) -> str:
        return self.org.insert("Account", {"Name": "Acme", **fields})

    def file(self, *parents: str, body: Any = b"bytes", owner: str | None = None, **extra: Any) -> FileIds:
        return self.org.add_file(
            title=extra.pop("title", "contract"),
            path_on_client=extra.pop("path", "contract.pdf"),
            bodies=[body] if not isinstance(body, list) else body,
            owner=owner or self.org.integration_user,
            parents=[FileParent(parent) for parent in parents],
            created=NOON - timedelta(days=400),
            extra=extra,
        )

    def options(self, **changes: Any) -> None:
        self.org.options = self.org.options.changed(changes)

    def composite(self, *requests_: dict[str, Any], all_or_none: bool = False) -> list[dict[str, Any]]:
        body = {"allOrNone": all_or_none, "compositeRequest": list(requests_)}
        answer = self.request("POST", "/composite", json=body)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["compositeResponse"]
        return found


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SalesforceEmulator]:
    org = Org(tmp_path_factory.mktemp("org"), now=lambda: NOON, options=OrgOptions())
    org.store.snapshot("initial")
    emulator = SalesforceEmulator(org)
    yield emulator
    emulator.close()


@pytest.fixture
def crm(running: SalesforceEmulator) -> Iterator[Crm]:
    crm = Crm(running)
    yield crm
    crm.session.close()
    running.org.shift = timedelta()
    running.latency_ms = 0
    running.faults.clear()
    running.counters.clear()
    running.app.auth.run_as = "integration@offloader.example"
    running.app.reset()


@pytest.fixture
def directory(running: SalesforceEmulator) -> Path:
    return running.org.directory
