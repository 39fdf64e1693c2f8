"""How a location proof asks: every refusal and fault is told apart, and no bad news ends the round of questions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from offloader.errors import OffloaderError
from offloader_connectors import regions
from offloader_connectors.regions.evidence import Outcome
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.probes_reading import MOST, Strange, Tally, Unanswered, arn_part, field, items, need

#: permission that each call needs ("Actions, resources, and condition keys" of the service authorization reference)
ACTIONS: Mapping[str, str] = {
    "describe_job": "s3:DescribeJob",
    "describe_key": "kms:DescribeKey",
    "get_access_point_configuration_for_object_lambda": "s3:GetAccessPointConfigurationForObjectLambda",
    "get_backup_plan": "backup:GetBackupPlan",
    "get_backup_selection": "backup:GetBackupSelection",
    "get_bucket_accelerate_configuration": "s3:GetAccelerateConfiguration",
    "get_bucket_acl": "s3:GetBucketAcl",
    "get_bucket_encryption": "s3:GetEncryptionConfiguration",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "get_bucket_location": "s3:GetBucketLocation",
    "get_bucket_logging": "s3:GetBucketLogging",
    "get_bucket_metadata_configuration": "s3:GetBucketMetadataTableConfiguration",
    "get_bucket_notification_configuration": "s3:GetBucketNotification",
    "get_bucket_policy": "s3:GetBucketPolicy",
    "get_bucket_policy_status": "s3:GetBucketPolicyStatus",
    "get_bucket_replication": "s3:GetReplicationConfiguration",
    "get_bucket_versioning": "s3:GetBucketVersioning",
    "get_bucket_website": "s3:GetBucketWebsite",
    "get_caller_identity": "sts:GetCallerIdentity",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "head_bucket": "s3:ListBucket",
    "head_object": "s3:GetObject",
    "list_access_points": "s3:ListAccessPoints",
    "list_access_points_for_object_lambda": "s3:ListAccessPointsForObjectLambda",
    "list_backup_plans": "backup:ListBackupPlans",
    "list_backup_selections": "backup:ListBackupSelections",
    "list_bucket_analytics_configurations": "s3:GetAnalyticsConfiguration",
    "list_bucket_inventory_configurations": "s3:GetInventoryConfiguration",
    "list_copy_jobs": "backup:ListCopyJobs",
    "list_distributions": "cloudfront:ListDistributions",
    "list_jobs": "s3:ListJobs",
    "list_multi_region_access_points": "s3:ListMultiRegionAccessPoints",
    "list_objects_v2": "s3:ListBucket",
    "list_recovery_points_by_resource": "backup:ListRecoveryPointsByResource",
    "list_regions": "account:ListRegions",
}
#: header with a bucket's region, in every answer of S3, refusals included ("HeadBucket" of the S3 API reference)
REGION_HEADER = "x-amz-bucket-region"
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError", "403"})
_NO_SUCH_API = frozenset({"MethodNotAllowed", "NotImplemented", "UnknownOperationException", "XNotImplemented"})
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CLOCK = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
#: what botocore's parsers raise on answers of another shape than their model's; broken XML is a SyntaxError
_UNREADABLE = (TypeError, ValueError, LookupError, AttributeError, RecursionError, SyntaxError)


class Asked(Protocol):
    """The clients that a proof asks with: `s3` is the store's own, `other` is for any service and region."""

    @property
    def s3(self) -> Any: ...

    def other(self, service: str, region: str | None = None) -> Any: ...


class Refusal(Exception):
    """The server said no. `region` is where it says the bucket is."""

    def __init__(self, response: object) -> None:
        meta = _dict(_dict(response).get("ResponseMetadata"))
        status, code = meta.get("HTTPStatusCode"), _dict(_dict(response).get("Error")).get("Code")
        self.status = status if isinstance(status, int) else 0
        self.code = re.sub(r"[^A-Za-z0-9.]", "", str(code))[:60]
        self.region = header_region(meta)
        super().__init__(f"{self.status} {self.code}")


