"""The proof against ministack: region, replication, lock, keys, records, public access, over the real protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from offloader.evidence import compare, read
from offloader.model import Assurance, LocationProof
from offloader.plugins import Context
from offloader_connectors.s3.client import make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.proof import prove

BLOCKED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)


def says(proof: LocationProof, probe: str) -> str:
    return str(read(proof.evidence[probe])["says"])


@pytest.fixture
def clean(on_ministack: Any) -> Any:
    """The bucket with public access blocked; ministack does not say whether a policy is public."""
    on_ministack.answers["s3.GetBucketPolicyStatus"] = (404, "NoSuchBucketPolicy")
    on_ministack.client("s3").put_public_access_block(
        Bucket=on_ministack.options.bucket, PublicAccessBlockConfiguration=BLOCKED
    )
    return on_ministack


def test_a_clean_bucket_is_proven(clean: Any) -> None:
    """A bucket in the configured region with nothing beside it is PROVEN, again and again with the same evidence."""
    first, second = clean.prove(), clean.prove()
    assert (first.assurance, first.countries) == (Assurance.PROVEN, {"DE"})
    assert first.sha256 == second.sha256


def test_a_document_changes_nothing(clean: Any) -> None:
    """Storing documents changes nothing about the place."""
    before = clean.prove()
    clean.client("s3").put_object(Bucket=clean.options.bucket, Key="documents/1", Body=b"x")
    assert clean.prove().sha256 == before.sha256


def test_a_bucket_in_another_region(
    ministack: int, context: Context, make_options: Callable[..., S3Options], on_ministack: Any
) -> None:
    """A bucket that was made in another region than configured is a VIOLATION that names both."""
    name = on_ministack.bucket(f"{on_ministack.options.bucket}-us", "us-east-1")
    other = type(on_ministack)(context, make_options(name, "000000000000"), {}, ministack)
    proof = other.prove()
    other.close()
    assert (proof.assurance, proof.countries) == (Assurance.VIOLATION, {"US"})
    assert "us-east-1 (US)" in proof.summary
    assert "eu-central-1 (DE)" in proof.summary


def test_a_bucket_that_is_not_there(
    ministack: int, context: Context, make_options: Callable[..., S3Options], on_ministack: Any
) -> None:
    """A bucket that does not exist is UNPROVEN, and the summary says why."""
    other = type(on_ministack)(context, make_options("no-such-bucket", "000000000000"), {}, ministack)
    proof = other.prove()
    other.close()
    assert proof.assurance is Assurance.UNPROVEN
    assert "no bucket no-such-bucket" in proof.summary


@pytest.mark.parametrize(
    ("region", "countries"), [("eu-west-1", {"DE", "IE"}), ("us-east-1", {"DE", "US"}), ("eu-central-1", {"DE"})]
)
def test_replication_to_another_region_is_found(clean: Any, region: str, countries: set[str]) -> None:
    """A replication rule added after the first proof is seen by the next, with the place of its destination."""
    before = clean.prove()
    target = clean.bucket(f"{clean.options.bucket}-copy", region)
    clean.client("s3").put_bucket_replication(
        Bucket=clean.options.bucket,
        ReplicationConfiguration={
            "Role": "arn:aws:iam::000000000000:role/r",
            "Rules": [
                {
                    "ID": "copy",
                    "Priority": 1,
                    "Filter": {},
                    "Status": "Enabled",
                    "DeleteMarkerReplication": {"Status": "Disabled"},
                    "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
                }
            ],
        },
    )
    proof = clean.prove()
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, countries)
    assert region in says(proof, "replication")
    assert any("replication: " in change and target in change for change in compare(before.evidence, proof.evidence))


def test_logs_elsewhere_are_found(clean: Any) -> None:
    """The bucket that access logs go to is a place."""
    target = clean.bucket(f"{clean.options.bucket}-logs", "eu-west-1")
    status = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "x"}}
    clean.client("s3").put_bucket_logging(Bucket=clean.options.bucket, BucketLoggingStatus=status)
    assert clean.prove().countries == {"DE", "IE"}


def test_a_default_lock_is_told(
    ministack: int, context: Context, make_options: Callable[..., S3Options], on_ministack: Any
) -> None:
    """A bucket's default lock is told with its mode and term."""
    s3 = on_ministack.client("s3")
    name = f"{on_ministack.options.bucket}-lock"
    place = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True)
    term = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}}
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=term)
    other = type(on_ministack)(context, make_options(name, "000000000000"), {}, ministack)
    proof = other.prove()
    other.close()
    assert "3 days by default (GOVERNANCE)" in says(proof, "lock")


