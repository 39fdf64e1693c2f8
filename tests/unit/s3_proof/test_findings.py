"""What each question finds, where that is, and what it means for the verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import PartialCredentialsError

from offloader.errors import ConfigError, Refused
from offloader.model import Assurance, LocationProof
from offloader_connectors.regions import evidence
from offloader_connectors.s3.proof import prove

Look = Callable[..., LocationProof]
OWNER = "123456789012"
NOT_BLOCKED = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": False}}
ELSEWHERE = {"there-us": "us-east-1", "there-de": "eu-central-1", "there-odd": "xx-nowhere-1"}


def head(region: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer where a bucket is, by the name in the address."""
    return {"BucketRegion": next((where for name, where in ELSEWHERE.items() if name in params["url"]), "eu-central-1")}


def outcome(proof: LocationProof, probe: str) -> str:
    return str(evidence.read(proof.evidence[probe])["outcome"])


def says(proof: LocationProof, probe: str) -> str:
    return str(evidence.read(proof.evidence[probe])["says"])


def rule(bucket: str, **more: Any) -> dict[str, Any]:
    found = {"ID": "r", "Status": "Enabled", "Filter": {}, "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"}, **more}
    return {"ReplicationConfiguration": {"Role": "x", "Rules": [found]}}


# replication


@pytest.mark.parametrize(
    ("bucket", "more", "verdict", "countries"),
    [
        ("there-us", {}, Assurance.PROVEN, {"DE", "US"}),
        ("there-us", {"Status": "Disabled"}, Assurance.PROVEN, {"DE", "US"}),
        ("there-de", {}, Assurance.PROVEN, {"DE"}),
        ("there-odd", {}, Assurance.UNPROVEN, {"DE"}),
        ("there-us", {"Filter": {"Prefix": "other/"}}, Assurance.PROVEN, {"DE"}),
        ("there-us", {"Filter": {"And": {"Prefix": "crm/docu", "Tags": []}}}, Assurance.PROVEN, {"DE", "US"}),
        ("there-us", {"Prefix": "cr"}, Assurance.PROVEN, {"DE", "US"}),
        ("there-us", {"Filter": {"Tag": {"Key": "a", "Value": "b"}}}, Assurance.PROVEN, {"DE", "US"}),
    ],
)
def test_replication(look: Look, bucket: str, more: dict[str, Any], verdict: Assurance, countries: set[str]) -> None:
    """Each rule that can apply to the store's keys adds the place of its destination; an unknown one proves nothing."""
    proof = look({"s3.GetBucketReplication": rule(bucket, **more), "s3.HeadBucket": head}, prefix="crm/")
    assert (proof.assurance, proof.countries) == (verdict, countries)
    assert bucket in says(proof, "replication")


def test_a_hidden_destination_proves_nothing(look: Look, error: Any) -> None:
    """A destination that shows no region is UNPROVEN, one that shows it with a refusal is known."""

    def hidden(headers: dict[str, str]) -> Callable[..., Any]:
        return lambda region, params: error(403, "403", headers) if "there" in params["url"] else head(region, params)

    proof = look({"s3.GetBucketReplication": rule("there"), "s3.HeadBucket": hidden({})})
    assert proof.assurance is Assurance.UNPROVEN
    assert "where that is cannot be seen" in proof.summary
    shown = hidden({"x-amz-bucket-region": "us-east-1"})
    assert look({"s3.GetBucketReplication": rule("there"), "s3.HeadBucket": shown}).countries == {"DE", "US"}


def test_one_rule_does_not_hide_another(look: Look) -> None:
    """A rule that cannot be understood leaves the place of the next one known."""
    both = rule("there-us")
    both["ReplicationConfiguration"]["Rules"].insert(0, {"ID": "x", "Status": "Enabled"})
    proof = look({"s3.GetBucketReplication": both, "s3.HeadBucket": head})
    assert (proof.assurance, proof.countries) == (Assurance.UNPROVEN, {"DE", "US"})


