"""Laws of the S3 proof that hold for every combination of bad answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offloader.model import Assurance, LocationProof

Look = Callable[..., LocationProof]
RANK = [Assurance.PROVEN, Assurance.ATTESTED, Assurance.UNPROVEN, Assurance.VIOLATION]
PUBLIC_GRANT = {"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"}
FAR = "arn:aws:backup:us-east-1:123456789012:backup-vault:far"
#: one bad answer for each call: forbidden, missing, strange, unknown places, and outright violations
BAD: dict[str, Any] = {
    "account.ListRegions": {"Regions": [{"RegionName": 5}]},
    "backup.ListBackupPlans": "forbidden",
    "backup.ListCopyJobs": {"CopyJobs": [{"DestinationBackupVaultArn": "no-arn"}]},
    "backup.ListRecoveryPointsByResource": {"RecoveryPoints": [{"RecoveryPointArn": FAR.replace("us-east-1", "xx-1")}]},
    "cloudfront.ListDistributions": {
        "DistributionList": {
            "Items": [{"Id": "E", "Enabled": True, "Origins": {"Items": [{"DomainName": "archive.s3.amazonaws.com"}]}}]
        }
    },
    "s3.GetBucketAccelerateConfiguration": {"Status": "Enabled"},
    "s3.GetBucketAcl": {"Grants": [PUBLIC_GRANT]},
    "s3.GetBucketEncryption": "forbidden",
    "s3.GetBucketLifecycleConfiguration": {"Rules": [{"Status": "Enabled", "Expiration": {"Days": 1}}]},
    "s3.GetBucketLocation": {"LocationConstraint": "EU"},
    "s3.GetBucketLogging": {"LoggingEnabled": {}},
    "s3.GetBucketMetadataConfiguration": {},
    "s3.GetBucketNotificationConfiguration": "forbidden",
    "s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": True}},
    "s3.GetBucketReplication": {"ReplicationConfiguration": {"Rules": [{"ID": "no destination"}]}},
    "s3.GetBucketVersioning": "forbidden",
    "s3.GetBucketWebsite": {"IndexDocument": {"Suffix": "i"}},
    "s3.GetObjectLockConfiguration": "forbidden",
    "s3.GetPublicAccessBlock": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": "yes"}},
    "s3.HeadBucket": {"BucketRegion": "us-east-1"},
    "s3.ListBucketAnalyticsConfigurations": {"IsTruncated": True},
    "s3.ListBucketInventoryConfigurations": {"InventoryConfigurationList": [{}]},
    "s3.ListObjectsV2": {"Contents": [{"Key": "k", "StorageClass": "OUTPOSTS"}]},
    "s3control.ListAccessPoints": "forbidden",
    "s3control.ListAccessPointsForObjectLambda": {"ObjectLambdaAccessPointList": [{}]},
    "s3control.ListJobs": {"Jobs": [{"Operation": "S3PutObjectCopy"}]},
    "s3control.ListMultiRegionAccessPoints": {"AccessPoints": [{"Regions": [{"Bucket": "archive", "Region": "xx-1"}]}]},
    "sts.GetCallerIdentity": "forbidden",
}
#: what proves nothing, so that a bad answer to it changes no verdict
HARMLESS = {
    "s3.GetBucketNotificationConfiguration",
    "s3.GetBucketVersioning",
    "s3.GetBucketWebsite",
    "s3.GetObjectLockConfiguration",
    "s3control.ListAccessPoints",
    "sts.GetCallerIdentity",
}
CALLS = st.sets(st.sampled_from(sorted(BAD)))


def answers(calls: set[str], error: Any) -> dict[str, Any]:
    return {call: error(403, "AccessDenied") if BAD[call] == "forbidden" else BAD[call] for call in calls}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=CALLS, more=CALLS)
def test_bad_news_never_helps(look: Look, error: Any, first: set[str], more: set[str]) -> None:
    """Adding any bad answer to any others never makes the verdict better."""
    before, after = (look(answers(calls, error)).assurance for calls in (first, first | more))
    assert RANK.index(before) <= RANK.index(after)


def test_every_bad_answer_counts(look: Look, error: Any) -> None:
    """Each bad answer alone already ends the proof, except to a question that proves nothing."""
    usable = {call for call in BAD if look(answers({call}, error)).usable_at(look().taken)}
    # a block on public access makes a public policy or grant harmless
    assert usable == HARMLESS | {"s3.GetBucketAcl", "s3.GetBucketPolicyStatus"}


def test_no_call_is_left_out(clean_answers: dict[str, Any]) -> None:
    """There is a bad answer for every call that a clean bucket's proof makes, one that is never reached apart."""
    assert clean_answers.keys() - BAD.keys() == {"s3.HeadObject"}
