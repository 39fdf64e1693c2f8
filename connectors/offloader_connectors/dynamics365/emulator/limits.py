"""Service protection: requests, execution time and calls at once, per user in a sliding window
("Service protection API limits").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from math import ceil
from typing import Literal

from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.protocol import ProtocolOptions

Kind = Literal["requests", "time", "concurrency"]
_CODES: dict[Kind, str] = {"requests": "0x80072322", "time": "0x80072321", "concurrency": "0x80072326"}
#: seconds; observed after long abuse
_LONGEST_WAIT = 420
_CONCURRENCY_WAIT = 1


class Throttled(DataverseError):
    """429, with the seconds after which to try again."""

    def __init__(self, kind: Kind, message: str, wait: int) -> None:
        super().__init__(429, _CODES[kind], message)
        self.wait = wait


@dataclass(slots=True)
class _Usage:
    """What one user did: (when, requests, milliseconds), oldest first, with their sums."""

    spent: deque[tuple[datetime, int, float]] = field(default_factory=deque)
    requests: int = 0
    milliseconds: float = 0.0
    #: until when the user was told to wait, for how long, and how many calls came nevertheless
    blocked_until: datetime | None = None
    wait: int = 0
    ignored: int = 0

    def forget_before(self, moment: datetime) -> None:
        while self.spent and self.spent[0][0] <= moment:
            _, requests, milliseconds = self.spent.popleft()
            self.requests -= requests
            self.milliseconds -= milliseconds
        if not self.spent:
            self.requests, self.milliseconds = 0, 0.0


class Limits:
    """Counts and refuses."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.options = ProtocolOptions()
        self._users: dict[str, _Usage] = {}

    def clear(self) -> None:
        self._users.clear()

    def _usage(self, user: str) -> _Usage:
        usage = self._users.setdefault(user, _Usage())
        usage.forget_before(self._now() - timedelta(seconds=self.options.window_seconds))
        return usage

    def check(self, user: str, running: int) -> None:
        """Raises Throttled if the user is over a limit; `running` calls are under way."""
        usage, options = self._usage(user), self.options
        window = int(options.window_seconds)
        if running > options.concurrent:
            text = f"Number of concurrent requests exceeded the limit of {options.concurrent}."
            raise Throttled("concurrency", text, _CONCURRENCY_WAIT)
        if usage.requests >= options.requests:
            limit = options.requests
            text = f"Number of requests exceeded the limit of {limit} over time window of {window} seconds."
            raise self._refusal(usage, "requests", text)
        if usage.milliseconds >= options.execution_seconds * 1000:
            limit = int(options.execution_seconds * 1000)
            text = (
                f"Combined execution time of incoming requests exceeded limit of {limit:,}  milliseconds over time "
                f"window of {window} seconds. Decrease number of concurrent requests or reduce the duration of "
                "requests and try again later."
            )
            raise self._refusal(usage, "time", text)

    def _refusal(self, usage: _Usage, kind: Kind, text: str) -> Throttled:
        """The wait grows for a client that does not keep to it; calls that were under way are forgiven."""
        now = self._now()
        if usage.blocked_until is not None and now < usage.blocked_until:
            usage.ignored += 1
            if usage.ignored % self.options.parallelism == 0:
                usage.wait = min(_LONGEST_WAIT, usage.wait * 2)
        else:
            usage.ignored = 0
            free = usage.spent[0][0] + timedelta(seconds=self.options.window_seconds) if usage.spent else now
            usage.wait = max(1, min(_LONGEST_WAIT, ceil((free - now).total_seconds())))
        usage.blocked_until = now + timedelta(seconds=usage.wait)
        return Throttled(kind, text, usage.wait)

    def spend(self, user: str, requests: int, milliseconds: float) -> None:
        usage = self._usage(user)
        usage.spent.append((self._now(), requests, milliseconds))
        usage.requests += requests
        usage.milliseconds += milliseconds

    def cost(self, operations: int, size: int) -> float:
        """Milliseconds that so many operations take with so many bytes in and out."""
        return operations * self.options.operation_ms + size / (1 << 20) * self.options.mebibyte_ms

    def headers(self, user: str) -> dict[str, str]:
        """What is left, as every answer tells it."""
        usage, options = self._usage(user), self.options
        seconds = max(0.0, options.execution_seconds - usage.milliseconds / 1000)
        return {
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, options.requests - usage.requests)),
            "x-ms-ratelimit-time-remaining-xrm-requests": f"{seconds:,.2f}",
            "x-ms-dop-hint": str(options.parallelism),
        }

    def retry_after(self, wait: int) -> str:
        if self.options.retry_after == "date":
            return format_datetime(self._now() + timedelta(seconds=wait), usegmt=True)
        return str(wait)