# batch jobs


def job(region: str, operation: dict[str, Any], source: str | None) -> dict[str, Any]:
    """Answers of an account with one batch job in a region."""
    listed = {"JobId": "job-0001", "Operation": next(iter(operation)), "Status": "Complete"}
    generator = {"ManifestGenerator": {"S3JobManifestGenerator": {"SourceBucket": f"arn:aws:s3:::{source}"}}}
    return {
        "s3control.ListJobs": lambda asked, params: {"Jobs": [listed] if asked == region else []},
        "s3control.DescribeJob": {
            "Job": {"JobId": "job-0001", "Operation": operation, **(generator if source else {})}
        },
    }


def copy_to(bucket: str) -> dict[str, Any]:
    return {"S3PutObjectCopy": {"TargetResource": f"arn:aws:s3:::{bucket}"}}


@pytest.mark.parametrize(
    ("region", "operation", "source", "verdict", "countries"),
    [
        ("us-east-1", copy_to("there-us"), "archive", Assurance.PROVEN, {"DE", "US"}),
        ("us-east-1", copy_to("there-us"), "unrelated", Assurance.PROVEN, {"DE"}),
        ("us-east-1", copy_to("there-us"), None, Assurance.UNPROVEN, {"DE"}),
        ("eu-central-1", copy_to("there-de"), None, Assurance.PROVEN, {"DE"}),
        ("eu-central-1", copy_to("archive"), None, Assurance.PROVEN, {"DE"}),
        ("eu-central-1", {"S3ReplicateObject": {}}, "archive", Assurance.UNPROVEN, {"DE"}),
        ("eu-central-1", {"S3ReplicateObject": {}}, None, Assurance.UNPROVEN, {"DE"}),
        ("eu-central-1", {"S3ReplicateObject": {}}, "unrelated", Assurance.PROVEN, {"DE"}),
        ("eu-central-1", {"LambdaInvoke": {"FunctionArn": "arn"}}, "archive", Assurance.PROVEN, {"DE"}),
        ("us-east-1", {"S3DeleteObjectTagging": {}}, None, Assurance.PROVEN, {"DE"}),
    ],
)
def test_batch_jobs(
    look: Look,
    region: str,
    operation: dict[str, Any],
    source: str | None,
    verdict: Assurance,
    countries: set[str],
) -> None:
    """A copy job counts in the region whose list it stands in; one whose objects are unknown proves nothing abroad."""
    proof = look(job(region, operation, source))
    assert (proof.assurance, proof.countries) == (verdict, countries)


def test_batch_replication_follows_the_rules(look: Look) -> None:
    """A batch replication of a bucket that still has rules has no other places than theirs."""
    answers = {**job("eu-central-1", {"S3ReplicateObject": {}}, "archive"), "s3.GetBucketReplication": rule("there-us")}
    proof = look({**answers, "s3.HeadBucket": head})
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {"DE", "US"})


def test_jobs_are_looked_for_in_every_enabled_region(look: Look) -> None:
    """The lists of all enabled regions are asked, and a region that does not answer proves nothing."""
    asked: list[str] = []

    def jobs(region: str, params: object) -> object:
        asked.append(region)
        return {"Jobs": []} if region != "us-east-1" else ValueError("broken")

    proof = look({"s3control.ListJobs": jobs})
    assert sorted(asked) == ["eu-central-1", "us-east-1"]
    assert proof.assurance is Assurance.UNPROVEN
    assert "batch jobs of us-east-1" in proof.summary


# other copies and ways


def point(*where: tuple[str, str]) -> dict[str, Any]:
    found = [{"Bucket": bucket, "Region": region} for bucket, region in where]
    return {"s3control.ListMultiRegionAccessPoints": {"AccessPoints": [{"Alias": "a.mrap", "Regions": found}]}}


