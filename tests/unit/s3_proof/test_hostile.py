"""Answers that no honest server gives: they prove nothing, and they are never an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offloader.evidence import read
from offloader.model import Assurance, LocationProof
from offloader_connectors.regions import evidence
from offloader_connectors.s3 import probes

Look = Callable[..., LocationProof]
USABLE = (Assurance.PROVEN, Assurance.ATTESTED)
RULE = b"<Rule><ID>r</ID><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::b</Bucket></Destination></Rule>"
BODIES = [
    b"",
    b"\x00\xff\xfe",
    b"<",
    b"<a><b></a>",
    b"<Error><Code>x</Code>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"<a>" * 5000,
    b"[]",
    b"5",
    b"null",
    b"[" * 100_000,
    b'{"a":',
    b'"\xc3\x28"',
]
#: calls whose bad answer makes the whole proof worthless, with the question that they belong to
REQUIRED = {
    "account.ListRegions": "jobs",
    "backup.ListBackupPlans": "backup",
    "cloudfront.ListDistributions": "cloudfront",
    "s3.GetBucketEncryption": "key",
    "s3.GetBucketLifecycleConfiguration": "lifecycle",
    "s3.GetBucketLocation": "region",
    "s3.GetBucketReplication": "replication",
    "s3.GetPublicAccessBlock": "public",
    "s3.HeadBucket": "region",
    "s3control.ListJobs": "jobs",
}


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_server_that_says_the_same_to_everything(
    look: Look, raw: Any, clean_answers: dict[str, Any], body: bytes
) -> None:
    """A server whose every answer is the same rubbish proves nothing."""
    proof = look(dict.fromkeys(clean_answers, raw(body)))
    assert proof.assurance not in USABLE
    assert not proof.usable_at(proof.taken)
    assert proof.sha256 == evidence.fingerprint(proof.evidence)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 403, 404, 500, 599])
def test_a_server_with_strange_statuses(look: Look, raw: Any, clean_answers: dict[str, Any], status: int) -> None:
    """Neither does one that answers everything with a status and nothing more."""
    assert look(dict.fromkeys(clean_answers, raw(b"", status))).assurance not in USABLE


@pytest.mark.parametrize("call", ["account.ListRegions", "backup.ListBackupPlans", "kms.DescribeKey"])
@pytest.mark.parametrize(
    "body",
    [b'{"X":1}', b'{"%s":5}', b'{"%s":[1,2]}', b'{"%s":{"a":1}}', b'{"%s":"text"}', b'{"%s":[{"RegionName":[]}]}'],
)
def test_json_of_another_shape(look: Look, raw: Any, call: str, body: bytes) -> None:
    """JSON with other types than documented makes the question unanswered, whatever botocore makes of it."""
    key = {
        "account.ListRegions": b"Regions",
        "backup.ListBackupPlans": b"BackupPlansList",
        "kms.DescribeKey": b"KeyMetadata",
    }
    answers: dict[str, Any] = {call: raw(body.replace(b"%s", key[call]))}
    proof = look(answers, kms_key="k")
    assert proof.assurance is Assurance.UNPROVEN


def test_a_giant_list(look: Look, raw: Any) -> None:
    """A list too long to look through is no answer, and neither fills the evidence nor the summary."""
    body = b"<ReplicationConfiguration><Role>r</Role>" + RULE * 20_000 + b"</ReplicationConfiguration>"
    proof = look({"s3.GetBucketReplication": raw(body)})
    assert proof.assurance is Assurance.UNPROVEN
    assert "more than" in proof.summary
    assert len(json.dumps(dict(proof.evidence))) < 50_000
    assert len(proof.summary) < 3_000


def test_a_list_without_end(look: Look) -> None:
    """A listing that always has another page is given up, one that gives the same token again at once."""
    pages = iter(range(10**9))

    def endless(region: str, params: object) -> object:
        return {"BackupPlansList": [], "NextToken": str(next(pages))}

    proof = look({"backup.ListBackupPlans": endless})
    assert proof.assurance is Assurance.UNPROVEN
    assert "more entries than" in proof.summary
    assert next(pages) < 2_000
    again = look({"backup.ListBackupPlans": {"BackupPlansList": [], "NextToken": "x"}})
    assert again.assurance is Assurance.UNPROVEN


def test_every_page_counts(look: Look) -> None:
    """What stands on a later page is seen."""
    vault = "arn:aws:backup:us-east-1:123456789012:backup-vault:far"

    def pages(region: str, params: dict[str, Any]) -> object:
        if "nextToken=two" in json.dumps(params, default=str) or "two" in str(params.get("query_string")):
            return {"CopyJobs": [{"DestinationBackupVaultArn": vault}]}
        return {"CopyJobs": [], "NextToken": "two"}

    assert look({"backup.ListCopyJobs": pages}).countries == {"DE", "US"}


def test_a_listing_that_breaks_off(look: Look) -> None:
    """A listing that says there is more, and not how to get it, is no answer."""
    broken = {"DistributionList": {"IsTruncated": True, "Items": []}}
    assert look({"cloudfront.ListDistributions": broken}).assurance is Assurance.UNPROVEN


def test_hostile_names_stay_harmless(look: Look) -> None:
    """Names with control characters, or too long, are shown without them and shortened."""
    name = "\x1b[2J\r\n" + "x" * 10_000
    rule = {"ID": name, "Status": "Enabled", "Expiration": {"Days": 1}}
    proof = look({"s3.GetBucketLifecycleConfiguration": {"Rules": [rule] * 100}})
    assert proof.assurance is Assurance.VIOLATION
    assert proof.summary.isprintable()
    assert len(proof.summary) < 1_000


@pytest.mark.parametrize("region", ["EU-CENTRAL-1", "eu-central-1\n", "x" * 100, "../..", "", "eu-central-1/x"])
def test_a_region_that_is_none(look: Look, region: str) -> None:
    """A header with something that is not a region's name, or not this one, does not pass for this one."""
    assert look({"s3.HeadBucket": {"BucketRegion": region}}).assurance not in USABLE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def leaves(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in an answer where something stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in leaves(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:
    """The same answer with something else in one place."""
    if not path:
        return new
    if isinstance(value, dict):
        return {key: replaced(each, path[1:], new) if key == path[0] else each for key, each in value.items()}
    return [replaced(each, path[1:], new) if key == path[0] else each for key, each in enumerate(value)]


#: a bucket where every question finds something
FULL: dict[str, Any] = {
    "s3.GetBucketReplication": {
        "ReplicationConfiguration": {
            "Role": "r",
            "Rules": [
                {
                    "ID": "r",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "Destination": {"Bucket": "arn:aws:s3:::there"},
                }
            ],
        }
    },
    "s3.GetBucketLogging": {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": ""}},
    "s3.GetBucketLifecycleConfiguration": {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}}]},
    "s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": False}},
    "s3.GetBucketNotificationConfiguration": {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:eu-west-1:1:t"}]},
    "s3.ListBucketInventoryConfigurations": {
        "InventoryConfigurationList": [{"Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::lists"}}}]
    },
    "kms.DescribeKey": {
        "KeyMetadata": {
            "Arn": "arn:aws:kms:eu-central-1:123456789012:key/mrk-1",
            "MultiRegion": True,
            "MultiRegionConfiguration": {
                "PrimaryKey": {"Region": "eu-central-1"},
                "ReplicaKeys": [{"Region": "eu-west-1"}],
            },
        }
    },
    "s3control.ListMultiRegionAccessPoints": {
        "AccessPoints": [{"Alias": "a", "Regions": [{"Bucket": "archive", "Region": "eu-central-1"}]}]
    },
    "s3control.ListJobs": {"Jobs": [{"JobId": "job-1", "Operation": "S3PutObjectCopy"}]},
    "s3control.DescribeJob": {
        "Job": {
            "Operation": {"S3PutObjectCopy": {"TargetResource": "arn:aws:s3:::there"}},
            "ManifestGenerator": {"S3JobManifestGenerator": {"SourceBucket": "arn:aws:s3:::archive"}},
        }
    },
    "backup.ListBackupPlans": {"BackupPlansList": [{"BackupPlanId": "p"}]},
    "backup.GetBackupPlan": {
        "BackupPlan": {"Rules": [{"CopyActions": [{"DestinationBackupVaultArn": "arn:aws:backup:eu-west-1:1:v:w"}]}]}
    },
    "backup.ListBackupSelections": {"BackupSelectionsList": [{"SelectionId": "s"}]},
    "backup.GetBackupSelection": {"BackupSelection": {"Resources": ["*"]}},
    "cloudfront.ListDistributions": {
        "DistributionList": {
            "Items": [
                {"Id": "E", "Enabled": True, "Origins": {"Items": [{"DomainName": "x.example", "OriginPath": ""}]}}
            ]
        }
    },
}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_an_answer(look: Look, clean_answers: dict[str, Any], data: st.DataObject) -> None:
    """Any value in any place of any answer leads to a verdict with whole evidence, never to an error."""
    answers = {**clean_answers, **FULL}
    call = data.draw(st.sampled_from(sorted(name for name, answer in answers.items() if isinstance(answer, dict))))
    path = data.draw(st.sampled_from(leaves(answers[call])))
    proof = look({**answers, call: replaced(answers[call], path, data.draw(JSON))}, kms_key="k")
    assert proof.evidence.keys() == {*probes.NAMES, "attestation", "questions", "about"}
    assert proof.sha256 == evidence.fingerprint(proof.evidence)
    assert proof.summary.isprintable()


def test_the_full_bucket_is_a_good_one(look: Look) -> None:
    """The bucket that the test above damages is proven as it is, in both of its countries or more."""
    proof = look(FULL, kms_key="k")
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {"DE", "IE", "US"})


@pytest.mark.parametrize(("call", "probe"), REQUIRED.items())
@pytest.mark.parametrize("answer", [5, "x", [], None, True], ids=str)
def test_an_answer_that_is_none(look: Look, call: str, probe: str, answer: object) -> None:
    """A required answer that is no structure at all makes its question unanswered."""
    proof = look({call: lambda region, params: answer})
    assert proof.assurance is Assurance.UNPROVEN
    assert read(proof.evidence[probe])["outcome"] == "unknown"


def test_missing_clients(look: Look) -> None:
    """Without credentials the proof is UNPROVEN and says so."""
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

    proof = look({"s3.HeadBucket": lambda region, params: NoCredentialsError()})
    assert proof.assurance is Assurance.UNPROVEN
    assert "NoCredentialsError" in proof.summary
