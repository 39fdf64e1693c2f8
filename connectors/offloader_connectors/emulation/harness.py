"""The ASGI application around an emulated vendor: counting, latency, faults and the admin calls.

Admin calls take no login and are not counted:

| call | does |
| --- | --- |
| `GET /_emulator/health` | `{"ok": true}` |
| `GET /_emulator/requests` | `{"outer": {operation: calls}, "inner": {…}, "total": n}`; inner = inside batches |
| `POST /_emulator/requests/reset` | counters to nothing |
| `GET`, `PUT /_emulator/faults` | the fault script (see `faults`) |
| `GET`, `PUT /_emulator/latency` | `{"ms": 100}` for every call |
| `GET /_emulator/state` | the vendor's counts by object |
| `POST /_emulator/snapshot`, `POST /_emulator/restore` | `{"name": "…"}` saves or brings back the whole state |
| `POST /_emulator/reset` | back to the state after seeding; faults and counters cleared |

The vendor may add calls of its own below `/_emulator/`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from email.utils import format_datetime
from typing import Any, Protocol

from offloader_connectors.emulation.blobs import Blobs
from offloader_connectors.emulation.faults import Faults, Rule
from offloader_connectors.emulation.multipart import read_multipart
from offloader_connectors.emulation.wire import Answer, Request, parse_query, zipped

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_GZIP_FROM = 1024
_log = logging.getLogger("offloader.emulator")


class BodyReader(Protocol):
    """Takes a body in chunks."""

    def write(self, chunk: bytes) -> None:
        """Raises ValueError for a body that cannot be read."""

    def done(self, request: Request) -> None:
        """The body was whole: give it to its request. Raises ValueError."""

    def discard(self) -> None:
        """Leave nothing behind of a body that never became whole."""


class Vendor(Protocol):
    """The emulated system. Called on the server's thread only, one call at a time."""

    blobs: Blobs

    def now(self) -> Any: ...

    def operation(self, request: Request) -> str:
        """The stable name under which a call is counted."""

    def reader(self, request: Request, operation: str) -> BodyReader | None:
        """What takes the body of a call as it arrives; None: it is small, or a multipart form."""

    def answer(self, request: Request, operation: str, rules: Sequence[Rule]) -> Answer:
        """Carry out a call. Never raises for anything that a client sent."""

    def fault(self, status: int, operation: str) -> Answer:
        """The answer that the real system usually gives with this status."""

    def edit(self, change: Mapping[str, Any], subjects: Sequence[str]) -> None:
        """Somebody else's change. `subjects` are the records that the call was about."""

    def admin(self, request: Request) -> Answer | None:
        """A call below `/_emulator/` of the vendor's own; None if there is no such call."""

    def state(self) -> Mapping[str, Any]: ...

    def snapshot(self, name: str) -> None: ...

    def restore(self, name: str) -> None:
        """Raises FileNotFoundError."""

    def reset(self) -> None: ...


class Counters:
    """Calls by operation; those inside batches apart."""

    def __init__(self) -> None:
        self.outer: Counter[str] = Counter()
        self.inner: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return sum(self.outer.values())

    def clear(self) -> None:
        self.outer.clear()
        self.inner.clear()