def header_region(meta: object) -> str | None:
    """Return the region named in an answer's headers, None if it is not one."""
    named = _dict(_dict(meta).get("HTTPHeaders")).get(REGION_HEADER)
    return named if isinstance(named, str) and _REGION.fullmatch(named) else None


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


class Inquiry:
    """One round of questions about one bucket."""

    def __init__(self, clients: Asked, options: S3Options) -> None:
        self.options = options
        self.bucket = {"Bucket": options.bucket}
        self.aws = options.provider == "aws"
        #: the provider's partition that the configured region is in; None: no region of this name is known
        self.partition = regions.partition_of("aws", options.region) if self.aws else ""
        self._clients = clients
        self._account = options.expected_owner
        #: what could not be connected to is not tried again in this round
        self._unreachable: dict[tuple[str, str], str] = {}

    def account(self) -> dict[str, str]:
        """Return the owner's account: as configured, else that of the credentials. Raises Unanswered, Strange."""
        if self._account is None:
            account = need(self.call("get_caller_identity", "sts"), "Account", str)
            if not _ACCOUNT.fullmatch(account):
                raise Strange("Account is no account number")
            self._account = account
        return {"AccountId": self._account}

    # places

    def countries(self, region: str) -> frozenset[str]:
        """Return the countries of one of the provider's regions; empty if unknown."""
        if self.aws:
            found = regions.region("aws", self.partition or "", region)
            return found.countries if found else frozenset()
        home = self.options.country
        return frozenset({home}) if home and region == self.options.region else frozenset()

    def named(self, region: str) -> str:
        """Name a region for a reader, with its country: "eu-central-1 (DE)"."""
        return f"{region} ({' '.join(sorted(self.countries(region))) or 'country unknown'})"

    def place(self, tally: Tally, region: str | None, what: str) -> None:
        """Count a region among the places; if it, or its country, is not known, say so. `what`: "copies go to"."""
        if region is None or not _REGION.fullmatch(region):
            tally.unknown(f"{what} a place that the server does not name")
        elif countries := self.countries(region):
            tally.places[f"{self.options.provider} {region}"] = countries
        else:
            tally.unknown(f"{what} {region}, and in which country that is, is not known")

    def place_of_arn(self, tally: Tally, arn: str, what: str) -> str:
        """Count the region named in an ARN among the places, and return it. Raises Strange if it is no ARN."""
        region = arn_part(arn, 3)
        self.place(tally, region or None, what)
        return region

    def place_of_bucket(self, tally: Tally, bucket: str, what: str, owner: str | None = None) -> str | None:
        """Ask where another bucket is, count its region among the places, and return it. Raises Unanswered, Strange."""
        if bucket == self.options.bucket:
            return self.options.region
        try:
            answer = self._send(
                "head_bucket", "s3", None, {"Bucket": bucket, **({"ExpectedBucketOwner": owner} if owner else {})}
            )
            region = header_region(answer.get("ResponseMetadata")) or field(answer, "BucketRegion", str)
            if region is None and not self.aws:
                region = self.options.region  # a server without regions: what it shows, it keeps itself
        except Refusal as error:
            region = error.region
        if region is None:
            tally.unknown(f"{what} the bucket {bucket}, and where that is cannot be seen from here")
        else:
            self.place(tally, region, f"{what} the bucket {bucket} in")
        return region

    # questions

    def address(self) -> tuple[str, str]:
        """Return the endpoint and the region of the store's own client. Raises Unanswered."""
        try:
            meta = self._clients.s3.meta
        except OffloaderError as error:
            raise Unanswered(f"there is no client: {error}") from None
        return str(meta.endpoint_url), str(meta.region_name)

    def head(self) -> dict[str, Any]:
        """Ask for the bucket itself, headers included. Raises Refusal, Unanswered."""
        return self._send("head_bucket", "", None, self.bucket)

    def call(self, method: str, service: str = "", region: str | None = None, **params: Any) -> dict[str, Any]:
        """Ask a service (without one: the store's own client). Raises Unanswered for whatever goes wrong."""
        try:
            answer = self._send(method, service, region, params)
        except Refusal as error:
            raise self.unanswered(error, method) from None
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def setting(self, method: str, **params: Any) -> dict[str, Any] | None:
        """Ask for one setting of the bucket; None if it has none. Raises Unanswered for whatever goes wrong."""
        try:
            answer = self._send(method, "", None, {**self.bucket, **params})
        except Refusal as error:
            if error.status == 404 and error.code not in ("404", "NoSuchBucket"):
                return None
            raise self.unanswered(error, method) from None
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def listing(
        self, method: str, service: str, path: tuple[str, ...], tokens: tuple[str, str], **params: Any
    ) -> list[dict[str, Any]]:
        """Read all pages of a listing; `path` leads to the entries, `tokens` name the token to send and to read.

        `region` among the parameters is the client's. Raises Unanswered (also when it is too long), Strange.
        """
        region = params.pop("region", None)
        found: list[dict[str, Any]] = []
        seen: set[str] = set()
        send, receive = tokens
        while True:
            answer: Any = self.call(method, service, region, **params)
            for name in path[:-1]:
                answer = need(answer, name, dict)
            found += items(answer, path[-1])
            token = field(answer, receive, str)
            if not token:
                if field(answer, "IsTruncated", bool):
                    raise Strange(f"{method} breaks off in the middle")
                return found
            if token in seen or len(found) > MOST or len(seen) > MOST // 10:
                raise Unanswered(f"{method} has more entries than can be looked through")
            seen.add(token)
            params[send] = token

    def unanswered(self, error: Refusal, method: str) -> Unanswered:
        """Say why a question was refused, and what would help; never in the server's own words."""
        permission = ACTIONS[method]
        if error.code in _CREDENTIALS:
            return Unanswered(f"the credentials are not accepted ({error.code}): renew or correct them")
        if error.code in _CLOCK:
            return Unanswered(f"this machine's clock is wrong ({error.code}): set it")
        if error.code in _NO_SUCH_API or error.status == 501:
            return Unanswered(f"the server has no answer to {method} ({error.code or error.status})", Outcome.ABSENT)
        if error.code in _FORBIDDEN or error.status == 403:
            owner = ", or the bucket belongs to another account than expected_owner" if self._account else ""
            return Unanswered(f"the permission {permission} is missing{owner}")
        if error.status == 404 and "bucket" in method:
            return Unanswered(f"there is no bucket {self.options.bucket}, or it is hidden ({error.code})")
        return Unanswered(f"{method} was answered with an error ({error})")

    def _send(self, method: str, service: str, region: str | None, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask once, and once more if the server failed."""
        where = (service, region or "")
        if where in self._unreachable:
            raise Unanswered(self._unreachable[where])
        try:
            return self._once(method, where, params)
        except Refusal as error:
            if error.status < 500 or error.status == 501:
                raise
        return self._once(method, where, params)

    def _once(self, method: str, where: tuple[str, str], params: Mapping[str, Any]) -> dict[str, Any]:
        from botocore import exceptions as vendor  # noqa: PLC0415  takes long to import
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        service, region = where
        try:
            client = self._clients.other(service, region or None) if service else self._clients.s3
            answer = getattr(client, method)(**params)
        except vendor.ClientError as error:
            raise Refusal(error.response) from None
        except (vendor.ConnectionError, vendor.HTTPClientError, vendor.NoCredentialsError) as error:
            self._unreachable[where] = f"{service or 's3'} cannot be asked ({type(error).__name__})"
            raise Unanswered(self._unreachable[where]) from None
        except vendor.BotoCoreError as error:
            raise Unanswered(f"{method} cannot be asked ({type(error).__name__})") from None
        except OffloaderError as error:
            raise Unanswered(f"{method} cannot be asked: {error}") from None
        except (*_UNREADABLE, ResponseParserError) as error:
            raise Unanswered(f"the answer to {method} cannot be understood ({type(error).__name__})") from None
        if not isinstance(answer, dict):
            raise Unanswered(f"the answer to {method} cannot be understood")
        return answer
