"""Links to single blobs: read-only, for a few seconds, always saved and never shown."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from urllib.parse import quote

from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas

from offloader.errors import Permanent, Unsupported
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.trouble import translated

LONGEST = 3600
BYTES = "application/octet-stream"
#: for how long a user delegation key is asked for (longer than any link), and how far clocks may differ
_KEY_LIFE = timedelta(hours=2)
_SKEW = timedelta(minutes=5)
#: types that no browser runs; everything else is bytes
_HARMLESS = re.compile(
    r"application/(?:pdf|zip|json|rtf|msword|vnd\.[a-z0-9.\-]+)|text/(?:plain|csv)|message/rfc822"
    r"|(?:audio|video)/[a-z0-9.+\-]+|image/(?:png|jpe?g|gif|tiff|webp|bmp)"
)
#: a download under some name, in the characters of a header
_DOWNLOAD = re.compile(r"attachment(?:; ?[\x20-\x7e]{1,1024})?")


class Links:
    """Makes links with what the store logs in by: the account's key, or a user delegation key kept for an hour."""

    def __init__(self, store: str, clients: Clients, now: Callable[[], datetime]) -> None:
        self._store, self._clients, self._now = store, clients, now
        self._lock = threading.Lock()
        self._key: tuple[UserDelegationKey, datetime] | None = None

    @cached_property
    def possible(self) -> bool:
        """Whether links can be made: not out of a signature, nor to blobs under a customer's own key."""
        options = self._clients.options
        if options.customer_key is not None or options.sas is not None:
            return False
        return options.connection_string is None or self._clients.account_key() is not None

    def make(self, name: str, seconds: int, disposition: str, mime: str) -> str:
        """Sign a link to the blob of this name. Raises Unsupported."""
        if not self.possible:
            raise Unsupported(
                f"store {self._store}: links need account_key or a login by Entra ID, and no customer_key: "
                "the gateway hands the files out"
            )
        if not 1 <= seconds <= LONGEST:
            raise Permanent(f"store {self._store}: a link may be open for 1 to {LONGEST} seconds, not {seconds}")
        if not _DOWNLOAD.fullmatch(disposition):
            raise Permanent(f"store {self._store}: a link needs a Content-Disposition that downloads")
        clients, options = self._clients, self._clients.options
        ends = self._now().replace(microsecond=0) + timedelta(seconds=seconds + 1)
        key = clients.account_key()
        signature = generate_blob_sas(
            options.account_name,
            options.container,
            name,
            account_key=key,
            user_delegation_key=None if key else self._delegation(ends),
            permission=BlobSasPermissions(read=True),
            expiry=ends,
            protocol="https",
            cache_control="private, no-store",
            content_disposition=disposition,
            content_type=harmless(mime),
        )
        return f"{options.account_url}/{options.container}/{quote(name)}?{signature}"

    def _delegation(self, ends: datetime) -> UserDelegationKey:
        """A key that outlives the link ("Create a user delegation SAS": at most seven days)."""
        with self._lock:
            if self._key is None or self._key[1] <= ends:
                now = self._now()
                until = now + _KEY_LIFE + _SKEW
                with translated(self._store, "get a user delegation key for", "links"):
                    self._key = self._clients.service.get_user_delegation_key(now - _SKEW, until), until
            return self._key[0]


def harmless(mime: str) -> str:
    """Return the media type if no browser runs it, else that of plain bytes."""
    plain = mime.partition(";")[0].strip().lower()
    return plain if _HARMLESS.fullmatch(plain) else BYTES
