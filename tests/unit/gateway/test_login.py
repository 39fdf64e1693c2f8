from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from starlette.requests import Request

from offloader.errors import ConfigError
from offloader.gateway.login import HeaderLogin, Identity, Login, TokenLogin

TOKEN = "4f9c1b7e0d2a45c6"


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw})


def asked(login: Login, *headers: tuple[str, str]) -> str | None:
    identity = login.identify(request(*headers))
    return identity.user if identity else None


def test_a_proxy_with_the_secret_is_believed() -> None:
    """The user's header counts beside the right secret, in UTF-8."""
    login = HeaderLogin("s3cret")
    proof = ("X-Proxy-Secret", "s3cret")

    assert asked(login, proof, ("X-Forwarded-User", "anna@example.com")) == "anna@example.com"
    assert asked(login, proof, ("X-Forwarded-User", " Jürgen ")) == "Jürgen"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Forwarded-User", "anna")],
        [("X-Proxy-Secret", "s3cret")],
        [("X-Proxy-Secret", "s3cret"), ("X-Forwarded-User", "")],
        [("X-Proxy-Secret", "s3cret"), ("X-Forwarded-User", "  ")],
        [("X-Proxy-Secret", "s3cret!"), ("X-Forwarded-User", "anna")],
        [("X-Proxy-Secret", ""), ("X-Forwarded-User", "anna")],
        [("X-Proxy-Secret", "s3cret"), ("X-Forwarded-User", "anna"), ("X-Forwarded-User", "boris")],
        [("X-Proxy-Secret", "s3cret"), ("X-Proxy-Secret", "s3cret"), ("X-Forwarded-User", "anna")],
        [("X-Proxy-Secret", "s3cret"), ("X-Forwarded-User", "an\tna")],
        [("X-Proxy-Secret", "s3cret"), ("X-Forwarded-User", "a" * 1000)],
    ],
)
def test_any_other_header_is_nobody(headers: list[tuple[str, str]]) -> None:
    """Without the secret, with a wrong one, without one clear user, or with a header twice, nobody is known."""
    assert asked(HeaderLogin("s3cret"), *headers) is None


def test_a_user_that_is_no_text_is_nobody() -> None:
    """Bytes that are no UTF-8 name nobody."""
    headers = [(b"x-proxy-secret", b"s"), (b"x-forwarded-user", b"\xff\xfe")]
    broken = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})

    assert HeaderLogin("s").identify(broken) is None


def test_an_empty_secret_is_refused() -> None:
    """A gateway without a secret would believe everybody."""
    with pytest.raises(ConfigError):
        HeaderLogin("")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    path.write_text(f"# who\n\n{digest} anna@example.com\n", encoding="utf-8")
    return path


def test_a_known_token(tokens: Path) -> None:
    """A bearer token whose hash stands in the file is its user."""
    login = TokenLogin.of_file(tokens)

    assert login.identify(request(("Authorization", f"Bearer {TOKEN}"))) == Identity("anna@example.com")
    assert asked(login, ("Authorization", f"bearer  {TOKEN}")) == "anna@example.com"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", TOKEN, hashlib.sha256(TOKEN.encode()).hexdigest()]
)
def test_any_other_token_is_nobody(tokens: Path, header: str) -> None:
    """A wrong token, another scheme, or the hash itself opens nothing."""
    assert asked(TokenLogin.of_file(tokens), ("Authorization", header)) is None


@pytest.mark.parametrize("line", ["secret-token anna", f"{'0' * 64}", f"{'0' * 64} a\n{'0' * 64} b", f"{'G' * 64} a"])
def test_a_bad_token_file_is_named_but_not_quoted(tmp_path: Path, line: str) -> None:
    """A bad line is named by file and number, and never repeated: it may be a token."""
    path = tmp_path / "tokens"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tokens line \d") as caught:
        TokenLogin.of_file(path)

    assert "secret-token" not in str(caught.value)


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    """A token file that cannot be read is an error of the configuration."""
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        TokenLogin.of_file(tmp_path / "none")
