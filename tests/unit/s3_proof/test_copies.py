"""What each question about copies finds, where those are, and what it means for the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from offloader.model import Assurance, LocationProof
from tests.unit.s3_proof.answers import OWNER, head, rule, says

Look = Callable[..., LocationProof]


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
