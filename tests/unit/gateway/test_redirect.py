"""Sending a browser to the store itself, by a link that soon ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from offloader.gateway.app import make_app
from offloader.gateway.login import HeaderLogin
from offloader.ports import StoreCapabilities
from tests.unit.gateway.conftest import LINK_ID, SECRET, Bench, Shelf

ADDRESS = "https://bucket.example.com/object?signature=secret"


class Presigning(Shelf):
    """A store that makes links."""

    asked: tuple[int, str, str] | None = None

    def presign(self, key: str, *, seconds: int, disposition: str, mime: str) -> str:
        self.asked = (seconds, disposition, mime)
        return ADDRESS


async def _get(bench: Bench, seconds: int | None, user: str) -> httpx.Response:
    app = make_app(
        links=bench,
        sources={"crm": bench.source},
        stores={"memory": bench.store},
        login=HeaderLogin(SECRET),
        redirect_seconds=seconds,
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        headers = {"X-Forwarded-User": user, "X-Proxy-Secret": SECRET}
        return await client.get(f"/d/{LINK_ID}", headers=headers)


@pytest.fixture
def presigning(bench: Bench) -> Presigning:
    store = Presigning("memory")
    store.capabilities = StoreCapabilities(presign=True)
    bench.store = store
    bench.move(b"contract", name='a"\r\nb.pdf')
    return store


def ask(bench: Bench, seconds: int | None, user: str = "anna") -> Any:
    import anyio  # noqa: PLC0415

    return anyio.run(_get, bench, seconds, user)


def test_a_permitted_user_is_sent_to_the_object(bench: Bench, presigning: Presigning) -> None:
    """The answer leads to the object for a few seconds, under a tame name, and must not be kept by anybody."""
    answer = ask(bench, 5)
    assert (answer.status_code, answer.headers["Location"]) == (302, ADDRESS)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.content == b""
    assert presigning.asked is not None
    seconds, disposition, mime = presigning.asked
    assert (seconds, mime) == (5, "application/pdf")
    assert disposition.startswith("attachment; filename=")
    assert "\r" not in disposition


def test_who_may_not_read_gets_no_address(bench: Bench, presigning: Presigning) -> None:
    """A user without access is told what everybody without access is told, and no address is made."""
    assert ask(bench, 5, "boris").status_code == 404
    assert presigning.asked is None


def test_without_the_setting_bytes_go_through_the_gateway(bench: Bench, presigning: Presigning) -> None:
    """Redirecting is off unless it is asked for."""
    assert (ask(bench, None).content, presigning.asked) == (b"contract", None)


def test_a_store_without_links_is_read(bench: Bench, presigning: Presigning) -> None:
    """Where the store makes no links, the gateway reads."""
    presigning.capabilities = replace(presigning.capabilities, presign=False)
    assert ask(bench, 5).content == b"contract"
