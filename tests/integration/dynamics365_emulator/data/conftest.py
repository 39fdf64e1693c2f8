"""An environment without a server, and short cuts to ask it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from offloader_connectors.dynamics365.emulator import query, rules
from offloader_connectors.dynamics365.emulator.caller import System
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.org import MailAttachment, Org
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.emulation.blobs import Body

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


@dataclass
class Plain:
    """Asks an environment as the integration user."""

    org: Org
    names: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    @property
    def me(self) -> System:
        return System(self.org.integration_user)

    def set(self, **options: Any) -> None:
        self.org.options = self.org.options.changed(options)

    # -- asking ------------------------------------------------------------------------------------

    def ask(self, table: str, prefer: str = "", **options: str) -> dict[str, Any]:
        given = {name if name.startswith(("@", "fetch")) else f"${name}": value for name, value in options.items()}
        return query.records(self.org, self.me, table, given, Prefer.parse(prefer))

    def values(self, table: str, column: str, prefer: str = "", **options: str) -> list[Any]:
        """The values of one column, in the order of the answer."""
        return [row[column] for row in self.ask(table, prefer, **options)["value"]]

    def follow(self, table: str, link: str, prefer: str = "") -> dict[str, Any]:
        """What a link of an answer leads to."""
        assert link.startswith(f"{self.org.root}{self.org.table(table).set_name}?")
        return query.records(self.org, self.me, table, options_of(link), Prefer.parse(prefer))

    def one(self, table: str, record: str, prefer: str = "", **options: str) -> dict[str, Any]:
        given = {f"${name}": value for name, value in options.items()}
        return query.record(self.org, self.me, table, record, given, Prefer.parse(prefer))

    # -- changing ----------------------------------------------------------------------------------

    def create(self, table: str, payload: Mapping[str, Any]) -> str:
        return rules.create(self.org, self.me, table, payload)

    def change(self, table: str, record: str, **payload: Any) -> None:
        rules.update(self.org, self.me, table, record, payload)

    def remove(self, table: str, record: str) -> None:
        rules.delete(self.org, self.me, table, record)

    # -- filling -----------------------------------------------------------------------------------

    def account(self, name: str = "Acme", **fields: Any) -> str:
        return self.org.insert("account", {"name": name, **fields})

    def note(self, body: Body = b"hello", *, parent: tuple[str, str] | None = None, name: str = "a.pdf") -> str:
        owner = self.org.integration_user
        return self.org.add_note(parent=parent, file_name=name, body=body, owner=owner, created=NOON)

    def mail(self, **fields: Any) -> str:
        return self.org.insert("email", {"subject": f"mail {next(self.names)}", **fields})

    def attach(self, mail: str, body: Body | None = b"hello", *, attachment: str | None = None) -> MailAttachment:
        return self.org.add_mail_attachment(mail=("email", mail), file_name="m.pdf", body=body, attachment=attachment)

    def bytes_of(self, table: str, record: str) -> bytes | None:
        row = self.org.get(table, record)
        assert row is not None
        body = row.get("_documentbody") or row.get("_body")
        return b"".join(self.org.chunks(body)) if body else None


def options_of(link: str) -> dict[str, str]:
    """The query of an address as the server sees it."""
    return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))


def refusal(error: pytest.ExceptionInfo[DataverseError]) -> tuple[int, str]:
    return error.value.status, error.value.code


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    org = Org(tmp_path, now=lambda: NOON, options=OrgOptions())
    yield Plain(org)
    org.close()
