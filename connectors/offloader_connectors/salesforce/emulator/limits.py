"""What the org counts and caps: requests, new versions, storage ("API Request Limits and Allocations")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from offloader_connectors.salesforce.emulator.errors import SalesforceError

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org

_MB = 1024 * 1024
_RECORD_KB = 2
#: objects whose rows are no data storage
_FREE = {
    *(
        "ContentVersion",
        "ContentDocument",
        "ContentDocumentLink",
        "ContentAsset",
        "ContentWorkspace",
        "Attachment",
        "Document",
    ),
    *("User", "Profile", "PermissionSet", "PermissionSetAssignment", "Organization", "RecordType", "Group", "Folder"),
}
_SAVE_EVERY = 25
APP_NAME = "offloader"


class Limits:
    """Counters over the last 24 hours, by the hour, and storage as /limits shows it. Kept over a restart."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._since_save = 0
        self._storage: tuple[datetime, int, int] | None = None
        self.reload()

    def reload(self) -> None:
        self._hours: dict[str, dict[str, int]] = self._org.store.meta.get("usage", {})
        self._storage = None

    def add(self, what: str, count: int = 1) -> None:
        """Count requests (`requests`), new versions (`versions`), bulk jobs (`queries`)."""
        hour = str(int(self._org.now().timestamp() // 3600))
        hours = self._hours.setdefault(what, {})
        if hour not in hours:
            for old in [name for name in hours if int(name) <= int(hour) - 24]:
                del hours[old]
        hours[hour] = hours.get(hour, 0) + count
        self._since_save += 1
        if self._since_save >= _SAVE_EVERY or what != "requests":
            self.save()

    def save(self) -> None:
        self._since_save = 0
        self._org.store.set_meta("usage", self._hours)

    def used(self, what: str) -> int:
        first = int(self._org.now().timestamp() // 3600) - 23
        return sum(count for hour, count in self._hours.get(what, {}).items() if int(hour) >= first)

    def header(self) -> str:
        return f"api-usage={self.used('requests')}/{self._org.options.number('daily_requests')}"

    def check_requests(self, running: int) -> None:
        """Raises SalesforceError at the daily cap, or while too many long requests are running."""
        if self.used("requests") >= self._org.options.number("daily_requests"):
            raise SalesforceError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
        if running >= self._org.options.number("long_requests"):
            text = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            raise SalesforceError("REQUEST_LIMIT_EXCEEDED", text, status=403)

    def add_version(self, size: int) -> None:
        """Count a version about to be made. Raises SalesforceError at the daily or the storage cap."""
        most = self._org.options.number("daily_versions")
        if self.used("versions") >= most:
            text = f"The maximum number of ContentVersions ({most}) that can be published in 24 hours has been reached."
            raise SalesforceError("LIMIT_EXCEEDED", text, [])
        self.check_storage(size)
        self.add("versions")

    def check_storage(self, size: int) -> None:
        """Raises SalesforceError if so many bytes do not fit any more."""
        if size and self.storage()[1] + size > self._org.options.number("file_mb") * _MB:
            raise SalesforceError("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", [])

    def storage(self) -> tuple[int, int]:
        """Bytes of data and of files, as of the last time they were computed."""
        now = self._org.now()
        if self._storage and 0 <= (now - self._storage[0]).total_seconds() < max(self._org.options.storage_delay, 1.0):
            return self._storage[1:]
        tables, data, used = self._org.store.tables, 0, 0
        for kind, table in tables.items():
            living = (row for row in table.values() if self._org.options.bin_counts or not row.get("IsDeleted"))
            if kind == "ContentVersion":
                used += sum(row.get("ContentSizeLong") or 0 for row in living)
            elif kind in {"Attachment", "Document"}:
                used += sum(row.get("BodyLength") or 0 for row in living)
            elif kind not in _FREE:
                data += sum(1 for _ in living) * _RECORD_KB * 1024
        self._storage = (now, data, used)
        return data, used

    def table(self) -> Mapping[str, Any]:
        """The body of GET /limits."""
        options = self._org.options
        data, used = self.storage()

        def entry(most: int, spent: int) -> dict[str, Any]:
            return {"Max": most, "Remaining": max(0, most - spent)}

        daily = options.number("daily_requests")
        requests = entry(daily, self.used("requests"))
        return {
            "ActiveScratchOrgs": entry(40, 0),
            "AnalyticsExternalDataSizeMB": entry(40960, 0),
            "ConcurrentAsyncGetReportInstances": entry(200, 0),
            "ConcurrentSyncReportRuns": entry(20, 0),
            "DailyApiRequests": {**requests, APP_NAME: {"Max": 0, "Remaining": 0}},
            "DailyAsyncApexExecutions": entry(250_000, 0),
            "DailyBulkApiBatches": entry(15_000, self.used("batches")),
            "DailyBulkV2QueryFileStorageMB": entry(976_562, 0),
            "DailyBulkV2QueryJobs": entry(10_000, self.used("queries")),
            "DailyDurableStreamingApiEvents": entry(200_000, 0),
            "DailyGenericStreamingApiEvents": entry(10_000, 0),
            "DailyStreamingApiEvents": entry(200_000, 0),
            "DailyWorkflowEmails": entry(1_000, 0),
            "DataStorageMB": entry(options.number("data_mb"), _megabytes(data)),
            "FileStorageMB": entry(options.number("file_mb"), _megabytes(used)),
            "HourlyODataCallout": entry(20_000, 0),
            "HourlyTimeBasedWorkflow": entry(1_000, 0),
            "MassEmail": entry(5_000, 0),
            "PermissionSets": {
                **entry(1_500, len(self._org.store.tables["PermissionSet"])),
                "CreateCustom": entry(1_000, 0),
            },
            "SingleEmail": entry(5_000, 0),
            "StreamingApiConcurrentClients": entry(2_000, 0),
        }


def _megabytes(size: int) -> int:
    return -(-size // _MB)
