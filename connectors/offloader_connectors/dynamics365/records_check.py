"""Saying before any purge what the application user lacks for it, and what that hides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from offloader.errors import AuthError, ConfigError, Exhausted, OffloaderError, Permanent, Transient
from offloader.model import Finding, Severity
from offloader_connectors.answers import harmless
from offloader_connectors.dynamics365 import permissions
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.permissions import Permissions
from offloader_connectors.dynamics365.records_types import Types

_ROLE = "Add it to the security role of the application user, at the level of the organization."
_CURRENT = "RetrieveCurrentOrganization(AccessType=@p1)?@p1=Microsoft.Dynamics.CRM.EndpointAccessType%27Default%27"
#: OrganizationType (Web API reference, enumeration OrganizationType) by kind of environment, by name and by number
_TYPES = {
    "production": {"Customer": 0, "Secondary": 4, "Default": 12},
    "sandbox": {"CustomerTest": 5, "CustomerFreeTest": 6},
    "preview": {"CustomerPreview": 7},
    "trial": {"TestDrive": 9, "EmailTrial": 11, "Trial": 14},
    "developer": {"Developer": 13},
    "teams": {"Teams": 15},
}


class RecordsChecker:
    """Reads privileges and definitions; changes nothing."""

    def __init__(self, api: Api, known: Environment, permitted: Permissions, types: Types, url: str) -> None:
        self._api = api
        self._environment = known
        self._permissions = permitted
        self._types = types
        self._url = url

    def identity(self) -> dict[str, str]:
        """Who this environment is. "environment" is "unknown" where it does not say."""
        who = self._api.get("whoami", "WhoAmI").record()
        answer = self._api.ask("organization", _CURRENT)
        detail = answer.record().get("Detail") if answer.ok else None
        kind = detail.get("OrganizationType") if isinstance(detail, dict) else None
        known = (name for name, members in _TYPES.items() if kind in members or kind in members.values())
        return {
            "organisation": str(who.get("OrganizationId", "")).lower(),
            "environment": next(known, "unknown") if kind is not None else "unknown",
            "address": self._url,
        }

    def check(self, types: Sequence[str], *, delete: bool) -> list[Finding]:
        """Name what is missing. Raises only Transient: everything else is a finding."""
        try:
            self._environment.identity()
            return [finding for type_name in types for finding in self._type(type_name, delete=delete)]
        except Transient:
            raise
        except (AuthError, ConfigError) as error:
            return [Finding(Severity.ERROR, "login", str(error), "Correct the source's login options.", "everything")]
        except (Permanent, Exhausted, OffloaderError) as error:
            return [Finding(Severity.ERROR, "environment", str(error), "Mend this, then check again.", "everything")]

    def _type(self, type_name: str, *, delete: bool) -> Iterator[Finding]:
        shown = harmless(type_name, 80)
        if type_name not in self._environment.tables():
            text = f"The environment has no table {shown}, or does not show it."
            yield Finding(Severity.ERROR, "no-table", text, "Give the table's logical name.", f"all of {shown}")
            return
        privileges = self._permissions.now()
        if privileges.depths is None:
            yield permissions.UNKNOWN
        read, gone = (permissions.privilege(right, type_name) for right in ("Read", "Delete"))
        if not privileges.reads_all(type_name):
            text = f"The application user may not read all records of {shown}: {read} is missing at that level."
            yield Finding(Severity.WARNING, "records-hidden", text, _ROLE, f"records of {shown} of other users")
        if delete and not privileges.has(gone):
            text = f"The application user lacks {gone}: no record of {shown} can be deleted."
            yield Finding(Severity.ERROR, "no-delete-privilege", text, _ROLE)
        yield from self._definition(type_name)

    def _definition(self, type_name: str) -> Iterator[Finding]:
        kind, shown = self._types.of(type_name), harmless(type_name, 80)
        secured = [column.name for column in kind.columns.values() if column.secured]
        if secured:
            text = (
                f"Columns of {shown} are secured and look empty to those who may not read them: {', '.join(secured)}."
            )
            remedy = "Let the application user read them by a column security profile."
            yield Finding(Severity.WARNING, "secured-columns", text, remedy, f"values of {', '.join(secured)}")
        if kind.automation is None:
            text = f"The environment does not say what a deletion of {shown} wakes."
            remedy = "Let the application user read plug-in steps, processes and callback registrations."
            yield Finding(Severity.WARNING, "automation-unknown", text, remedy)
        if kind.bin_days is None:
            text = f"{shown} has no recycle bin: what is deleted cannot be brought back by the environment."
            yield Finding(Severity.WARNING, "no-bin", text, "Switch on keeping of deleted records for the table.")
        else:
            text = f"Deleted records of {shown} stay in the recycle bin for {kind.bin_days} days, and take storage."
            yield Finding(Severity.OK, "bin", text)