@pytest.mark.parametrize(
    ("where", "verdict", "countries"),
    [
        ([("archive", "eu-central-1"), ("b", "us-east-1")], Assurance.PROVEN, {"DE", "US"}),
        ([("archive", "eu-central-1"), ("b", "xx-nowhere-1")], Assurance.UNPROVEN, {"DE"}),
        ([("a", "eu-central-1"), ("b", "us-east-1")], Assurance.PROVEN, {"DE"}),
    ],
)
def test_multi_region_access_points(
    look: Look, where: list[tuple[str, str]], verdict: Assurance, countries: set[str]
) -> None:
    """Every region of an access point that the bucket is part of is a place."""
    proof = look(point(*where))
    assert (proof.assurance, proof.countries) == (verdict, countries)


@pytest.mark.parametrize(("supporting", "countries"), [("ours", {"DE", "US"}), ("another", {"DE"})])
def test_functions_that_readers_pass(look: Look, supporting: str, countries: set[str]) -> None:
    """A function through which the bucket's documents are read is a place; one on another bucket is not."""
    function = f"arn:aws:lambda:us-east-1:{OWNER}:function:f"
    step = {"Actions": ["GetObject"], "ContentTransformation": {"AwsLambda": {"FunctionArn": function}}}
    proof = look(
        {
            "s3control.ListAccessPoints": {"AccessPointList": [{"Name": "p", "AccessPointArn": "ours"}]},
            "s3control.ListAccessPointsForObjectLambda": {"ObjectLambdaAccessPointList": [{"Name": "olap"}]},
            "s3control.GetAccessPointConfigurationForObjectLambda": {
                "Configuration": {"SupportingAccessPoint": supporting, "TransformationConfigurations": [step]}
            },
        }
    )
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, countries)


VAULT = f"arn:aws:backup:us-east-1:{OWNER}:backup-vault:far"


def plan(*, rules: list[dict[str, Any]], selection: dict[str, Any]) -> dict[str, Any]:
    return {
        "backup.ListBackupPlans": {"BackupPlansList": [{"BackupPlanId": "p"}]},
        "backup.GetBackupPlan": {"BackupPlan": {"BackupPlanName": "n", "Rules": rules}},
        "backup.ListBackupSelections": {"BackupSelectionsList": [{"SelectionId": "s"}]},
        "backup.GetBackupSelection": {"BackupSelection": {"SelectionName": "s", **selection}},
    }


COPYING = [{"RuleName": "r", "TargetBackupVaultName": "v", "CopyActions": [{"DestinationBackupVaultArn": VAULT}]}]
AIRGAP = [{"RuleName": "r", "TargetBackupVaultName": "v", "TargetLogicallyAirGappedBackupVaultArn": VAULT}]


@pytest.mark.parametrize(
    ("answers", "countries"),
    [
        ({"backup.ListCopyJobs": {"CopyJobs": [{"DestinationBackupVaultArn": VAULT}]}}, {"DE", "US"}),
        (
            {
                "backup.ListRecoveryPointsByResource": {
                    "RecoveryPoints": [{"RecoveryPointArn": f"arn:aws:backup:eu-central-1:{OWNER}:recovery-point:a-1"}]
                }
            },
            {"DE"},
        ),
        (plan(rules=COPYING, selection={"Resources": ["arn:aws:s3:::archive"]}), {"DE", "US"}),
        (plan(rules=AIRGAP, selection={"Resources": ["arn:aws:s3:::*"]}), {"DE", "US"}),
        (plan(rules=COPYING, selection={"Resources": ["*"], "NotResources": ["arn:aws:s3:::arch*"]}), {"DE"}),
        (plan(rules=COPYING, selection={"Resources": ["arn:aws:s3:::other"]}), {"DE"}),
        (plan(rules=COPYING, selection={"ListOfTags": [{"ConditionType": "STRINGEQUALS"}]}), {"DE", "US"}),
        (plan(rules=[{"RuleName": "r", "TargetBackupVaultName": "v"}], selection={"Resources": ["*"]}), {"DE"}),
    ],
)
def test_backups(look: Look, answers: dict[str, Any], countries: set[str]) -> None:
    """Vaults that hold, received, or will receive backups of the bucket are places."""
    proof = look(answers)
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, countries)


