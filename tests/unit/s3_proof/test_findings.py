"""What each question finds beside copies, and what it means for the verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import PartialCredentialsError

from offloader.errors import ConfigError, Refused
from offloader.model import Assurance, LocationProof
from offloader_connectors.s3.proof import prove
from tests.unit.s3_proof.answers import OWNER, head, outcome, rule, says

Look = Callable[..., LocationProof]
NOT_BLOCKED = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": False}}


# records


@pytest.mark.parametrize(
    ("probe", "answers"),
    [
        ("logging", {"s3.GetBucketLogging": {"LoggingEnabled": {"TargetBucket": "there-us", "TargetPrefix": "l/"}}}),
        (
            "inventory",
            {
                "s3.ListBucketInventoryConfigurations": {
                    "InventoryConfigurationList": [
                        {"Id": "i", "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::there-us"}}}
                    ]
                }
            },
        ),
        (
            "analytics",
            {
                "s3.ListBucketAnalyticsConfigurations": {
                    "AnalyticsConfigurationList": [
                        {
                            "Id": "a",
                            "StorageClassAnalysis": {
                                "DataExport": {
                                    "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::there-us"}}
                                }
                            },
                        }
                    ]
                }
            },
        ),
        (
            "metadata",
            {
                "s3.GetBucketMetadataConfiguration": {
                    "GetBucketMetadataConfigurationResult": {
                        "MetadataConfigurationResult": {
                            "DestinationResult": {"TableBucketArn": f"arn:aws:s3tables:us-east-1:{OWNER}:bucket/t"}
                        }
                    }
                }
            },
        ),
    ],
)
def test_records_about_documents_are_places(look: Look, probe: str, answers: dict[str, Any]) -> None:
    """Where logs, lists, analyses and tables about the documents are kept is a place."""
    proof = look({**answers, "s3.HeadBucket": head})
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {"DE", "US"})
    assert outcome(proof, probe) == "note"
    assert "us-east-1 (US)" in says(proof, probe)


def test_an_analysis_that_is_not_exported_is_no_place(look: Look) -> None:
    """An analysis that stays in the console goes nowhere."""
    found = {"AnalyticsConfigurationList": [{"Id": "a", "StorageClassAnalysis": {}}]}
    assert outcome(look({"s3.ListBucketAnalyticsConfigurations": found}), "analytics") == "ok"


def test_notifications_are_for_review(look: Look) -> None:
    """Who is told of new documents is listed, without a verdict."""
    answer = {
        "TopicConfigurations": [{"TopicArn": "arn:aws:sns:eu-central-1:1:t", "Events": ["s3:ObjectCreated:*"]}],
        "QueueConfigurations": [{"QueueArn": "arn:aws:sqs:eu-central-1:1:q", "Events": []}],
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": "arn:aws:lambda:eu-central-1:1:function:f"}],
        "EventBridgeConfiguration": {},
    }
    proof = look({"s3.GetBucketNotificationConfiguration": answer})
    assert proof.assurance is Assurance.PROVEN
    assert all(
        word in says(proof, "notification") for word in ("topic t", "queue q", "function function:f", "EventBridge")
    )


# keys


def keyed(name: str | None, **about: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": "aws:kms", **({"KMSMasterKeyID": name} if name else {})}
    arn = about.pop("arn", f"arn:aws:kms:eu-central-1:{OWNER}:key/k")
    found = {"Arn": arn, "AWSAccountId": OWNER, "MultiRegion": False, "KeyState": "Enabled", **about}
    return {
        "s3.GetBucketEncryption": {
            "ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
        },
        "kms.DescribeKey": {"KeyMetadata": {"KeyId": "k", **found}},
    }


def replicas(*others: str) -> dict[str, Any]:
    primary = {"Arn": "a", "Region": "eu-central-1"}
    return {"PrimaryKey": primary, "ReplicaKeys": [{"Arn": "a", "Region": other} for other in others]}


@pytest.mark.parametrize(
    ("answers", "verdict", "countries"),
    [
        (keyed("k"), Assurance.PROVEN, {"DE"}),
        (keyed(None), Assurance.PROVEN, {"DE"}),
        (
            keyed("k", MultiRegion=True, MultiRegionConfiguration=replicas("us-east-1")),
            Assurance.PROVEN,
            {"DE", "US"},
        ),
        (keyed("k", MultiRegion=True), Assurance.UNPROVEN, {"DE"}),
        (keyed("k", MultiRegion=None), Assurance.UNPROVEN, {"DE"}),
        (keyed("k", arn=f"arn:aws:kms:eu-central-1:{OWNER}:key/mrk-1"), Assurance.UNPROVEN, {"DE"}),
        (keyed("k", arn=f"arn:aws:kms:us-east-1:{OWNER}:key/k"), Assurance.PROVEN, {"DE", "US"}),
    ],
)
def test_keys(look: Look, answers: dict[str, Any], verdict: Assurance, countries: set[str]) -> None:
    """Every region that holds the bucket's key is a place; a key that contradicts itself proves nothing."""
    proof = look(answers)
    assert (proof.assurance, proof.countries) == (verdict, countries)


