"""Connections for downloads: the standard library's client, at half the CPU that a pool of urllib3 takes for a GET.

It goes by urllib3's rules and raises its errors: nothing is retried or redirected, no proxy and no environment is
used, and a body that ends before its Content-Length, or in the middle of a chunk, is an error.
"""

from __future__ import annotations

import http.client
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Protocol, cast
from urllib.parse import urlsplit

from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as ReadTimedOut
from urllib3.util import wait_for_read

#: connections kept open for the next download
_IDLE = 64


class Reply(Protocol):
    """What is used of an answer, of urllib3 as of this module."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def read(self, *, decode_content: bool) -> bytes: ...

    def stream(self, amt: int, decode_content: bool) -> Iterator[bytes]: ...

    def release_conn(self) -> None: ...

    def close(self) -> None: ...


class Connections:
    """Keep-alive connections, each used by one download at a time. Thread-safe."""

    def __init__(self, tls: ssl.SSLContext, connect_s: float, read_s: float) -> None:
        self._tls = tls
        self._connect_s = connect_s
        self._read_s = read_s
        self._idle: deque[tuple[str, http.client.HTTPSConnection]] = deque()

    def close(self) -> None:
        """Give up idle connections."""
        while taken := self._take():
            taken[1].close()

    def get(self, base_url: str, path: str, headers: Mapping[str, str]) -> Download:
        """Send a GET and read the head of the answer. Raises urllib3's HTTPError."""
        host = urlsplit(base_url).netloc
        connection = self._reusable(host) or self._connect(host)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _translated(error) from error
        return Download(self._idle, host, connection, response)

    def _take(self) -> tuple[str, http.client.HTTPSConnection] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _reusable(self, host: str) -> http.client.HTTPSConnection | None:
        """An idle connection that the server has not closed: then nothing waits to be read."""
        while taken := self._take():
            kept_for, connection = taken
            if kept_for == host and connection.sock is not None and not wait_for_read(connection.sock, timeout=0.0):
                return connection
            connection.close()
        return None

    def _connect(self, host: str) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(host, timeout=self._connect_s, context=self._tls)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            late = isinstance(error, TimeoutError)
            raise (ConnectTimeoutError("no connection in time") if late else _translated(error)) from error
        connection.sock.settimeout(self._read_s)
        return connection


class Download:
    """An answer whose body is still on its way. The bytes come as they were sent, never decoded."""

    def __init__(
        self,
        idle: deque[tuple[str, http.client.HTTPSConnection]],
        host: str,
        connection: http.client.HTTPSConnection,
        response: http.client.HTTPResponse,
    ) -> None:
        self._idle = idle
        self._host = host
        self._connection = connection
        self._response = response
        self._whole = False
        self.status = response.status

    @property
    def headers(self) -> Mapping[str, str]:
        # a message has no base class in common with a mapping, but it can be asked like one, in any case of letters
        return cast("Mapping[str, str]", self._response.headers)

    def read(self, *, decode_content: bool) -> bytes:
        return b"".join(self.stream(1 << 16, decode_content))

    def stream(self, amt: int, decode_content: bool) -> Iterator[bytes]:
        """Yield the body in chunks of that size. Raises urllib3's HTTPError when it is cut off."""
        response = self._response
        if response.length is None and not response.chunked and "Content-Length" in response.headers:
            raise ProtocolError("the Content-Length is no length")
        while True:
            try:
                chunk = response.read(amt)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _translated(error) from error
            if not chunk:
                break
            yield chunk
        if response.length:
            raise ProtocolError(f"{response.length} bytes are missing")
        self._whole = True

    def release_conn(self) -> None:
        """Keep the connection for the next download if this body was read to its end."""
        reusable = self._whole and not self._response.will_close and self._connection.sock is not None
        if reusable and len(self._idle) < _IDLE:
            self._idle.append((self._host, self._connection))
        else:
            self.close()

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def _translated(error: Exception) -> HTTPError:
    if isinstance(error, ssl.SSLError):
        return SSLError(error)
    if isinstance(error, TimeoutError):
        return ReadTimedOut("no bytes in time")
    return ProtocolError("the connection broke off", error)
