from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx
import pytest

from offloader.errors import OffloaderError
from offloader.gateway.app import make_app
from offloader.gateway.login import HeaderLogin
from offloader.ledger import Copy, Entry, VersionEntry
from offloader.model import Digest, Link, State
from offloader.ports import Access, LinkRequest, Status
from offloader.testing import MemorySource, MemoryStore

SECRET = "proxy-secret"
LINK_ID = "abcdefgh234567abcdefgh2345"


class Asked(MemorySource):
    """A source that counts the questions, and can fail or answer something else."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.failure: OffloaderError | None = None
        self.answers: Sequence[Access] | None = None

    def may_read(self, user: str, requests: Sequence[LinkRequest]) -> Sequence[Access]:
        self.asked.append(user)
        if self.failure is not None:
            raise self.failure
        return super().may_read(user, requests) if self.answers is None else self.answers


class Shelf(MemoryStore):
    """A store whose reads can fail at the start or on the way, and that knows which reads were ended."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.failure: OffloaderError | None = None
        self.breaks_after: int | None = None
        self.open_reads = 0

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if self.failure is not None and self.breaks_after is None:
            raise self.failure
        return self._pieces(super().read(key, offset=offset, length=length))

    def _pieces(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self.open_reads += 1
        try:
            for number, piece in enumerate(pieces):
                if self.breaks_after == number:
                    assert self.failure is not None
                    raise self.failure
                yield piece
        finally:
            self.open_reads -= 1


@dataclass
class Bench:
    """One moved document behind a gateway: `anna` may read it, `boris` may not."""

    source: Asked
    store: Shelf
    entries: dict[str, Entry] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)

    def find(self, link_id: str) -> Entry | None:
        self.looked_up.append(link_id)
        return self.entries.get(link_id)

    def move(self, *bodies: bytes, name: str = "report.pdf", state: State = State.DONE) -> Entry:
        """Move a document with these versions, as a run does, and note it under LINK_ID."""
        crm = self.source.crm
        account = crm.record("Account", country="DE")
        anna = next((id_ for id_, user in crm.users.items() if user == "anna"), None) or crm.user("anna")
        crm.grant(anna, account)
        ref = crm.document("File", *bodies, name=name, parents=[account])
        document = self.source.fetch([ref])[0]
        assert document is not None
        link = Link(LINK_ID, f"https://files.example.com/d/{LINK_ID}")
        (outcome,) = self.source.link([LinkRequest(document=document, link=link)])
        assert outcome.status is Status.DONE
        crm.delete(ref)
        versions = []
        for number, (version, data) in enumerate(zip(document.versions, bodies, strict=True), 1):
            key = f"documents/crm/{ref.id}/{number}"
            self.store.put(key, [data])
            copy = Copy(self.store.name, key, Digest.of(data), datetime(2026, 1, 1, tzinfo=UTC))
            versions.append(VersionEntry(number, version, state, (copy,)))
        entry = Entry(1, document, tuple(versions), link, outcome.link_ref)
        self.entries[LINK_ID] = entry
        return entry


Get = Callable[..., httpx.Response]


@pytest.fixture
def bench() -> Bench:
    made = Bench(Asked(), Shelf("memory"))
    made.source.crm.user("boris")
    return made


@pytest.fixture
def app(bench: Bench) -> Any:
    stores = {"memory": bench.store}
    return make_app(links=bench, sources={"crm": bench.source}, stores=stores, login=HeaderLogin(SECRET))


@pytest.fixture
def get(app: Any) -> Get:
    """Ask the gateway as a user, through the whole ASGI application, without a socket."""

    def ask(
        path: str = f"/d/{LINK_ID}", *, user: str | None = "anna", method: str = "GET", **headers: str
    ) -> httpx.Response:
        login = {} if user is None else {"X-Forwarded-User": user, "X-Proxy-Secret": SECRET}
        more = {name.replace("_", "-"): value for name, value in headers.items()}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="https://gateway") as client:
                return await client.request(method, path, headers={**login, **more})

        return anyio.run(send)

    return ask