def test_the_configured_key_is_asked_for(look: Look) -> None:
    """The key that the store encrypts with is asked for in its own region, besides the bucket's."""
    asked: list[str] = []

    def describe(region: str, params: object) -> object:
        asked.append(region)
        return keyed("k")["kms.DescribeKey"]

    look({"kms.DescribeKey": describe}, kms_key=f"arn:aws:kms:us-east-1:{OWNER}:key/k")
    assert asked == ["us-east-1"]


def test_a_key_in_other_hands_is_told(look: Look) -> None:
    """A key of another account, or one that is switched off, is told."""
    proof = look(keyed("k", AWSAccountId="999999999999", KeyState="PendingDeletion"))
    assert proof.assurance is Assurance.PROVEN
    assert "another account" in says(proof, "key")
    assert "cannot be used" in says(proof, "key")


# public access, terms


EVERYBODY = {"Grants": [{"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"}]}


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ({"s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": True}}}, Assurance.PROVEN),
        (
            {
                "s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": True}},
                "s3.GetPublicAccessBlock": NOT_BLOCKED,
            },
            Assurance.VIOLATION,
        ),
        ({"s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": False}}}, Assurance.PROVEN),
        ({"s3.GetBucketPolicyStatus": {"PolicyStatus": {}}}, Assurance.UNPROVEN),
        ({"s3.GetBucketAcl": EVERYBODY}, Assurance.PROVEN),
        ({"s3.GetBucketAcl": EVERYBODY, "s3.GetPublicAccessBlock": NOT_BLOCKED}, Assurance.VIOLATION),
        ({"s3.GetPublicAccessBlock": NOT_BLOCKED}, Assurance.PROVEN),
    ],
)
def test_public_access(look: Look, answers: dict[str, Any], verdict: Assurance) -> None:
    """A policy or a grant that lets anybody in, and that nothing blocks, is a VIOLATION."""
    assert look(answers).assurance is verdict


def test_a_violation_is_seen_even_if_the_block_is_not(look: Look, error: Any) -> None:
    """A public policy is a VIOLATION also when it cannot be seen whether something blocks it."""
    public = {"s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": True}}}
    assert look({**public, "s3.GetPublicAccessBlock": error(403, "AccessDenied")}).assurance is Assurance.VIOLATION


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ('{"Effect":"Allow","Principal":"*"}', Assurance.VIOLATION),
        ('[{"Effect":"Allow","Principal":{"AWS":"*"}}]', Assurance.VIOLATION),
        ('[{"Effect":"Allow","Principal":{"AWS":["1","*"]}}]', Assurance.VIOLATION),
        ('[{"Effect":"Deny","Principal":"*"}]', Assurance.ATTESTED),
        ('[{"Effect":"Allow","Principal":"*","Condition":{"Bool":{}}}]', Assurance.ATTESTED),
        ('[{"Effect":"Allow","Principal":{"AWS":"1"}}]', Assurance.ATTESTED),
        ('["x"]', Assurance.UNPROVEN),
        ("{", Assurance.UNPROVEN),
    ],
)
def test_a_policy_is_read_where_nobody_judges_it(
    look: Look, lab: dict[str, Any], statement: str, verdict: Assurance
) -> None:
    """On a server that does not say whether a policy is public, the policy itself is read."""
    policy = {
        "s3.GetBucketPolicyStatus": {"PolicyStatus": {}},
        "s3.GetBucketPolicy": {"Policy": f'{{"Statement":{statement}}}'},
    }
    assert look({**policy, "s3.GetPublicAccessBlock": NOT_BLOCKED}, **lab).assurance is verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"Expiration": {"Days": 30}}, Assurance.VIOLATION),
        ({"Expiration": {"Date": "2027-01-01"}}, Assurance.VIOLATION),
        ({"Expiration": {"Days": 30}, "Status": "Disabled"}, Assurance.PROVEN),
        ({"Expiration": {"Days": 30}, "Filter": {"Prefix": "logs/"}}, Assurance.PROVEN),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, Assurance.PROVEN),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}, Assurance.PROVEN),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, Assurance.PROVEN),
        ({"Transitions": [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}]}, Assurance.PROVEN),
        ({"Status": None}, Assurance.UNPROVEN),
    ],
)
def test_lifecycle_rules(look: Look, found: dict[str, Any], verdict: Assurance) -> None:
    """A rule that deletes the store's documents by itself is a VIOLATION; one that archives them is told."""
    proof = look(
        {"s3.GetBucketLifecycleConfiguration": {"Rules": [{"ID": "r", "Status": "Enabled", **found}]}}, prefix="crm/"
    )
    assert proof.assurance is verdict
    assert ("archive" in says(proof, "lifecycle")) is ("Transitions" in found)


