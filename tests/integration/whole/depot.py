"""An emulated CRM whose documents go to an S3 server or to Azure Blob, with a place in between for faults."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure.storage.blob import ContainerClient
from ruamel.yaml import YAML

from offloader_connectors.azure_blob.testparts.testbed import Testbed
from offloader_connectors.emulation.faults import Faults, Rule
from tests import processes
from tests.integration.s3.servers import Server
from tests.integration.s3.stubs import Reply, Request, Stub, error, serving
from tests.integration.whole.ground import Ground
from tests.integration.whole.plant import TIMEOUT_S

#: headers that belong to one connection
_HOP = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
MIB = 1 << 20
LATER = Path(__file__).with_name("later.py")


def operation(method: str, target: str) -> str:
    """What a request is about, and what it does: `document PUT`, `document part`, `bucket GET policy`."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    key = parts.path.strip("/").partition("/")[2]
    if not key:
        return " ".join(["bucket", method, *sorted(query)[:1]])
    about = {"documents": "document", "catalog": "catalog"}.get(key.partition("/")[0], "marker")
    acts = {("PUT", "partNumber"): "part", ("POST", "uploads"): "begin", ("POST", "uploadId"): "complete"}
    found = [act for (verb, name), act in acts.items() if verb == method and name in query]
    if method == "DELETE" and "uploadId" in query:
        found = ["abort"]
    return f"{about} {found[0] if found else method}"


@dataclass
class Between:
    """Stands before an S3 server: passes requests on, remembers them, and does scripted faults.

    Faults: `status` answers in the server's place (200: that all is well, though nothing is passed on), `corrupt`
    damages what is sent. `met` is told of every request before it is passed on.
    """

    server: Server
    faults: Faults = field(default_factory=Faults)
    met: Callable[[str], None] = lambda _: None
    stub: Stub | None = None

    def __call__(self, request: Request) -> Reply:
        name = operation(request.method, request.path)
        self.met(name)
        body = request.body
        for rule in self.faults.hit(name):
            if rule.do == "status":
                return error(rule.status, rule.code) if rule.code else Reply(rule.status)
            body = b"?" + body[1:]
        return self._pass(request, body)

    def _pass(self, request: Request, body: bytes) -> Reply:
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request(request.method, request.path, body, dict(request.headers))
            answer = connection.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            if request.method == "HEAD" and (length := answer.getheader("Content-Length")):
                headers["Content-Length"] = length
            return Reply(answer.status, answer.read(), headers)

    def sent(self, name: str) -> list[str]:
        """Paths of the requests of this name, so far."""
        assert self.stub is not None
        return [each.path for each in self.stub.seen if operation(each.method, each.path) == name]


@dataclass(frozen=True)
class Away(Ground):
    """The documents' only store is not on this disk."""

    def stored(self) -> set[str]:
        """SHA-256 of every document in the store, as an operator's own client reads it."""
        raise NotImplementedError

    def nothing_lost(self) -> None:
        stored = self.stored()
        for before in self.remembered:
            now = self.witness()
            for key, had in before.documents.items():
                in_crm = set(now.documents[key].sha256) if key in now.documents else set()
                assert set(had.sha256) <= in_crm | stored, f"{key} lost a version"


@dataclass(frozen=True)
class Depot(Away):
    """The German store is a bucket."""

    between: Between
    bucket: str

    @property
    def s3(self) -> Any:
        """An operator's own client, past the faults."""
        return self.between.server.client()

    def later(self, hours: float, *, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """One run on a machine whose clock is so many hours ahead."""
        done = processes.run([str(LATER), str(self.config), str(hours)], timeout=TIMEOUT_S)
        assert done.returncode in expect, f"exit {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def fault(self, on: str, do: str, **keys: Any) -> Rule:
        return self.between.faults.on(on, do, **keys)

    def calm(self) -> None:
        super().calm()
        self.between.faults.clear()

    def written(self) -> list[str]:
        """Every attempt to bring bytes of a document, or of what describes it, to the bucket."""
        return [
            path
            for about in ("document", "catalog")
            for act in ("PUT", "begin", "part")
            for path in self.between.sent(f"{about} {act}")
        ]

    def held(self) -> dict[str, str]:
        """SHA-256 of every document in the bucket, by key."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="documents/").get("Contents", ())
        return {each["Key"]: hashlib.sha256(self._body(each["Key"])).hexdigest() for each in found}

    def unfinished(self) -> list[str]:
        """Uploads in parts that the server still holds."""
        return [each["Key"] for each in self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())]

    def stored(self) -> set[str]:
        return set(self.held().values())

    def _body(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body


@dataclass(frozen=True)
class Blobs(Away):
    """The German store is a container of Azure Blob, behind the testbed's proxy."""

    bed: Testbed
    outside: ContainerClient

    def stored(self) -> set[str]:
        names = [each for each in self.outside.list_blob_names() if each.startswith("documents/")]
        return {hashlib.sha256(self.outside.download_blob(each).readall()).hexdigest() for each in names}

    def uncommitted(self) -> int:
        """Blocks that no blob holds."""
        found = self.outside.list_blobs(include=["uncommittedblobs"])
        return sum(len(self.outside.get_blob_client(each.name).get_block_list("uncommitted")[1]) for each in found)


@contextlib.contextmanager
def opened_blobs(ground: Ground, bed: Testbed, container: str, **options: Any) -> Iterator[Blobs]:
    """Give the ground's German store a new container."""
    outside = ContainerClient(
        bed.azurite.url, container, credential=bed.azurite.key, connection_verify=str(bed.ca_file)
    )
    outside.create_container()
    only_stores(ground.config, {"de": {"type": "azure_blob", **bed.store_options(container), **options}})
    with outside:
        yield Blobs(**vars(ground), bed=bed, outside=outside)


@contextlib.contextmanager
def opened(ground: Ground, server: Server, *, locked: bool = False, **options: Any) -> Iterator[Depot]:
    """Give the ground's German store a bucket, behind a place for faults."""
    between, bucket = Between(server), server.bucket(locked=locked)
    secret = ground.directory / "s3.key"
    secret.write_text(server.access_key, encoding="ascii")
    secret.chmod(0o600)
    keys = dict.fromkeys(("access_key", "secret_key"), f"file:{secret.name}")
    with serving(between) as stub:
        between.stub = stub
        store = {**server.options(bucket=bucket, endpoint_url=stub.url, **options), **keys}
        only_stores(ground.config, {"de": {"type": "s3", **store}})
        yield Depot(**vars(ground), between=between, bucket=bucket)


def only_stores(config: Path, stores: Mapping[str, Mapping[str, Any]]) -> None:
    """Put these stores into a configuration in the place of all others."""
    yaml = YAML(typ="safe", pure=True)
    value = yaml.load(config.read_text(encoding="utf-8"))
    with config.open("w", encoding="utf-8") as file:
        yaml.dump({**value, "stores": stores}, file)


def replication(target: str) -> Mapping[str, Any]:
    """A rule by the name of `to-the-other-office` that copies everything to another bucket."""
    rule = {
        "ID": "to-the-other-office",
        "Priority": 1,
        "Filter": {},
        "Status": "Enabled",
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
    }
    return {"Role": "arn:aws:iam::000000000000:role/r", "Rules": [rule]}
