"""One emulator for all tests of this folder, brought back to its first state after each."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from offloader_connectors.dynamics365.emulator.app import INITIAL
from offloader_connectors.dynamics365.emulator.emulator import DynamicsEmulator
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import MailAttachment, Org

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def part(method: str, url: str, body: str | None = None, **headers: str) -> str:
    """One operation of a batch, after its boundary."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if "content_id" in headers:
        lines.append(f"Content-ID: {headers.pop('content_id')}")
    lines += ["", f"{method} {url} HTTP/1.1"]
    if body is not None:
        lines.append("Content-Type: application/json")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body or ""])


def change_set(*parts: str) -> str:
    inner = "".join(f"--c\r\n{each}\r\n" for each in parts)
    return f"Content-Type: multipart/mixed; boundary=c\r\n\r\n{inner}--c--"


class Crm:
    """An emulator with a logged-in session and short cuts."""

    def __init__(self, emulator: DynamicsEmulator) -> None:
        self.emulator = emulator
        self.org = emulator.org
        self.session = self.anonymous()
        self.base = f"{emulator.url}/api/data/v9.2/"
        self.login()

    def anonymous(self) -> requests.Session:
        """A session that trusts the emulator and has no token."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.emulator.ca_file)
        return session

    def login(self, user: str | None = None) -> None:
        """Act as this user (the application if None) from now on."""
        self.session.headers["Authorization"] = f"Bearer {self.emulator.token(user)}"

    def as_user(self, *roles: str, username: str = "u@example.com", **keys: Any) -> str:
        user = self.org.user(username=username, roles=roles, **keys)
        self.login(user)
        return user

    def request(self, method: str, path: str, **keys: Any) -> requests.Response:
        url = path if path.startswith("https:") else self.base + path
        return self.session.request(method, url, timeout=30, **keys)

    def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> requests.Response:
        return self.request("GET", path, headers=headers, params=params)

    def post(self, path: str, body: Any, **headers: str) -> requests.Response:
        return self.request("POST", path, json=body, headers=headers)

    def patch(self, path: str, body: Any, **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("PATCH", path, json=body, headers=given)

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        answer = self.get(path, params=query)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["value"]
        return rows

    def error(self, answer: requests.Response) -> tuple[int, str, str]:
        """Status, code and message of an error."""
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["message"]

    def batch(self, *parts: str, **headers: str) -> requests.Response:
        body = "".join(f"--b\r\n{each}\r\n" for each in parts) + "--b--\r\n"
        given = {"Content-Type": "multipart/mixed; boundary=b", **headers}
        return self.request("POST", "$batch", data=body.encode(), headers=given)

    def account(self, **fields: Any) -> str:
        return self.org.insert("account", {"name": "Acme", **fields})

    def note(self, parent: str | None = None, body: Any = b"bytes", **keys: Any) -> str:
        return self.org.add_note(
            parent=("account", parent) if parent else None,
            file_name=keys.pop("file_name", "contract.pdf"),
            body=body,
            owner=keys.pop("owner", self.org.integration_user),
            created=NOON - timedelta(days=400),
            **keys,
        )

    def mail(self, **fields: Any) -> str:
        return self.org.insert("email", {"subject": "Hello", "statecode": 1, "statuscode": 3, **fields})

    def attachment(self, mail: str, body: Any = b"bytes", **keys: Any) -> MailAttachment:
        return self.org.add_mail_attachment(mail=("email", mail), file_name="a.pdf", body=body, **keys)

    def etag(self, table: str, key: str) -> str:
        row = self.org.get(table, key)
        assert row is not None
        return f'W/"{row["versionnumber"]}"'

    def options(self, **changes: Any) -> None:
        self.org.options = self.org.options.changed(changes)

    def protocol(self, **changes: Any) -> None:
        self.emulator.protocol = self.emulator.protocol.changed(changes)


def statuses(answer: requests.Response) -> Sequence[int]:
    """The statuses of the parts of a batch's answer."""
    return [int(line.split()[1]) for line in answer.text.splitlines() if line.startswith("HTTP/1.1 ")]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamicsEmulator]:
    org = Org(tmp_path_factory.mktemp("org"), now=lambda: NOON, options=OrgOptions())
    org.store.snapshot(INITIAL)
    emulator = DynamicsEmulator(org)
    yield emulator
    emulator.close()


@pytest.fixture
def crm(running: DynamicsEmulator) -> Iterator[Crm]:
    crm = Crm(running)
    yield crm
    crm.session.close()
    running.org.shift = timedelta()
    running.latency_ms = 0
    running.faults.clear()
    running.counters.clear()
    running.app.reset()


@pytest.fixture
def directory(running: DynamicsEmulator) -> Path:
    return running.org.directory