@pytest.mark.parametrize(
    ("probe", "answers", "words"),
    [
        ("website", {"s3.GetBucketWebsite": {"IndexDocument": {"Suffix": "i"}}}, "web site"),
        ("versioning", {"s3.GetBucketVersioning": {"Status": "Enabled"}}, "versions"),
        (
            "lock",
            {
                "s3.GetObjectLockConfiguration": {
                    "ObjectLockConfiguration": {
                        "ObjectLockEnabled": "Enabled",
                        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 7}},
                    }
                }
            },
            "7 years by default (COMPLIANCE)",
        ),
    ],
)
def test_what_is_only_told(look: Look, probe: str, answers: dict[str, Any], words: str) -> None:
    """Settings that say nothing about the place are told without a verdict."""
    proof = look(answers)
    assert proof.assurance is Assurance.PROVEN
    assert outcome(proof, probe) == "note"
    assert words in says(proof, probe)


# what the questions have in common


def test_without_an_owner_the_credentials_say_which_account(look: Look) -> None:
    """If somebody vouches for the owner, the account of the credentials is asked about."""
    asked: list[str] = []

    def jobs(region: str, params: dict[str, Any]) -> object:
        asked.append(str(params))
        return {"Jobs": []}

    who = {"attested_by": "Ms Example", "attested_until": "2026-12-31"}
    proof = look({"s3control.ListJobs": jobs}, expected_owner=None, proof={"skip": ["owner"]}, **who)
    assert proof.assurance is Assurance.ATTESTED
    assert all(OWNER in params for params in asked)
    strange = {"sts.GetCallerIdentity": {"Account": "../x", "Arn": "a"}}
    assert look(strange, expected_owner=None, proof={"skip": ["owner"]}, **who).assurance is Assurance.UNPROVEN


def test_too_many_jobs_are_no_answer(look: Look) -> None:
    """An account with more jobs than can be looked through is UNPROVEN."""
    many = {"Jobs": [{"JobId": f"job-{number:05}", "Operation": "LambdaInvoke"} for number in range(300)]}
    described = {"Job": {"Operation": {"LambdaInvoke": {}}}}
    proof = look({"s3control.ListJobs": many, "s3control.DescribeJob": described})
    assert proof.assurance is Assurance.UNPROVEN
    assert "600 jobs" in proof.summary


def test_a_copy_within_a_server_stays_there(look: Look, lab: dict[str, Any]) -> None:
    """On a server that knows no regions, a destination that it shows is on the same server."""
    silent = {"s3.HeadBucket": {}, "s3.GetBucketLocation": {"LocationConstraint": None}}
    proof = look({**silent, "s3.GetBucketReplication": rule("backup")}, **lab)
    assert (proof.assurance, proof.countries) == (Assurance.ATTESTED, {"DE"})


def test_logs_in_the_bucket_itself_are_no_new_place(look: Look) -> None:
    """A bucket that keeps its own logs has one place."""
    proof = look({"s3.GetBucketLogging": {"LoggingEnabled": {"TargetBucket": "archive"}}})
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {"DE"})


@pytest.mark.parametrize(
    "trouble", [Refused("would go to another region"), PartialCredentialsError(provider="p", cred_var="v")]
)
def test_a_client_that_refuses_is_no_answer(look: Look, trouble: Exception) -> None:
    """A request that the client itself refuses leaves its question unanswered."""
    proof = look({"s3.GetBucketLogging": lambda region, params: trouble})
    assert proof.assurance is Assurance.UNPROVEN
    assert "get_bucket_logging cannot be asked" in proof.summary


def test_no_client_is_no_proof(make_options: Callable[..., Any]) -> None:
    """If no client can be made at all, the proof is UNPROVEN and says why."""

    class Broken:
        @property
        def s3(self) -> Any:
            raise ConfigError("the environment variable KEY is not set")

        def other(self, service: str, region: str | None = None) -> Any:
            raise ConfigError("the environment variable KEY is not set")

    proof = prove(Broken(), make_options(), "de", datetime(2026, 11, 22, tzinfo=UTC))
    assert proof.assurance is Assurance.UNPROVEN
    assert "KEY is not set" in proof.summary


def test_a_client_of_another_region_is_a_violation(look: Look, make_options: Callable[..., Any], workshop: Any) -> None:
    """A client that signs for another region than configured is a VIOLATION, whatever the answers are."""

    class Astray:
        s3 = workshop.client("s3", "eu-west-1", None)

        def other(self, service: str, region: str | None = None) -> Any:
            return workshop.client(service, region or "eu-central-1", None)

    look()  # sets the answers
    proof = prove(Astray(), make_options(), "de", datetime(2026, 11, 22, tzinfo=UTC))
    assert proof.assurance is Assurance.VIOLATION
    assert "signed for eu-west-1" in proof.summary


def test_a_missing_lock_is_told(look: Look) -> None:
    """A store that should lock documents, in a bucket that cannot, is told so."""
    assert "no object lock" in says(look(object_lock={"days": 1}), "lock")


def test_a_bucket_that_is_gone_but_known(look: Look, error: Any) -> None:
    """A region in the header of "there is no such bucket" does not make a bucket."""
    gone = error(404, "404", {"x-amz-bucket-region": "eu-central-1"})
    assert look({"s3.HeadBucket": gone}).assurance is Assurance.UNPROVEN
