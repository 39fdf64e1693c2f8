"""What can go wrong, named by what the engine should do about it.

Connectors translate their vendor's answers into these in one place. Messages say what happened, to which
document, and what to do next; they never hold a secret or a pre-signed URL.
"""

from __future__ import annotations

from datetime import timedelta


class OffloaderError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Transient(OffloaderError):
    """The same call may succeed later.

    `maybe_done` is true when the answer was lost: the act may or may not have been carried out, so whoever
    tries again must look before acting.
    """

    def __init__(
        self, message: str | None = None, *, retry_after: timedelta | None = None, maybe_done: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_done = maybe_done


class Throttled(Transient):
    """The server asks for fewer or slower calls."""


class Exhausted(OffloaderError):
    """A budget is used up: stop now, everything done so far stays done.

    `resume_after` says how long until calls are likely to be allowed again, when known.
    """

    def __init__(self, message: str | None = None, *, resume_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.resume_after = resume_after


class Interrupted(OffloaderError):
    """Somebody asked the program to stop; everything done so far stays done. Run again to go on."""


class Permanent(OffloaderError):
    """The same call will fail again."""


class Gone(Permanent):
    """The thing asked for no longer exists, or may not be seen."""


class Unsupported(Permanent):
    """The system cannot do this."""


class Conflict(Permanent):
    """Somebody else changed it in between: their change wins."""


class Refused(OffloaderError):
    """A rule, an approval, a limit or a lock forbids this."""

    def __init__(self, message: str | None = None, *, rule: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule


class Drift(Refused):
    """The world is no longer what the plan was made for."""


class IntegrityError(OffloaderError):
    """Bytes are not what they must be: a digest or a size does not match."""


class StoreFull(Permanent):
    """The store has no room left."""


class ConfigError(OffloaderError):
    """The configuration is wrong; the message names the place in it."""


class AuthError(Permanent):
    """The system refuses our login."""
