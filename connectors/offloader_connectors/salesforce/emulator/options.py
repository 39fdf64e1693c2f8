"""What differs between one org and another, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

#: requests a rolling day (with 100 licences), MB of data, MB of files, long requests, versions a day
#: ("API Request Limits and Allocations", "Data and File Storage Allocations")
EDITIONS: Mapping[str, tuple[int, int, int, int, int]] = {
    "Developer Edition": (15_000, 5, 20, 5, 2_500),
    "Professional Edition": (200_000, 12_240, 71_440, 25, 200_000),
    "Enterprise Edition": (200_000, 12_240, 215_040, 25, 200_000),
    "Unlimited Edition": (600_000, 22_240, 215_040, 25, 200_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgOptions:
    """Settings of the org. Where public sources leave a behaviour open, the switch says what the default guesses."""

    edition: str = "Enterprise Edition"
    #: override the edition's numbers
    daily_requests: int | None = None
    daily_versions: int | None = None
    data_mb: int | None = None
    file_mb: int | None = None
    long_requests: int | None = None
    #: seconds after which a request counts as long-running
    long_request_seconds: float = 20.0
    #: seconds until /limits shows what was stored or freed
    storage_delay: float = 0.0
    #: whether bytes count until the recycle bin is emptied (open question; the default says they do not)
    bin_counts: bool = False
    api_enabled: bool = True
    #: Experience Cloud; without it ContentDocumentLink.Visibility can only be AllUsers
    communities: bool = True
    #: "Set Audit Fields upon Record Creation and Update Records with Inactive Owners"
    audit_fields: bool = True
    #: ContentVersion.Offload_Key__c, text(255), unique external id
    external_id_field: bool = True
    #: `@{ref[0].id}` over the answer of a collection (open question)
    array_references: bool = True
    #: Modify All Data is enough to delete anybody's ContentDocument (open question)
    modify_all_deletes_files: bool = True
    #: ContentDocumentLink.LinkedEntity.Type can be selected (open question)
    linked_entity_type: bool = True
    #: FileType of link files (open question)
    link_file_type: str = "LINK"
    #: blob answers carry Content-Length (open question); without, they are chunked
    content_length: bool = True
    #: Attachment bodies come with the record's ContentType instead of application/octet-stream (open question)
    attachment_content_type: bool = True
    #: extensions that Attachment uploads refuse ("Don't allow HTML uploads as attachments or document records")
    blocked_extensions: tuple[str, ...] = ()
    #: largest Attachment in bytes
    attachment_limit: int = 25 * 1024 * 1024
    #: seconds that a bulk job takes
    bulk_seconds: float = 0.0
    session_seconds: int = 7200
    locator_seconds: int = 900
    locators_per_user: int = 10
    #: seconds between a record's time stamps and the moment when others can see it
    late_commit: float = 0.0
    #: object -> Private, Read or ReadWrite; others are Read
    sharing: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(("Account", "Case", "Opportunity", "Lead"), "Private")
    )
    #: users that the connected app may log in by JWT; empty = all
    approved_users: tuple[str, ...] = ()
    #: look-ups ("Case.AccountId") that forbid the deletion of the record that they lead to
    restricted_lookups: tuple[str, ...] = ()
    #: object -> what a trigger of this org says (`addError`) when one of its records is to be deleted
    refused_deletions: Mapping[str, str] = field(default_factory=dict)
    #: sandbox orgs expect `https://test.salesforce.com` as audience
    sandbox: bool = False

    def number(self, name: str) -> int:
        """A number of the edition, unless overridden."""
        own = getattr(self, name)
        order = ("daily_requests", "data_mb", "file_mb", "long_requests", "daily_versions")
        return int(EDITIONS[self.edition][order.index(name)] if own is None else own)

    def changed(self, changes: Mapping[str, Any]) -> OrgOptions:
        """Raises ValueError for an unknown option or edition."""
        if unknown := set(changes) - {item.name for item in fields(self)}:
            raise ValueError(f"unknown org options: {', '.join(sorted(unknown))}")
        if changes.get("edition", self.edition) not in EDITIONS:
            raise ValueError(f"unknown edition {changes['edition']!r}; known: {', '.join(EDITIONS)}")
        lists = {name: tuple(value) for name, value in changes.items() if isinstance(value, list)}
        return replace(self, **{**changes, **lists})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
