"""What the server really does, found out by trying: some accept every header and obey none.

Tried once per process, before the first object is written, on an object of our own (`~offloader`, whose name can be no
key) that stays in the bucket, so that each later process needs two requests.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offloader.errors import Conflict, Gone, IntegrityError, Refused, Unsupported
from offloader_connectors.s3.bucket import Bucket, told

_NOTE = b"The offloader asks this store by this object whether it refuses to overwrite, and to keep damaged bytes.\n"
_OTHER = "0" * 64


@dataclass(frozen=True, slots=True)
class Abilities:
    """What was seen to be refused."""

    #: a write where an object stands already, if it asked not to overwrite
    conditional: bool
    #: bytes with another SHA-256 than announced
    checksums: bool


class Server:
    """Tries the server once, and remembers. Safe for threads; what raises is tried again by the next call."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self._options = bucket, bucket.options
        self._lock = threading.Lock()
        self._known: Abilities | None = None
        self._in_parts: Abilities | None = None

    @property
    def known(self) -> Abilities | None:
        """What has been found out so far; makes no call."""
        return self._known

    def abilities(self) -> Abilities:
        """Try the server, unless that was done. Raises Refused if it should lock and does not."""
        with self._lock:
            if self._known is None:
                conditional = self._options.conditional_create == "auto" and self._refuses_to_overwrite()
                checksums = self._options.checksum == "auto" and self._refuses_damage()
                self._check_lock()
                self._known = Abilities(conditional, checksums)
            return self._known

    def in_parts(self) -> Abilities:
        """The same of objects in parts, which some servers treat otherwise. Tried before the first of these."""
        whole = self.abilities()
        with self._lock:
            if self._in_parts is None:
                self._in_parts = self._try_parts(whole) if whole.conditional or whole.checksums else whole
            return self._in_parts

    def _refuses_to_overwrite(self) -> bool:
        """The first try may find no marker and make one; the second finds it."""
        for _ in range(2):
            try:
                self._put_marker(IfNoneMatch="*")
            except Conflict:
                return True
            except Unsupported:
                return False
        return False

    def _refuses_damage(self) -> bool:
        try:
            self._put_marker(**self._bucket.checked(_OTHER))
        except IntegrityError:
            return True
        except Unsupported:
            return False
        return False

    def _try_parts(self, whole: Abilities) -> Abilities:
        """Send a part with a wrong checksum, then complete an object where the marker stands: both must be refused."""
        begun = self._try(
            "create_multipart_upload", **self._writing(), **({"ChecksumAlgorithm": "SHA256"} if whole.checksums else {})
        )
        upload = {"UploadId": told(begun, "UploadId")}
        conditional = False
        try:
            checksums = whole.checksums and self._refuses_damaged_part(upload)
            good = self._bucket.checked(hashlib.sha256(_NOTE).hexdigest())
            part = self._try("upload_part", **upload, PartNumber=1, Body=_NOTE, **good)
            listed = {"PartNumber": 1, "ETag": told(part, "ETag")}
            if good:
                listed["ChecksumSHA256"] = good["ChecksumSHA256"]
            conditional = whole.conditional and self._refuses_to_complete(upload, listed)
        finally:
            with contextlib.suppress(Gone):
                self._try("abort_multipart_upload", **upload)
        return Abilities(conditional, checksums)

    def _refuses_damaged_part(self, upload: Mapping[str, Any]) -> bool:
        try:
            self._try("upload_part", **upload, PartNumber=1, Body=_NOTE, **self._bucket.checked(_OTHER))
        except IntegrityError:
            return True
        return False

    def _refuses_to_complete(self, upload: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
        try:
            self._try("complete_multipart_upload", **upload, MultipartUpload={"Parts": [part]}, IfNoneMatch="*")
        except Conflict:
            return True
        except Unsupported:
            return False
        return False

    def _check_lock(self) -> None:
        """Believe a lock when a deletion was refused, never because a header says so."""
        lock = self._options.object_lock
        if lock is None or (lock.days is None and not lock.legal_hold and lock.retain == "none"):
            return
        for _ in range(3):
            try:
                version = self._try("head_object").get("VersionId")
                which = {"VersionId": version} if version else {}
                self._try("delete_object", **which)
            except Gone:
                pass
            except Refused:
                return
            self._put_marker()
        raise Refused(
            f"store {self._bucket.store}: the server deleted an object that it was told to lock: its locks hold "
            "nothing, so nothing is written to it with object_lock",
            rule="object-lock",
        )

    def _put_marker(self, **parameters: Any) -> None:
        self._try("put_object", Body=_NOTE, **self._writing() | parameters)

    def _try(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return self._bucket.call(operation, "try", self._bucket.marker, **parameters)

    def _writing(self) -> dict[str, Any]:
        """As a document is written, but locked for a day only: the marker must not outlive its use for years."""
        given = self._bucket.writing()
        lock = self._options.object_lock
        if "ObjectLockMode" in given or (lock is not None and lock.retain != "none"):
            given |= self._bucket.retention(1)
        return given
