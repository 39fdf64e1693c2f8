"""The proof against moto, which knows what ministack lacks: multi-region keys and access points, inventories."""

from __future__ import annotations

from typing import Any

import pytest

from offloader.evidence import read
from offloader.model import Assurance


@pytest.fixture
def clean(on_moto: Any) -> Any:
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    on_moto.client("s3").put_public_access_block(
        Bucket="archive", PublicAccessBlockConfiguration=dict.fromkeys(names, True)
    )
    return on_moto


def test_a_clean_bucket_is_proven(clean: Any) -> None:
    """A bucket with nothing beside it is PROVEN, with the same evidence each time."""
    first, second = clean.prove(), clean.prove()
    assert (first.assurance, first.countries) == (Assurance.PROVEN, {"DE"})
    assert first.sha256 == second.sha256


def test_a_multi_region_key_is_found(clean: Any) -> None:
    """A key with a replica in another region adds that region, and its primary too."""
    kms = clean.client("kms")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]
    kms.replicate_key(KeyId=key["KeyId"], ReplicaRegion="us-east-1")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["Arn"]}}
    clean.client("s3").put_bucket_encryption(Bucket="archive", ServerSideEncryptionConfiguration={"Rules": [rule]})
    proof = clean.prove()
    assert proof.countries == {"DE", "US"}
    assert "us-east-1 (US)" in read(proof.evidence["key"])["says"]


def test_a_multi_region_access_point_is_found(clean: Any) -> None:
    """An access point that joins the bucket with one in another region adds that region."""
    clean.bucket("archive-us", "us-east-1")
    clean.client("s3control", "us-west-2").create_multi_region_access_point(
        AccountId="123456789012",
        ClientToken="once",
        Details={"Name": "point", "Regions": [{"Bucket": "archive"}, {"Bucket": "archive-us"}]},
    )
    proof = clean.prove()
    assert "multi-region access point" in read(proof.evidence["mrap"])["says"]
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {"DE", "US"})


def test_replication_is_found(clean: Any) -> None:
    """A rule's destination in another region is a place."""
    clean.bucket("copies", "us-east-1")
    rule = {
        "ID": "r",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::copies"},
    }
    clean.client("s3").put_bucket_replication(
        Bucket="archive", ReplicationConfiguration={"Role": "arn:aws:iam::123456789012:role/r", "Rules": [rule]}
    )
    proof = clean.prove()
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {"DE", "US"})


def test_an_inventory_is_found(clean: Any) -> None:
    """The bucket that lists of documents are written to is a place."""
    clean.bucket("lists", "eu-west-1")
    clean.client("s3").put_bucket_inventory_configuration(
        Bucket="archive",
        Id="i",
        InventoryConfiguration={
            "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::lists", "Format": "CSV"}},
            "IsEnabled": True,
            "Id": "i",
            "IncludedObjectVersions": "All",
            "Schedule": {"Frequency": "Daily"},
        },
    )
    assert clean.prove().countries == {"DE", "IE"}


def test_a_distribution_is_a_violation(clean: Any) -> None:
    """A content delivery network in front of the bucket is a VIOLATION."""
    clean.client("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": "once",
            "Comment": "",
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "o",
                        "DomainName": "archive.s3.eu-central-1.amazonaws.com",
                        "S3OriginConfig": {"OriginAccessIdentity": ""},
                    }
                ],
            },
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"},
        }
    )
    proof = clean.prove()
    assert proof.assurance is Assurance.VIOLATION
    assert "CloudFront" in proof.summary
