"""A made-up AWS: real clients, whose calls are answered from a table of answers that a test can change."""

from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.session import Session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from offloader.model import LocationProof
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.proof import prove

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWNER = "123456789012"
ALL_BLOCKED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
Answer = Any
CONFIG = Config(s3={"us_east_1_regional_endpoint": "regional"}, retries={"total_max_attempts": 1, "mode": "standard"})


@dataclasses.dataclass(frozen=True)
class Error:
    """An answer that is an error, as botocore hands it on."""

    status: int
    code: str
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Raw:
    """An answer as it comes from the net, which botocore's own parsers read."""

    body: bytes
    status: int = 200

    def response(self) -> AWSResponse:
        return AWSResponse("https://example", self.status, {}, Body(self.body))


class Body(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


#: a bucket in Frankfurt with nothing beside it
CLEAN: dict[str, Answer] = {
    "account.ListRegions": {
        "Regions": [
            {"RegionName": "eu-central-1", "RegionOptStatus": "ENABLED_BY_DEFAULT"},
            {"RegionName": "us-east-1", "RegionOptStatus": "ENABLED_BY_DEFAULT"},
            {"RegionName": "eu-central-2", "RegionOptStatus": "DISABLED"},
        ]
    },
    "backup.ListBackupPlans": {"BackupPlansList": []},
    "backup.ListCopyJobs": {"CopyJobs": []},
    "backup.ListRecoveryPointsByResource": {"RecoveryPoints": []},
    "cloudfront.ListDistributions": {
        "DistributionList": {"Marker": "", "MaxItems": 100, "IsTruncated": False, "Quantity": 0}
    },
    "s3.GetBucketAccelerateConfiguration": {},
    "s3.GetBucketAcl": {"Grants": [{"Grantee": {"ID": "x", "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]},
    "s3.GetBucketEncryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        }
    },
    "s3.GetBucketLifecycleConfiguration": Error(404, "NoSuchLifecycleConfiguration"),
    "s3.GetBucketLocation": {"LocationConstraint": "eu-central-1"},
    "s3.GetBucketLogging": {},
    "s3.GetBucketMetadataConfiguration": Error(404, "MetadataConfigurationNotFound"),
    "s3.GetBucketNotificationConfiguration": {},
    "s3.GetBucketPolicyStatus": Error(404, "NoSuchBucketPolicy"),
    "s3.GetBucketReplication": Error(404, "ReplicationConfigurationNotFoundError"),
    "s3.GetBucketVersioning": {},
    "s3.GetBucketWebsite": Error(404, "NoSuchWebsiteConfiguration"),
    "s3.GetObjectLockConfiguration": Error(404, "ObjectLockConfigurationNotFoundError"),
    "s3.GetPublicAccessBlock": {"PublicAccessBlockConfiguration": ALL_BLOCKED},
    "s3.HeadBucket": {"BucketRegion": "eu-central-1"},
    "s3.HeadObject": {},
    "s3.ListBucketAnalyticsConfigurations": {"IsTruncated": False},
    "s3.ListBucketInventoryConfigurations": {"IsTruncated": False},
    "s3.ListObjectsV2": {"IsTruncated": False, "KeyCount": 0},
    "s3control.ListAccessPoints": {"AccessPointList": []},
    "s3control.ListAccessPointsForObjectLambda": {"ObjectLambdaAccessPointList": []},
    "s3control.ListJobs": {"Jobs": []},
    "s3control.ListMultiRegionAccessPoints": {"AccessPoints": []},
    "sts.GetCallerIdentity": {"Account": OWNER, "Arn": f"arn:aws:sts::{OWNER}:assumed-role/offloader/run-4711"},
}


class Workshop:
    """Makes each client once: making one takes longer than a whole proof."""

    def __init__(self) -> None:
        self._session = Session(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="not-a-secret")
        self._clients: dict[tuple[str, str, str | None], Any] = {}
        self.answer: Callable[[Any, Any, str], Any] = lambda model, params, region: None
        self.send: Callable[[str], Any] = lambda event: None

    def client(self, service: str, region: str, endpoint: str | None) -> Any:
        """A client whose every call is answered by `answer`, or, if that says None, by `send` with HTTP's own words."""
        key = (service, region, endpoint)
        if key not in self._clients:
            client = self._session.client(service, region_name=region, endpoint_url=endpoint, config=CONFIG)
            client.meta.events.register("before-call", lambda model, params, **_: self.answer(model, params, region))
            client.meta.events.register("before-send", lambda event_name, **_: self.send(event_name))
            self._clients[key] = client
        return self._clients[key]


class MadeUp:
    """Implements the proof's view of the clients. An answer may be a function of the region and the parameters."""

    def __init__(self, options: S3Options, workshop: Workshop, answers: dict[str, Answer]) -> None:
        self._options = options
        self._workshop = workshop
        self._lock = threading.Lock()
        self.answers = answers
        self.asked: list[str] = []
        workshop.answer = self._answer

    @property
    def s3(self) -> Any:
        return self.other("s3")

    def other(self, service: str, region: str | None = None) -> Any:
        endpoint = self._options.endpoint_url if service == "s3" else None
        with self._lock:
            return self._workshop.client(service, region or self._options.region, endpoint)

    def _answer(self, model: Any, params: Any, region: str) -> tuple[Any, Any] | None:
        name = f"{model.service_model.service_name}.{model.name}"
        self.asked.append(name)
        answer = self.answers.get(name, Error(400, "Unexpected"))
        answer = answer(region, params) if callable(answer) else answer
        if isinstance(answer, Raw):
            self._workshop.send = lambda event: answer.response()
            return None
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Error):
            meta = {"HTTPStatusCode": answer.status, "HTTPHeaders": answer.headers, "RequestId": str(len(self.asked))}
            return SimpleNamespace(status_code=answer.status, raw=None), {
                "Error": {"Code": answer.code, "Message": "hidden words"},
                "ResponseMetadata": meta,
            }
        meta = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RequestId": str(len(self.asked))}
        answer = {**answer, "ResponseMetadata": meta} if isinstance(answer, dict) else answer
        return SimpleNamespace(status_code=200, raw=None), answer


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def make_options() -> Callable[..., S3Options]:
    def make(**changes: Any) -> S3Options:
        given = {
            "bucket": "archive",
            "region": "eu-central-1",
            "expected_owner": OWNER,
            "access_key": "env:KEY",
            "secret_key": "env:SECRET",
        }
        return S3Options.model_validate({**given, **changes})

    return make


Look = Callable[..., LocationProof]


@pytest.fixture
def look(workshop: Workshop, make_options: Callable[..., S3Options]) -> Look:
    """Prove a clean bucket's place, with these answers changed; options by keyword, `unchecked` as they are."""

    def run(
        answers: dict[str, Answer] | None = None,
        /,
        *,
        now: datetime = NOW,
        unchecked: dict[str, Any] | None = None,
        **changes: Any,
    ) -> LocationProof:
        options = make_options(**changes).model_copy(update=unchecked)
        return prove(MadeUp(options, workshop, {**CLEAN, **(answers or {})}), options, "de", now)

    return run


@pytest.fixture
def lab() -> dict[str, Any]:
    """Options of a server that imitates S3, and that somebody vouches for."""
    return {
        "provider": "lab",
        "endpoint_url": "https://s3.lab.example",
        "expected_owner": None,
        "country": "DE",
        "attested_by": "Ms Example",
        "attested_until": date(2026, 12, 31),
    }


@pytest.fixture
def error() -> type[Error]:
    return Error


@pytest.fixture
def clean_answers() -> dict[str, Answer]:
    return dict(CLEAN)


@pytest.fixture
def raw() -> type[Raw]:
    return Raw
