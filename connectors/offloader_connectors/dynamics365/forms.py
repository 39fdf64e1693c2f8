"""Which form a placeholder may have here: an internet shortcut, else a page, else a text."""

from __future__ import annotations

from offloader.errors import AuthError, Permanent
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.placeholder import FORMS, Form

ALL_BLOCKED = "the environment blocks placeholder files; allow url, html or txt files (setting blockedattachments)"


class Forms:
    """What the environment's settings allow, save what it has refused nevertheless. Thread-safe."""

    def __init__(self, environment: Environment, options: DynamicsOptions) -> None:
        self._environment = environment
        self._chosen = options.placeholder
        self._refused: set[Form] = set()

    def open(self) -> tuple[Form, ...]:
        """Forms to try, best first."""
        if self._chosen != "auto":
            return (self._chosen,)
        try:
            blocked = self._environment.settings().blocked_extensions
        except AuthError:
            raise
        except Permanent:
            # settings that may not be seen: what is blocked shows when it is tried
            blocked = frozenset()
        return tuple(form for form in FORMS if form not in blocked and form not in self._refused)

    def refuse(self, form: Form) -> None:
        """Remember that files of this form are blocked."""
        self._refused.add(form)