class Harness:
    """The ASGI application. `latency_ms` is waited before each call; waits of several calls overlap."""

    def __init__(self, *, latency_ms: float = 0.0) -> None:
        self.faults = Faults()
        self.counters = Counters()
        self.latency_ms = latency_ms
        self.vendor: Vendor
        #: start of every call under way, in seconds of the loop's clock
        self.running: dict[int, float] = {}
        #: port of every call under way
        self.ports: dict[int, int] = {}
        self._serial = 0

    def running_longer_than(self, seconds: float) -> int:
        now = asyncio.get_running_loop().time()
        return sum(1 for start in self.running.values() if now - start >= seconds)

    def running_at(self, port: int) -> int:
        """Calls under way that came in by a port."""
        return sum(1 for each in self.ports.values() if each == port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = _request(scope)
        if request.path.startswith("/_emulator/"):
            request.body = await _whole_body(receive)
            await _send(send, request, self._admin(request), self.vendor)
            return
        self._serial += 1
        serial = self._serial
        self.running[serial] = asyncio.get_running_loop().time()
        self.ports[serial] = request.port
        try:
            await self._serve(scope, receive, send, request)
        finally:
            del self.running[serial], self.ports[serial]

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request: Request) -> None:
        operation = self.vendor.operation(request)
        self.counters.outer[operation] += 1
        rules = self.faults.hit(operation)
        if self.latency_ms:
            await asyncio.sleep(self.latency_ms / 1000)
        for rule in rules:
            if rule.do == "delay":
                await asyncio.sleep(rule.seconds)
        if any(rule.do == "drop_before" for rule in rules):
            await _cut(scope)
            return
        answer = await self._carry_out(receive, request, operation, rules)
        effects = [*rules, *answer.effects]
        for rule in answer.effects:
            if rule.do == "delay":
                await asyncio.sleep(rule.seconds)
        self.edit(rules, answer.subjects, before=False)
        if any(rule.do in {"drop_after_commit", "drop_before"} for rule in effects):
            await _cut(scope)
            return
        await self._respond(scope, send, request, answer, effects)

    async def _carry_out(self, receive: Receive, request: Request, operation: str, rules: Sequence[Rule]) -> Answer:
        try:
            await self._read(receive, request, operation)
        except ValueError:
            return self.vendor.fault(400, operation)
        self.edit(rules, (), before=True)
        refused = self.refused(rules, operation)
        if refused is not None:
            return refused
        try:
            return self.vendor.answer(request, operation, rules)
        except Exception:  # noqa: BLE001 - the worker's top: an own mistake must not look like a cut connection
            _log.exception("the emulator failed at %s", operation)
            return self.vendor.fault(500, operation)

    async def _read(self, receive: Receive, request: Request, operation: str) -> None:
        content_type = request.headers.get("content-type", "")
        reader = self.vendor.reader(request, operation)
        if reader is not None:
            try:
                async for chunk in _chunks(receive):
                    reader.write(chunk)
                reader.done(request)
            finally:
                reader.discard()
        elif content_type.lower().startswith("multipart/"):
            request.parts = await read_multipart(content_type, _chunks(receive), self.vendor.blobs)
        else:
            request.body = await _whole_body(receive)

    def refused(self, rules: Sequence[Rule], operation: str) -> Answer | None:
        """The scripted answer instead of the act, if a rule says so."""
        for rule in rules:
            if rule.do == "status":
                answer = self.vendor.fault(rule.status, operation)
                if rule.body is not None:
                    raw = isinstance(rule.body, str)
                    answer.body, answer.data = (rule.body.encode(), None) if raw else (None, rule.body)
                answer.status = rule.status
                answer.headers.update(rule.headers)
                if rule.retry_after is not None:
                    answer.headers["Retry-After"] = str(rule.retry_after)
                answer.content_type = rule.headers.get("Content-Type", answer.content_type)
                return answer
        return None

    def edit(self, rules: Sequence[Rule], subjects: Sequence[str], *, before: bool) -> None:
        for rule in rules:
            if rule.do == "edit" and rule.before is before:
                self.vendor.edit(rule.change, subjects)

    async def _respond(
        self, scope: Scope, send: Send, request: Request, answer: Answer, effects: Sequence[Rule]
    ) -> None:
        for rule in effects:
            if rule.do == "truncate":
                await _send_short(scope, send, request, answer, self.vendor, clean=rule.clean)
                return
            if rule.do == "corrupt":
                _corrupt(answer, request)
        await _send(send, request, answer, self.vendor)

    def _admin(self, request: Request) -> Answer:
        name = request.path.removeprefix("/_emulator/").strip("/")
        try:
            answer = self._admin_call(request.method, name, request)
        except (ValueError, KeyError, TypeError) as error:
            return Answer(400, {"error": str(error)})
        except FileNotFoundError as error:
            return Answer(404, {"error": f"no snapshot {error}"})
        return answer or Answer(404, {"error": f"no call {request.method} {request.path}"})

    def _admin_call(self, method: str, name: str, request: Request) -> Answer | None:
        counters = self.counters
        reads: Mapping[str, Callable[[], Any]] = {
            "health": lambda: {"ok": True},
            "requests": lambda: {"outer": counters.outer, "inner": counters.inner, "total": counters.total},
            "faults": lambda: {"rules": [asdict(rule) for rule in self.faults.rules]},
            "latency": lambda: {"ms": self.latency_ms},
            "state": lambda: dict(self.vendor.state()),
        }
        acts: Mapping[tuple[str, str], Callable[[], None]] = {
            ("POST", "requests/reset"): counters.clear,
            ("PUT", "faults"): lambda: self.faults.load(request.json() or []),
            ("PUT", "latency"): lambda: setattr(self, "latency_ms", float(request.json()["ms"])),
            ("POST", "snapshot"): lambda: self.vendor.snapshot(_name(request)),
            ("POST", "restore"): lambda: self.vendor.restore(_name(request)),
            ("POST", "reset"): self._reset,
        }
        if method == "GET" and name in reads:
            return Answer(data=reads[name]())
        if (method, name) in acts:
            acts[method, name]()
            return Answer(data={"ok": True})
        return self.vendor.admin(request)

    def _reset(self) -> None:
        self.faults.clear()
        self.counters.clear()
        self.vendor.reset()


