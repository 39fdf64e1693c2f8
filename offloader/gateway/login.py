"""Who is asking: a login turns a request into an identity, or into none."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.requests import Request

from offloader.errors import ConfigError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_USER = 320


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as the CRM knows them: user id or user name."""

    user: str


class Login(Protocol):
    """Says who sends a request. Makes no call over the network."""

    #: what a 401 answers in WWW-Authenticate
    challenge: str

    def identify(self, request: Request) -> Identity | None:
        """Return who is asking, None if nobody can tell."""


class HeaderLogin:
    """Believes a reverse proxy, which logs users in and names them in a header.

    The header counts only beside a shared secret in a second one, so that nobody else can send it. A header that
    comes twice counts as none: somebody added one of the two.
    """

    challenge = 'Forwarded realm="offloader"'

    def __init__(
        self,
        secret: str,
        *,
        user_header: str = "X-Forwarded-User",
        secret_header: str = "X-Proxy-Secret",  # noqa: S107  (the header's name)
    ) -> None:
        if not secret:
            raise ConfigError("the gateway's proxy secret must not be empty")
        self._secret = hashlib.sha256(secret.encode()).digest()
        self._user_header = user_header
        self._secret_header = secret_header

    def identify(self, request: Request) -> Identity | None:
        secret = _only(request, self._secret_header)
        user = _only(request, self._user_header)
        given = hashlib.sha256((secret or "").encode("latin-1")).digest()
        if not hmac.compare_digest(given, self._secret) or not user:
            return None
        return _identity(user)


class TokenLogin:
    """Knows bearer tokens by their SHA-256 (lower-case hex). Tokens must be random, of 128 bits or more."""

    challenge = 'Bearer realm="offloader"'

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {bytes.fromhex(digest): user for digest, user in users.items()}

    @classmethod
    def of_file(cls, path: Path) -> TokenLogin:
        """Read lines of a token's SHA-256, a space, and the user; `#` begins a comment line.

        Raises ConfigError naming file and line, never what stands there.
        """
        users: dict[str, str] = {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token file {path} cannot be read: {error.__class__.__name__}") from error
        for number, line in enumerate(lines, 1):
            digest, _, user = line.strip().partition(" ")
            if not digest or digest.startswith("#"):
                continue
            if not _SHA256.fullmatch(digest) or not user.strip() or digest in users:
                raise ConfigError(
                    f"{path} line {number}: must be a SHA-256 in lower-case hex, not yet used, and a user"
                )
            users[digest] = user.strip()
        return cls(users)

    def identify(self, request: Request) -> Identity | None:
        scheme, _, token = (_only(request, "Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        given = hashlib.sha256(token.strip().encode("latin-1")).digest()
        user = None
        for digest, name in self._users.items():
            if hmac.compare_digest(digest, given):
                user = name
        return Identity(user) if user else None


def _only(request: Request, header: str) -> str | None:
    values = request.headers.getlist(header)
    return values[0] if len(values) == 1 else None


def _identity(user: str) -> Identity | None:
    """Headers come as Latin-1; a user name in them is UTF-8."""
    try:
        name = user.encode("latin-1").decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    return Identity(name) if name and name.isprintable() and len(name) <= _LONGEST_USER else None
