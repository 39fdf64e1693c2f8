"""Saying before any run what is missing, what that hides or prevents, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from offloader.errors import AuthError, ConfigError, OffloaderError
from offloader.model import Finding, Severity
from offloader_connectors.salesforce import documents, org, scan
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.signals import merged

_PERMISSION_SET = "Give it to the running user in a permission set (Setup > Permission Sets > System Permissions)."


class Checker:
    """Reads permissions, settings and limits; changes nothing."""

    def __init__(self, api: Api, facts: Org, options: SalesforceOptions) -> None:
        self._api = api
        self._org = facts
        self._options = options

    def check(self) -> list[Finding]:
        try:
            user = self._api.user_id
        except (AuthError, ConfigError) as error:
            return [
                Finding(
                    Severity.ERROR, "login", str(error), remedy="Correct the source's login options, then check again."
                )
            ]
        findings = [Finding(Severity.OK, "login", f"Logged in as user {user}.")]
        for part in (self._version, self._permissions, self._schema, self._limits):
            try:
                findings += part()
            except OffloaderError as error:
                return [*findings, Finding(Severity.ERROR, "check", str(error), remedy="Mend this, then check again.")]
        return findings

    def _version(self) -> Iterator[Finding]:
        """The list of versions is free: it does not count against the allocation."""
        found = self._api.versions()
        if self._options.api_version in found:
            yield Finding(Severity.OK, "api-version", f"The org speaks API version {self._options.api_version}.")
        else:
            newest = max(found, key=float, default="none")
            yield Finding(
                Severity.ERROR,
                "api-version",
                f"The org does not speak API version {self._options.api_version}; its newest is {newest}.",
                remedy="Set api_version to one that the org has, 59.0 at least.",
            )

    def _permissions(self) -> Iterator[Finding]:
        permissions = self._org.permissions()
        for name, missing in self._needed().items():
            granted = permissions.get(name)
            if granted:
                yield Finding(Severity.OK, missing.code, f"The running user has {_spaced(name)}.")
            elif granted is None and name in (org.AUDIT_FIELDS, org.UPDATE_EMAIL):
                yield Finding(
                    missing.severity, missing.code, f"The org does not offer {_spaced(name)}.", missing.remedy
                )
            else:
                yield missing

    def _needed(self) -> Mapping[str, Finding]:
        needed = {
            "ApiEnabled": Finding(
                Severity.ERROR,
                "no-api-enabled",
                "The running user lacks API Enabled.",
                _PERMISSION_SET,
                hides="everything",
            ),
            org.VIEW_ALL_DATA: Finding(
                Severity.WARNING,
                "no-view-all-data",
                "The running user lacks View All Data.",
                _PERMISSION_SET,
                hides="fields of parent records that are not shared with this user, so their documents are "
                "treated as unknown",
            ),
        }
        if documents.FILES in self._options.kinds:
            needed[org.QUERY_ALL_FILES] = scan.FILES_HIDDEN
        needed[org.MODIFY_ALL_DATA] = (
            scan.EMAILS_HIDDEN
            if documents.ATTACHMENTS in self._options.kinds
            else Finding(
                Severity.WARNING,
                "no-modify-all-data",
                "The running user lacks Modify All Data: files of other owners cannot be replaced or removed.",
                _PERMISSION_SET,
            )
        )
        needed[org.AUDIT_FIELDS] = Finding(
            Severity.WARNING,
            "no-audit-fields",
            "The running user cannot set audit fields: links carry today's date and the running user as their creator.",
            "Switch on Set Audit Fields upon Record Creation (Setup > User Interface), and give the user that "
            "permission.",
        )
        needed[org.UPDATE_EMAIL] = Finding(
            Severity.WARNING,
            "no-update-email-messages",
            "The running user lacks Update Email Messages: files on sent e-mails stay where they are.",
            _PERMISSION_SET,
        )
        return needed

    def _schema(self) -> Iterator[Finding]:
        for kind in self._options.kinds:
            if not self._org.fields(kind):
                yield Finding(
                    Severity.ERROR,
                    "no-object",
                    f"The object {kind} is not readable.",
                    _PERMISSION_SET,
                    hides=f"every {kind}",
                )
        wanted = self._options.external_id_field
        if wanted and self._org.external_id() is None:
            yield Finding(
                Severity.WARNING,
                "no-external-id",
                f"ContentVersion has no field {wanted} that is an external id and unique for this user.",
                "Add a text field of 255 characters with External ID and Unique to ContentVersion, visible to the "
                "running user; "
                "without it, links are found again by reading the parents' files, which costs more calls.",
            )
        for type_name, signals in merged(self._options.signals).items():
            if type_name in self._options.signals:
                for signal in self._options.signals[type_name]:
                    if type_name != "*" and not any(
                        self._org.has_path(type_name, path) for path in signals[signal] or ()
                    ):
                        yield Finding(
                            Severity.WARNING,
                            "no-signal-field",
                            f"The signal {signal!r} of {type_name} names no field that the org has.",
                            "Correct the field path in signals, or make the field visible to the running user.",
                            hides=f"the signal {signal!r} of every {type_name}, which counts as unknown",
                        )

    def _limits(self) -> Iterator[Finding]:
        limits = self._api.get("limits", "limits").record()
        for name, code, unit in (
            ("DailyApiRequests", "api-budget", "API calls a day"),
            ("FileStorageMB", "file-storage", "MB of file storage"),
            ("DataStorageMB", "data-storage", "MB of data storage"),
        ):
            entry = limits.get(name)
            if not isinstance(entry, Mapping):
                continue
            top, left = entry.get("Max"), entry.get("Remaining")
            if isinstance(top, int) and isinstance(left, int):
                low = code == "api-budget" and left <= top * self._options.budget.leave
                yield Finding(
                    Severity.WARNING if low else Severity.OK,
                    code,
                    f"{left} of {top} {unit} are left.",
                    "Wait until the rolling day frees calls, or lower budget.leave." if low else "",
                )


def _spaced(name: str) -> str:
    return "".join(f" {letter}" if letter.isupper() else letter for letter in name).strip()