def _name(request: Request) -> str:
    name = str((request.json() or {}).get("name", "default"))
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("a snapshot's name has letters, digits, - and _ only")
    return name


def _request(scope: Scope) -> Request:
    raw = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    target = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    size = len(target) + len(query) + sum(len(name) + len(value) + 4 for name, value in raw)
    path = target.decode("latin-1").partition("?")[0]
    call = Request(scope["method"], path, parse_query(query.decode("latin-1")), headers, head_size=size)
    call.target_size, call.port = len(path) + len(query) + bool(query), scope["server"][1]
    return call


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ValueError("the client went away")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _whole_body(receive: Receive) -> bytes:
    return b"".join([chunk async for chunk in _chunks(receive)])


def _head(request: Request, answer: Answer, vendor: Vendor, length: int | None) -> MutableMapping[str, Any]:
    headers = {"Date": format_datetime(vendor.now(), usegmt=True), **answer.headers}
    if length != 0 or answer.body is not None:
        headers.setdefault("Content-Type", answer.content_type)
    if length is not None and answer.status not in {204, 304}:
        headers["Content-Length"] = str(length)
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": raw}


def _pretty(request: Request) -> bool:
    return "x-prettyprint" in request.headers


async def _send(send: Send, request: Request, answer: Answer, vendor: Vendor) -> None:
    if answer.stream is None:
        body = answer.payload(pretty=_pretty(request))
        if len(body) >= _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", "") and _is_text(answer):
            body = zipped(body)
            answer.headers["Content-Encoding"] = "gzip"
            answer.headers["Vary"] = "Accept-Encoding"
        await send(_head(request, answer, vendor, len(body)))
        await send({"type": "http.response.body", "body": body})
        return
    await send(_head(request, answer, vendor, answer.length if answer.announced else None))
    for chunk in answer.stream:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _is_text(answer: Answer) -> bool:
    return answer.content_type.startswith(("application/json", "text/"))


def _flipped(body: bytes) -> bytes:
    """The body with one bit changed in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


def _corrupt(answer: Answer, request: Request) -> None:
    if answer.stream is None:
        answer.body, answer.data = _flipped(answer.payload(pretty=_pretty(request))), None
        return
    whole = answer.stream

    def damaged() -> Any:
        for number, chunk in enumerate(whole):
            yield chunk if number else _flipped(chunk)

    answer.stream = damaged()


async def _send_short(
    scope: Scope, send: Send, request: Request, answer: Answer, vendor: Vendor, *, clean: bool
) -> None:
    """Send half of the body under a head that promises all of it, or (clean) one that promises nothing."""
    if answer.stream is None:
        body = answer.payload(pretty=_pretty(request))
        answer.stream, answer.length = iter([body]), len(body)
    length = answer.length or 0
    await send(_head(request, answer, vendor, None if clean or not answer.announced else length))
    left = length // 2
    for chunk in answer.stream:
        if left <= 0:
            break
        await send({"type": "http.response.body", "body": chunk[:left], "more_body": True})
        left -= len(chunk)
    if clean:
        await send({"type": "http.response.body", "body": b""})
    else:
        scope["extensions"]["offloader.transport"].close()
        await asyncio.sleep(0)


async def _cut(scope: Scope) -> None:
    scope["extensions"]["offloader.transport"].abort()
    while not scope["extensions"]["offloader.protocol"].cycle.disconnected:
        await asyncio.sleep(0)
