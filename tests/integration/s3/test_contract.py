"""The S3 store keeps the store contract on every server; what a server does not do is in its `gaps`."""

from __future__ import annotations

from typing import Any

import pytest

from offloader.ports import Store
from offloader.testing import EPOCH
from offloader.testing.store_contract import StoreContract
from offloader_connectors.s3.store import S3Store
from tests.integration.s3.servers import Server
from tests.integration.s3.stores import answer, open_clients, open_store


class S3Contract(StoreContract):
    """`server` is named by each class; where it has Object Lock, the bucket has it and the store declares it."""

    @pytest.fixture
    def server(self) -> Server:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def place(self, server: Server) -> dict[str, Any]:
        self._server = server
        locks: dict[str, Any] = {"object_lock": {}} if server.locks else {}
        self._place = server.place(locked=server.locks) | locks
        return self._place

    @pytest.fixture
    def store(self, server: Server, place: dict[str, Any]) -> Store:
        return open_store(server, **place)

    @pytest.fixture
    def full_store(self, server: Server, place: dict[str, Any]) -> Store:
        """None of the servers has a quota, so the answer of one that has stands in before large bodies are sent."""
        clients = open_clients(server, **place)

        def refuse(request: Any, **_: Any) -> Any:
            return answer(507, "InsufficientStorage") if int(request.headers["Content-Length"]) > 500_000 else None

        clients.s3.meta.events.register("before-send.s3.PutObject", refuse)
        return S3Store("s3", clients, lambda: EPOCH)

    def lock(self, store: Store, key: str) -> None:
        self._server.client().put_object_legal_hold(
            Bucket=self._place["bucket"], Key=self._place["prefix"] + key, LegalHold={"Status": "ON"}
        )


class TestMinistack(S3Contract):
    """Locks, versions, regions: as AWS."""

    @pytest.fixture
    def server(self, ministack: Server) -> Server:
        return ministack


class TestSeaweedfs(S3Contract):
    """A second opinion on signatures, checksums and conditions."""

    @pytest.fixture
    def server(self, seaweedfs: Server) -> Server:
        return seaweedfs


class TestRclone(S3Contract):
    """The server that lies about all of it."""

    @pytest.fixture
    def server(self, rclone: Server) -> Server:
        return rclone
