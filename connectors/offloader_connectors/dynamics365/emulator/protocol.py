"""What differs between one front end of the service and another, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolOptions:
    """Limits and habits of the web servers. The limits of the guide are 6,000 requests, 1,200 seconds and 52 at once
    in 300 seconds ("Service protection API limits"); real environments show others.
    """

    #: per user in a sliding window
    requests: int = 8000
    execution_seconds: float = 1200.0
    window_seconds: float = 300.0
    #: calls of the environment that may be under way at once
    concurrent: int = 100
    #: x-ms-dop-hint
    parallelism: int = 16
    #: what a call costs of the execution time: each operation, and each mebibyte that goes in or out, in milliseconds
    operation_ms: float = 5.0
    mebibyte_ms: float = 10.0
    #: how a batch is told that it is too fast: as a whole, or by its later parts
    batch_throttle: Literal["whole", "parts"] = "whole"
    #: Retry-After as seconds or as an HTTP date
    retry_after: Literal["seconds", "date"] = "seconds"
    #: whether `Prefer: odata.continue-on-error` is heeded
    continue_on_error: bool = True
    #: the affinity cookies that pin a client to one web server
    affinity_cookies: bool = True
    #: most operations of a batch, most bytes of a URL, and of one inside a batch ("Execute batch operations",
    #: "Compose HTTP requests")
    batch_operations: int = 1000
    url_bytes: int = 32_768
    batch_url_bytes: int = 65_536
    #: most bytes of a request's body; beyond, the front end answers 413
    body_bytes: int = 256 * 1024 * 1024
    #: bytes of a block, and of a chunk of a file column
    block_bytes: int = 4 * 1024 * 1024
    #: how long a download address, a block token and an upload session can be used
    sas_seconds: int = 3600
    token_seconds: int = 3600
    #: GetFileSasUrl may be part of a batch (open question)
    sas_in_batch: bool = True
    #: seconds until the count of a table (RetrieveTotalRecordCount) is taken anew; the service says at most a day
    count_seconds: int = 0
    #: a bulk deletion runs before the so-manieth call after it was asked for, or when somebody looks at its job
    bulk_delete_calls: int = 2

    def changed(self, changes: Mapping[str, Any]) -> ProtocolOptions:
        """Raises ValueError for an unknown option."""
        if unknown := set(changes) - {item.name for item in fields(self)}:
            raise ValueError(f"unknown protocol options: {', '.join(sorted(unknown))}")
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
