"""Fetching bodies from Azure Storage by the addresses that `GetFileSasUrl` gives out.

Such an address is good for an hour and opens for anybody, so it is a secret: it goes to hosts that the operator
allows, without our credentials, never through a redirect, and never into an error (Web API reference, GetFileSasUrl).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from urllib3.exceptions import ConnectTimeoutError, HTTPError

from offloader.errors import IntegrityError, Permanent, Transient
from offloader_connectors.downloads import Connections, Download
from offloader_connectors.dynamics365.scanner import Body

CHUNK = 256 * 1024
_HEADERS = {"Accept-Encoding": "identity", "Accept": "*/*"}


class NotLetIn(Permanent):
    """The storage does not accept the address: it has expired, or our network is not welcome."""


class NotReached(Transient):
    """The storage cannot be reached from here."""


class Storage:
    """Opens bodies. Thread-safe."""

    def __init__(self, connections: Connections, hosts: Sequence[str], count: Callable[[str], None]) -> None:
        self._connections = connections
        self._hosts = tuple(host.lower() for host in hosts)
        self._count = count

    def open(self, address: str, size: int, what: str) -> Body:
        """Stream a body of that size. Raises NotLetIn, NotReached, Permanent for an address that may not be used."""
        parts = urlsplit(address)
        self._check(parts.scheme, parts.hostname, parts.username, what)
        self._count("storage.get")
        try:
            answer = self._connections.get(
                f"https://{parts.netloc}", parts.path + (f"?{parts.query}" if parts.query else ""), _HEADERS
            )
        except ConnectTimeoutError:
            raise NotReached(f"{what}: {parts.hostname} cannot be reached in time") from None
        except HTTPError as error:
            raise NotReached(f"{what}: {parts.hostname} cannot be reached ({error.__class__.__name__})") from None
        if answer.status == 200 and answer.headers.get("Content-Encoding", "identity") == "identity":
            return Body(_chunks(answer, size, what), answer.close)
        answer.close()
        raise _refusal(answer.status, answer.headers, what)

    def _check(self, scheme: str, host: str | None, user: str | None, what: str) -> None:
        name = (host or "").lower().rstrip(".")
        allowed = any(name.endswith(each) if each.startswith(".") else name == each for each in self._hosts)
        if scheme != "https" or user is not None or not allowed:
            raise Permanent(
                f"{what}: the environment offers it from {name or 'nowhere'}, which is none of the storage_hosts"
            )


def _refusal(status: int, headers: Mapping[str, str], what: str) -> Permanent | Transient:
    if status in (401, 403):
        return NotLetIn(f"{what}: the storage refuses the address ({status})")
    if status in (408, 429) or status >= 500:
        return Transient(f"{what}: the storage answers {status}")
    if status == 200:
        return Permanent(f"{what}: the storage encodes bodies ({headers.get('Content-Encoding')!r})")
    return Permanent(f"{what}: the storage answers {status}")


def _chunks(answer: Download, size: int, what: str) -> Iterator[bytes]:
    total = 0
    try:
        for chunk in answer.stream(CHUNK, decode_content=False):
            total += len(chunk)
            if total > size:
                break
            yield chunk
    except HTTPError as error:
        raise Transient(f"{what}: the body broke off ({error.__class__.__name__})") from None
    finally:
        answer.release_conn()
    if total != size:
        raise IntegrityError(f"{what}: the environment says {size} bytes, the storage sent {total} or more")
