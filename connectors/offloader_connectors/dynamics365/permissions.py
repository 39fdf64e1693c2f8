"""What the application user may see, and what therefore stays hidden from a scan.

A list shows the rows that its user may read, and does not say that there are others. Only the depth of a privilege
tells: `Global` reaches all rows (Web API reference, RetrieveUserPrivileges; Power Platform admin guide, "Security
roles and privileges").
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from offloader.errors import AuthError, OffloaderError, Permanent
from offloader.model import Finding, Severity
from offloader_connectors.dynamics365 import odata, rows
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.places import MAILS, NOTES

#: privileges are asked for again after this time, in seconds
LASTING_S = 60.0
ACTIVITIES = frozenset({"activitypointer", "email", "phonecall", "task", "appointment", "letter", "fax"})
#: words for tables in the names of their privileges, where these are not the tables' own
_WORDS: Mapping[str, str] = {
    "annotation": "Note",
    "activitymimeattachment": "Activity",
    "salesorder": "Order",
    **dict.fromkeys(ACTIVITIES, "Activity"),
}
_GRANT = "Give the application user a security role with this privilege at the level of the organization."

UNKNOWN = Finding(
    Severity.WARNING,
    "privileges-unknown",
    "The environment does not tell the application user's own privileges.",
    "Let the application user read its own user record and security roles.",
    hides="documents that the application user may not see, if there are any",
)


@dataclass(frozen=True, slots=True)
class Privileges:
    """Depths by name in lower case; None where the environment does not tell."""

    depths: Mapping[str, str] | None

    def has(self, name: str) -> bool:
        return self.depths is None or name.lower() in self.depths

    def reads_all(self, table: str) -> bool:
        """Whether all rows of a table can be read; true where that cannot be told."""
        return self.depths is None or self.depths.get(privilege("Read", table).lower()) == "Global"


class Permissions:
    """Privileges of the application user, read beside a list query where possible. Thread-safe."""

    def __init__(self, api: Api, environment: Environment, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._environment = environment
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._privileges = Privileges(None)

    def now(self) -> Privileges:
        """Privileges, read a minute ago at most."""
        if self._stale():
            self._keep(self._api.ask("privileges", self._path(None)))
        return self._privileges

    def beside(self, user_id: str | None, operation: str, path: str, prefer: Sequence[str]) -> Answer:
        """Answer to a list query; where privileges must be read, both come in one request.

        `user_id`: the application user as an earlier scan knew it; None: it is asked for.
        """
        relative = self._api.below(path)
        if not self._stale() or relative is None:
            return self._api.ask(operation, path, prefer=prefer)
        headers = {"Prefer": ",".join(prefer)} if prefer else {}
        listed, told = self._api.batch(
            "batch",
            [
                Part("GET", relative, headers=headers, operation=operation),
                Part("GET", self._path(user_id), operation="privileges"),
            ],
        )
        self._keep(told)
        error = listed.error()
        if error is not None and (isinstance(error, AuthError) or not isinstance(error, Permanent)):
            raise error
        return listed

    def _stale(self) -> bool:
        return self._monotonic() - self._read_at > LASTING_S

    def _path(self, user_id: str | None) -> str:
        user = user_id or self._environment.identity().user_id
        return f"{odata.record('systemusers', user)}/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"

    def _keep(self, answer: Answer) -> None:
        error = answer.error()
        if error is not None and not isinstance(error, Permanent):
            raise error
        with self._lock:
            self._privileges = Privileges(_depths(answer) if error is None else None)
            self._read_at = self._monotonic()


def privilege(right: str, table: str) -> str:
    """The name of the privilege for a right on a table's rows; capitals may differ."""
    return f"prv{right}{_WORDS.get(table, table)}"


def hidden(kind: str, privileges: Privileges, parents: Collection[str]) -> tuple[Finding, ...]:
    """What a scan of a kind cannot see. `parents`: tables of the environment whose documents may be moved."""
    if privileges.depths is None:
        return (UNKNOWN,)
    if kind == NOTES:
        return () if privileges.reads_all("annotation") else (_NOTES,)
    if kind == MAILS:
        return () if privileges.reads_all("activitymimeattachment") else (_MAILS,)
    tables = sorted(table for table in parents if not privileges.reads_all(table))
    return (_records(tables),) if tables else ()


def is_refusal(error: OffloaderError) -> bool:
    """Whether the application user lacks a privilege, rather than access to one row."""
    return getattr(error, "status", None) == 403 and not isinstance(error, AuthError)


_NOTES = Finding(
    Severity.WARNING,
    "notes-hidden",
    "The application user may not read all notes: prvReadNote at the level of the organization is missing.",
    _GRANT,
    hides="notes of other users or business units, with their files",
)
_MAILS = Finding(
    Severity.WARNING,
    "mails-hidden",
    "The application user may not read all activities: prvReadActivity at the level of the organization is missing.",
    _GRANT,
    hides="e-mails and appointments of other users or business units, with their attachments",
)


def _records(tables: Sequence[str]) -> Finding:
    names = ", ".join(tables)
    return Finding(
        Severity.WARNING,
        "records-hidden",
        f"The application user may not read all records of {names}.",
        "Give the application user a security role that reads these tables at the level of the organization.",
        hides="files and images in columns of other users' records, and signals of these records",
    )


def _depths(answer: Answer) -> Mapping[str, str] | None:
    listed = answer.record().get("RolePrivileges")
    if not isinstance(listed, list):
        return None
    found: dict[str, str] = {}
    for each in listed:
        name = rows.optional(each, "PrivilegeName") if isinstance(each, Mapping) else None
        if name is not None:
            depth = rows.optional(each, "Depth") or ""
            found[name.lower()] = "Global" if found.get(name.lower()) == "Global" else depth
    return found or None
