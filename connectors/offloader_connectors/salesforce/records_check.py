"""Saying before a purge what the running user may not read or delete, what that hides, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from offloader.errors import AuthError, ConfigError, OffloaderError
from offloader.model import Finding, Severity
from offloader.records import OnDelete
from offloader_connectors.salesforce import org
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.records_types import STAMP, Known, Types

_GIVE = "Give it to the running user in a permission set (Setup > Permission Sets)."


class RecordsChecker:
    """Reads permissions and metadata; changes nothing."""

    def __init__(self, api: Api, types: Types, facts: Org) -> None:
        self._api = api
        self._types = types
        self._org = facts

    def check(self, types: Sequence[str], *, delete: bool) -> list[Finding]:
        try:
            found = [*self._user(delete=delete)]
            for each in types:
                found += self._type(each, delete=delete)
        except AuthError as error:
            return [
                Finding(
                    Severity.ERROR, "login", str(error), remedy="Correct the source's login options, then check again."
                )
            ]
        except OffloaderError as error:
            return [Finding(Severity.ERROR, "check", str(error), remedy="Mend this, then check again.")]
        return found

    def _user(self, *, delete: bool) -> Iterator[Finding]:
        permissions = self._org.permissions()
        if permissions.get(org.VIEW_ALL_DATA):
            yield Finding(Severity.OK, "view-all-data", "The running user has View All Data.")
        else:
            yield Finding(
                Severity.WARNING,
                "no-view-all-data",
                "The running user lacks View All Data (or the org does not tell).",
                remedy=_GIVE,
                hides="records that are not shared with this user, and children of records that are",
            )
        if delete and permissions.get(org.MODIFY_ALL_DATA):
            yield Finding(Severity.OK, "modify-all-data", "The running user has Modify All Data.")
        elif delete:
            yield Finding(
                Severity.WARNING,
                "no-modify-all-data",
                "The running user lacks Modify All Data (or the org does not tell): records of other owners are "
                "refused when they are to be deleted.",
                remedy=_GIVE,
            )

    def _type(self, name: str, *, delete: bool) -> Iterator[Finding]:
        try:
            known = self._types.known(name)
        except ConfigError as error:
            yield Finding(
                Severity.ERROR,
                "no-type",
                str(error),
                remedy="Correct the rule, or give the running user Read on this object in a permission set.",
                hides=f"all records of {name!r}",
            )
            return
        if not known.queryable or STAMP not in known.columns:
            yield Finding(
                Severity.ERROR,
                "not-queryable",
                f"{known.name} cannot be queried with a {STAMP}, so its records cannot be purged safely.",
                remedy="Take it out of the purge rules.",
                hides=f"all records of {known.name}",
            )
        elif delete and not known.deletable:
            yield Finding(
                Severity.ERROR,
                "not-deletable",
                f"The running user may not delete records of {known.name}.",
                remedy="Give the running user Delete on this object in a permission set.",
            )
        else:
            yield Finding(
                Severity.OK,
                "type",
                f"{known.name}: {len(known.whole)} fields can be read. Fields that field-level security hides from the "
                "running user are not among them, and are in no archive.",
            )
        yield from self._hidden_children(known)

    def _hidden_children(self, known: Known) -> Iterator[Finding]:
        queryable = self._types.queryable()
        goes = [each.type for each in known.type.children if each.on_delete is OnDelete.CASCADE]
        hidden = sorted({each for each in goes if not queryable.get(each)})
        if hidden:
            yield Finding(
                Severity.WARNING,
                "children-hidden",
                f"Children that are deleted with {known.name} cannot be read: {', '.join(hidden)}. Such records are "
                "kept.",
                remedy="Give the running user Read on these objects in a permission set.",
                hides=f"children of {known.name}",
            )
