"""Objects in parts: sent by one pool of threads for the whole store, visible only when completed, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

from offloader.errors import Gone, IntegrityError, OffloaderError, Permanent, Transient, Unsupported
from offloader_connectors.s3.bucket import Bucket, b64, composite, told
from offloader_connectors.s3.cutting import Part

#: parts of one object, "Amazon S3 multipart upload limits" of the S3 user guide
MOST_PARTS = 10_000


class Transfer:
    """Sends parts, and keeps the list of uploads under way. Safe for threads."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._pool = ThreadPoolExecutor(bucket.options.max_concurrency, thread_name_prefix="s3-part")
        self._lock = threading.Lock()
        self._under_way: set[str] = set()

    @contextlib.contextmanager
    def upload(self, name: str, sha256: str | None) -> Iterator[Upload]:
        """Begin an object. Unless it was completed inside the block, it is aborted, whatever ended the block."""
        given = self._bucket.writing(sha256=sha256)
        if self._bucket.options.checksum == "auto":
            given["ChecksumAlgorithm"] = "SHA256"
        upload_id = str(told(self._bucket.call("create_multipart_upload", "begin", name, **given), "UploadId"))
        upload = Upload(self._bucket, self._pool, name, upload_id)
        with self._lock:
            self._under_way.add(upload_id)
        try:
            yield upload
        finally:
            try:
                if not upload.completed:
                    upload.abort()
            finally:
                with self._lock:
                    self._under_way.discard(upload_id)

    def sweep(self, now: datetime) -> int:
        """Abort the uploads that were broken off; returns how many. What somebody else has just ended is no error."""
        oldest = now - timedelta(hours=self._bucket.options.abandoned_after_hours)
        swept = 0
        for name, upload_id in [*self._abandoned(oldest)]:
            with contextlib.suppress(Gone):
                self._bucket.call("abort_multipart_upload", "sweep", name, UploadId=upload_id)
                swept += 1
        return swept

    def _abandoned(self, oldest: datetime) -> Iterator[tuple[str, str]]:
        bucket = self._bucket
        try:
            for page in bucket.pages("list_multipart_uploads", bucket.options.prefix):
                for found in page.get("Uploads", ()):
                    name, upload_id, begun = found.get("Key"), found.get("UploadId"), found.get("Initiated")
                    ours = bucket.key(name) is not None or name == bucket.marker
                    old = isinstance(begun, datetime) and begun < oldest
                    if ours and old and upload_id and upload_id not in self._under_way:
                        yield name, upload_id
        except (Gone, Unsupported):
            return  # some servers say so when there is no upload at all


class Upload:
    """One object on its way. Used by one thread."""

    def __init__(self, bucket: Bucket, pool: ThreadPoolExecutor, name: str, upload_id: str) -> None:
        self._bucket, self._pool = bucket, pool
        self._name, self._id = name, upload_id
        self._sent: list[tuple[Future[_Sent], Part]] = []
        self._errors: list[BaseException] = []
        self.completed = False

    def send(self, parts: Iterable[Part]) -> tuple[int, str]:
        """Send all parts; returns size and SHA-256 (hex) of the whole once they have arrived."""
        whole = hashlib.sha256()
        size = 0
        for part in parts:
            size += len(part.body)
            whole.update(part.body)
            self._sent.append((self._pool.submit(self._send_one, len(self._sent) + 1, part), part))
            if len(self._sent) > MOST_PARTS:
                raise Permanent(
                    f"store {self._bucket.store}: {self._name} has more than {MOST_PARTS} parts: raise part_size"
                )
            if self._errors:
                break
        wait([future for future, _ in self._sent])
        if self._errors:
            raise self._errors[0]
        return size, whole.hexdigest()

    def complete(self, *, conditional: bool) -> Mapping[str, Any]:
        """Make the object visible. Raises Conflict if there is one already and the server was asked to look."""
        sent = [future.result() for future, _ in self._sent]
        given = {"IfNoneMatch": "*"} if conditional else {}
        parts = {"Parts": [each.listed for each in sent]}
        answer = self._call("complete_multipart_upload", "complete", MultipartUpload=parts, **given)
        self.completed = True
        return answer

    @property
    def composite(self) -> str:
        """The checksum that a server that checked every part answers for the whole."""
        return composite([future.result().sha256 for future, _ in self._sent])

    def abort(self) -> None:
        """Take everything back. Parts on their way are waited for: one that arrives later would stay.

        What cannot be taken back now is left to the next sweep: the error that led here is the one to be told.
        """
        for future, part in self._sent:
            if future.cancel():
                part.release()
        wait([future for future, _ in self._sent])
        with contextlib.suppress(OffloaderError):
            self._bucket.call("abort_multipart_upload", "take back", self._name, UploadId=self._id)

    def _send_one(self, number: int, part: Part) -> _Sent:
        try:
            if self._errors:
                raise Transient(f"store {self._bucket.store}: another part of {self._name} failed")
            sha256 = hashlib.sha256(part.body).hexdigest()
            checked = self._bucket.checked(sha256)
            answer = self._call("upload_part", f"send part {number} of", PartNumber=number, Body=part.body, **checked)
            if checked and answer.get("ChecksumSHA256", b64(sha256)) != b64(sha256):
                raise IntegrityError(f"store {self._bucket.store}: part {number} of {self._name} arrived damaged")
            return _Sent(number, str(answer.get("ETag", "")), sha256, bool(checked))
        except BaseException as error:
            self._errors.append(error)
            raise
        finally:
            part.release()

    def _call(self, operation: str, action: str, **parameters: Any) -> Mapping[str, Any]:
        try:
            return self._bucket.call(operation, action, self._name, UploadId=self._id, **parameters)
        except Gone as error:
            raise Transient(f"{error}; the upload was ended by somebody else", maybe_done=True) from error


class _Sent:
    """A part that has arrived."""

    __slots__ = ("etag", "number", "sha256", "with_checksum")

    def __init__(self, number: int, etag: str, sha256: str, with_checksum: bool) -> None:
        self.number, self.etag, self.sha256, self.with_checksum = number, etag, sha256, with_checksum

    @property
    def listed(self) -> dict[str, str | int]:
        checksum = {"ChecksumSHA256": b64(self.sha256)} if self.with_checksum else {}
        return {"PartNumber": self.number, "ETag": self.etag, **checksum}