def test_the_key_is_looked_up(clean: Any) -> None:
    """The key of the bucket's default encryption is looked up in the key service, in its own region."""
    arn = clean.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    clean.client("s3").put_bucket_encryption(
        Bucket=clean.options.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    proof = clean.prove()
    assert arn in proof.evidence["key"]
    assert "eu-central-1 (DE)" in says(proof, "key")


def test_a_grant_to_everybody_is_a_violation(on_ministack: Any) -> None:
    """A bucket whose access list lets everybody read is a VIOLATION."""
    bucket = {"Bucket": on_ministack.options.bucket}
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    on_ministack.client("s3").put_bucket_ownership_controls(**bucket, OwnershipControls=rules)
    on_ministack.client("s3").put_bucket_acl(**bucket, ACL="public-read")
    proof = on_ministack.prove()
    assert proof.assurance is Assurance.VIOLATION
    assert "anybody" in proof.summary


def test_a_rule_that_deletes_is_a_violation(clean: Any) -> None:
    """A lifecycle rule that expires documents is a VIOLATION."""
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}
    clean.client("s3").put_bucket_lifecycle_configuration(
        Bucket=clean.options.bucket, LifecycleConfiguration={"Rules": [rule]}
    )
    proof = clean.prove()
    assert proof.assurance is Assurance.VIOLATION
    assert "tidy" in proof.summary


def test_acceleration_is_a_violation(clean: Any) -> None:
    """Transfer acceleration that is on is a VIOLATION."""
    clean.client("s3").put_bucket_accelerate_configuration(
        Bucket=clean.options.bucket, AccelerateConfiguration={"Status": "Enabled"}
    )
    assert clean.prove().assurance is Assurance.VIOLATION


@pytest.fixture
def plain(ministack: int, make_options: Callable[..., S3Options], on_ministack: Any) -> S3Options:
    """The same bucket as what it is: on a server in a laboratory, for which somebody vouches."""
    return make_options(
        on_ministack.options.bucket,
        "000000000000",
        provider="laboratory",
        endpoint_url=f"http://127.0.0.1:{ministack}",
        country="DE",
        attested_by="Ms Example",
        attested_until="2026-12-31",
    )


def attest(options: S3Options, context: Context) -> LocationProof:
    clients = make_clients(options, context)
    try:
        return prove(clients, options, "de", context.now())
    finally:
        clients.close()


def test_a_server_here_is_attested(plain: S3Options, context: Context) -> None:
    """Under its own name and address the same server is ATTESTED, never PROVEN."""
    proof = attest(plain, context)
    assert (proof.assurance, proof.countries) == (Assurance.ATTESTED, {"DE"})


def test_a_server_that_calls_itself_aws_proves_nothing(ministack: int, plain: S3Options, context: Context) -> None:
    """A server here that is configured as AWS is not believed."""
    proof = attest(plain.model_copy(update={"provider": "aws"}), context)
    assert proof.assurance is Assurance.UNPROVEN
    assert "not that of AWS" in proof.summary


def test_an_attestation_does_not_cover_what_is_seen(plain: S3Options, context: Context, on_ministack: Any) -> None:
    """A policy that lets the world read is a VIOLATION also where somebody vouches for the place."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{plain.bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    on_ministack.client("s3").put_bucket_policy(Bucket=plain.bucket, Policy=policy)
    proof = attest(plain, context)
    assert proof.assurance is Assurance.VIOLATION
    assert "anybody" in proof.summary