def distribution(host: str, path: str = "", *, enabled: bool = True) -> dict[str, Any]:
    origins = {"Quantity": 1, "Items": [{"Id": "o", "DomainName": host, "OriginPath": path}]}
    found = {"Id": "E1", "Enabled": enabled, "Origins": origins}
    return {"cloudfront.ListDistributions": {"DistributionList": {"IsTruncated": False, "Items": [found]}}}


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (distribution("archive.s3.amazonaws.com"), Assurance.VIOLATION),
        (distribution("Archive.S3.eu-central-1.amazonaws.com."), Assurance.VIOLATION),
        (distribution("archive.s3-website.eu-central-1.amazonaws.com"), Assurance.VIOLATION),
        (distribution("s3.eu-central-1.amazonaws.com", "/archive/crm"), Assurance.VIOLATION),
        (distribution("point-1a2b-s3alias.s3.eu-central-1.amazonaws.com"), Assurance.VIOLATION),
        (distribution("archive.s3.amazonaws.com", enabled=False), Assurance.PROVEN),
        (distribution("archive2.s3.amazonaws.com"), Assurance.PROVEN),
        (distribution("www.example.net", "/archive"), Assurance.PROVEN),
    ],
)
def test_content_delivery_networks(look: Look, answers: dict[str, Any], verdict: Assurance) -> None:
    """A distribution that fetches from the bucket, by whatever name, keeps copies all over the world: VIOLATION."""
    alias = {"Name": "point", "Alias": "point-1a2b-s3alias"}
    assert look({**answers, "s3control.ListAccessPoints": {"AccessPointList": [alias]}}).assurance is verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"Status": "Enabled"}, Assurance.VIOLATION),
        ({"Status": "Suspended"}, Assurance.PROVEN),
        ({"Status": "Maybe"}, Assurance.UNPROVEN),
    ],
)
def test_acceleration(look: Look, answer: dict[str, str], verdict: Assurance) -> None:
    """Transfer acceleration that is on lets documents pass through any country."""
    assert look({"s3.GetBucketAccelerateConfiguration": answer}).assurance is verdict


@pytest.mark.parametrize(
    ("heads", "verdict"),
    [
        ({"ReplicationStatus": "COMPLETED"}, Assurance.VIOLATION),
        ({"ReplicationStatus": "REPLICA"}, Assurance.PROVEN),
        ({}, Assurance.PROVEN),
    ],
)
def test_traces_of_a_rule_that_is_gone(look: Look, heads: dict[str, str], verdict: Assurance) -> None:
    """A document that was copied by a rule that is gone has a copy nobody knows where."""
    listed = {"Contents": [{"Key": "documents/1", "StorageClass": "STANDARD"}]}
    assert look({"s3.ListObjectsV2": listed, "s3.HeadObject": heads}).assurance is verdict


@pytest.mark.parametrize(
    ("kept", "verdict"),
    [("OUTPOSTS", Assurance.VIOLATION), ("SNOW", Assurance.VIOLATION), ("GLACIER", Assurance.PROVEN)],
)
def test_documents_kept_outside_the_region(look: Look, kept: str, verdict: Assurance) -> None:
    """A document of a class that is kept on premises or in a device is not in the region."""
    assert look({"s3.ListObjectsV2": {"Contents": [{"Key": "d", "StorageClass": kept}]}}).assurance is verdict


def test_an_unknown_storage_class_proves_nothing(look: Look) -> None:
    """A store configured for a class that nobody knows is UNPROVEN."""
    assert look(unchecked={"storage_class": "FSX_OPENZFS"}).assurance is Assurance.UNPROVEN
    assert look(storage_class="STANDARD_IA").assurance is Assurance.PROVEN


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
