"""What the whole proof says of a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from offloader.evidence import compare, read
from offloader.model import Assurance, LocationProof
from offloader_connectors.regions import evidence
from offloader_connectors.s3 import probes

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Look = Callable[..., LocationProof]
WHO = {"attested_by": "Ms Example", "attested_until": date(2026, 12, 31)}


def said(proof: LocationProof, probe: str) -> dict[str, Any]:
    return read(proof.evidence[probe])


def test_a_clean_bucket_is_proven(look: Look) -> None:
    """A bucket of AWS where every answer is good is PROVEN in its country for a day, with every answer on record."""
    proof = look()
    assert (proof.assurance, proof.countries, proof.store) == (Assurance.PROVEN, {"DE"}, "de")
    assert (proof.taken, proof.expires) == (NOW, NOW + timedelta(hours=24))
    assert proof.evidence.keys() == {*probes.NAMES, "attestation", "questions", "about"}
    assert proof.sha256 == evidence.fingerprint(proof.evidence)
    assert "eu-central-1" in proof.summary
    assert "DE" in proof.summary


def test_the_proof_holds_as_long_as_configured(look: Look) -> None:
    """The configured hours decide how long a proof may be used."""
    assert look(proof={"hours": 2}).expires == NOW + timedelta(hours=2)


def test_the_same_place_has_the_same_evidence(look: Look) -> None:
    """What changes from call to call is no part of the evidence, nor is the number of documents."""
    other = {
        "sts.GetCallerIdentity": {
            "Account": "123456789012",
            "Arn": "arn:aws:sts::123456789012:assumed-role/offloader/x",
        },
        "s3.ListObjectsV2": {"Contents": [{"Key": "documents/1", "StorageClass": "STANDARD"}]},
    }
    assert look().sha256 == look(other).sha256


@pytest.mark.parametrize(
    ("region", "partition", "country"),
    [("us-gov-west-1", "aws-us-gov", "US"), ("cn-north-1", "aws-cn", "CN"), ("eusc-de-east-1", "aws-eusc", "DE")],
)
def test_other_partitions(look: Look, region: str, partition: str, country: str) -> None:
    """Buckets of other partitions are proven by the same questions, at that partition's own endpoint."""
    proof = look(
        {
            "s3.HeadBucket": {"BucketRegion": region},
            "s3.GetBucketLocation": {"LocationConstraint": region},
            "account.ListRegions": {"Regions": [{"RegionName": region, "RegionOptStatus": "ENABLED"}]},
        },
        region=region,
    )
    assert (proof.assurance, proof.countries) == (Assurance.PROVEN, {country})
    assert said(proof, "settings")["answer"]["partition"] == partition


@pytest.mark.parametrize("region", ["eu-central-9", "me-west-1", "eu-isoe-west-1"])
def test_a_region_without_a_known_country_proves_nothing(look: Look, region: str) -> None:
    """A region that is in no table, or stands there without a country, is UNPROVEN whatever the answers are."""
    proof = look(
        {"s3.HeadBucket": {"BucketRegion": region}, "s3.GetBucketLocation": {"LocationConstraint": region}},
        region=region,
    )
    assert proof.assurance is Assurance.UNPROVEN
    assert region in proof.summary


def test_a_bucket_elsewhere_is_a_violation(look: Look) -> None:
    """A bucket in another region than configured is a VIOLATION that names both, with the place where it really is."""
    proof = look({"s3.HeadBucket": {"BucketRegion": "us-east-1"}, "s3.GetBucketLocation": {"LocationConstraint": None}})
    assert (proof.assurance, proof.countries) == (Assurance.VIOLATION, {"US"})
    assert "us-east-1 (US)" in proof.summary
    assert "eu-central-1 (DE)" in proof.summary
    assert proof.expires == proof.taken


@pytest.mark.parametrize("status", [301, 307, 400, 403])
def test_a_refusal_shows_the_place_too(look: Look, error: Any, status: int) -> None:
    """The region in the header of an error counts as much as that of a good answer."""
    refusal = error(status, str(status), {"x-amz-bucket-region": "us-east-1"})
    proof = look({"s3.HeadBucket": refusal, "s3.GetBucketLocation": error(status, "AccessDenied")})
    assert proof.assurance is Assurance.VIOLATION
    assert "us-east-1" in proof.summary


def test_two_answers_must_agree(look: Look) -> None:
    """If HeadBucket and GetBucketLocation name different regions, that is a VIOLATION that says so."""
    proof = look({"s3.GetBucketLocation": {"LocationConstraint": "EU"}})
    assert (proof.assurance, proof.countries) == (Assurance.VIOLATION, {"DE", "IE"})
    assert "do not agree" in proof.summary


def test_null_is_virginia(look: Look) -> None:
    """A location without a name is us-east-1, so a bucket configured there is proven by it."""
    answers = {"s3.HeadBucket": {"BucketRegion": "us-east-1"}, "s3.GetBucketLocation": {"LocationConstraint": None}}
    assert look(answers, region="us-east-1").countries == {"US"}
    assert look(answers, region="us-east-1").assurance is Assurance.PROVEN


@pytest.mark.parametrize("call", ["s3.HeadBucket", "s3.GetBucketLocation"])
def test_both_answers_are_needed(look: Look, call: str) -> None:
    """One answer about the region is not enough."""
    proof = look({call: {}})
    assert proof.assurance is Assurance.UNPROVEN
    assert "does not say where the bucket is" in proof.summary


@pytest.mark.parametrize(
    "answer", [{"AccessPointAlias": True, "BucketRegion": "eu-central-1"}, {"BucketRegion": "eu-central-1"}]
)
def test_an_alias_is_no_bucket(look: Look, answer: dict[str, Any]) -> None:
    """A name that turns out to be an access point's alias is a VIOLATION."""
    verdict = Assurance.VIOLATION if "AccessPointAlias" in answer else Assurance.PROVEN
    assert look({"s3.HeadBucket": answer}).assurance is verdict


def test_a_local_zone_is_no_known_place(look: Look) -> None:
    """A bucket in a zone of its own is UNPROVEN: which country a zone is in is not known."""
    proof = look({"s3.HeadBucket": {"BucketRegion": "eu-central-1", "BucketLocationType": "LocalZone"}})
    assert proof.assurance is Assurance.UNPROVEN


def test_without_an_owner_nothing_is_proven(look: Look) -> None:
    """Unless it is said whose bucket it must be, the proof is UNPROVEN and says what to set."""
    proof = look(expected_owner=None)
    assert proof.assurance is Assurance.UNPROVEN
    assert "expected_owner" in proof.summary


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://s3.eu-central-1.amazonaws.com", Assurance.PROVEN),
        ("https://s3.dualstack.eu-central-1.amazonaws.com", Assurance.PROVEN),
        ("https://bucket.vpce-1a2b-3c4d.s3.eu-central-1.vpce.amazonaws.com", Assurance.PROVEN),
        ("https://s3.us-east-1.amazonaws.com", Assurance.UNPROVEN),
        ("https://s3.amazonaws.com", Assurance.UNPROVEN),
        ("https://s3-accelerate.amazonaws.com", Assurance.UNPROVEN),
        ("https://s3.eu-central-1.amazonaws.com.example.net", Assurance.UNPROVEN),
        ("https://s3.eu-central-1.amazonaws.com.cn", Assurance.UNPROVEN),
        ("https://evil-s3.eu-central-1.amazonaws.com", Assurance.UNPROVEN),
        ("http://127.0.0.1:4566", Assurance.UNPROVEN),
    ],
)
def test_only_aws_answers_for_aws(look: Look, url: str, verdict: Assurance) -> None:
    """The same good answers prove something only if they come from AWS's own endpoint in that region."""
    assert look(unchecked={"endpoint_url": url}).assurance is verdict


def test_an_endpoint_of_another_service_must_be_aws_too(look: Look) -> None:
    """A service endpoint in other hands makes its answers worthless."""
    assert look(service_endpoints={"kms": "https://kms.example.net"}).assurance is Assurance.UNPROVEN
    assert (
        look(service_endpoints={"kms": "https://x.kms.eu-central-1.vpce.amazonaws.com"}).assurance is Assurance.PROVEN
    )


def test_the_configured_country_must_be_right(look: Look) -> None:
    """A store of AWS whose configured country is not that of its region is a VIOLATION."""
    assert look(country="FR").assurance is Assurance.VIOLATION
    assert look(country="DE").assurance is Assurance.PROVEN


@pytest.mark.parametrize(
    ("probe", "call", "permission"),
    [
        ("region", "s3.HeadBucket", "s3:ListBucket"),
        ("region", "s3.GetBucketLocation", "s3:GetBucketLocation"),
        ("owner", "s3.HeadBucket", "s3:ListBucket"),
        ("replication", "s3.GetBucketReplication", "s3:GetReplicationConfiguration"),
        ("jobs", "account.ListRegions", "account:ListRegions"),
        ("jobs", "s3control.ListJobs", "s3:ListJobs"),
        ("mrap", "s3control.ListMultiRegionAccessPoints", "s3:ListMultiRegionAccessPoints"),
        ("object_lambda", "s3control.ListAccessPointsForObjectLambda", "s3:ListAccessPointsForObjectLambda"),
        ("backup", "backup.ListRecoveryPointsByResource", "backup:ListRecoveryPointsByResource"),
        ("backup", "backup.ListCopyJobs", "backup:ListCopyJobs"),
        ("backup", "backup.ListBackupPlans", "backup:ListBackupPlans"),
        ("cloudfront", "cloudfront.ListDistributions", "cloudfront:ListDistributions"),
        ("acceleration", "s3.GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"),
        ("logging", "s3.GetBucketLogging", "s3:GetBucketLogging"),
        ("inventory", "s3.ListBucketInventoryConfigurations", "s3:GetInventoryConfiguration"),
        ("analytics", "s3.ListBucketAnalyticsConfigurations", "s3:GetAnalyticsConfiguration"),
        ("metadata", "s3.GetBucketMetadataConfiguration", "s3:GetBucketMetadataTableConfiguration"),
        ("key", "s3.GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("public", "s3.GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("public", "s3.GetBucketPolicyStatus", "s3:GetBucketPolicyStatus"),
        ("public", "s3.GetBucketAcl", "s3:GetBucketAcl"),
        ("lifecycle", "s3.GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ],
)
def test_a_forbidden_question_proves_nothing(look: Look, error: Any, probe: str, call: str, permission: str) -> None:
    """Without the permission for a required question the proof is UNPROVEN, and names the permission."""
    proof = look({call: error(403, "AccessDenied")})
    assert proof.assurance is Assurance.UNPROVEN
    assert f"the permission {permission} is missing" in said(proof, probe)["says"]
    assert proof.expires == proof.taken


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "ExpiredToken", "credentials"),
        (403, "InvalidAccessKeyId", "credentials"),
        (403, "SignatureDoesNotMatch", "credentials"),
        (403, "RequestTimeTooSkewed", "clock"),
        (404, "NoSuchBucket", "no bucket archive"),
        (503, "SlowDown", "503 SlowDown"),
        (500, "InternalError", "500 InternalError"),
        (200, "a\x1b[31m<b>", "error"),
    ],
)
def test_a_refusal_says_what_to_do(look: Look, error: Any, status: int, code: str, words: str) -> None:
    """Refusals of other kinds are told apart, and nothing of a server's own code reaches a terminal as it is."""
    refusal = error(status if status != 200 else 400, code)
    proof = look(dict.fromkeys(("s3.HeadBucket", "s3.GetBucketLocation"), refusal))
    assert proof.assurance is Assurance.UNPROVEN
    assert words in proof.summary
    assert proof.summary.isprintable()


def test_a_server_that_fails_once_is_asked_again(look: Look, error: Any) -> None:
    """One failure of the server is no bad news: the question is asked once more."""
    answers = iter([error(503, "SlowDown"), {}])
    assert look({"s3.GetBucketLogging": lambda region, params: next(answers)}).assurance is Assurance.PROVEN


def test_what_cannot_be_reached_is_tried_once(look: Look) -> None:
    """A service that cannot be connected to makes the proof UNPROVEN, and is not waited for again and again."""
    tried: list[object] = []

    def fail(region: str, params: object) -> object:
        tried.append(params)
        return EndpointConnectionError(endpoint_url="https://backup.example")

    proof = look(
        {f"backup.{name}": fail for name in ("ListRecoveryPointsByResource", "ListCopyJobs", "ListBackupPlans")}
    )
    assert proof.assurance is Assurance.UNPROVEN
    assert "backup cannot be asked" in proof.summary
    assert len(tried) == 1


def test_a_skipped_question_needs_a_name(look: Look) -> None:
    """A required question that is skipped makes the proof rest on a person: ATTESTED with one, UNPROVEN without."""
    assert look(proof={"skip": ["jobs"]}).assurance is Assurance.UNPROVEN
    proof = look(proof={"skip": ["jobs"]}, **WHO)
    assert (proof.assurance, proof.countries) == (Assurance.ATTESTED, {"DE"})
    assert "jobs" in proof.summary
    assert "Ms Example" in proof.summary


@pytest.mark.parametrize(
    ("switch", "names"),
    [
        ("kms", {"key"}),
        ("account", {"account"}),
        ("control_plane", {"jobs", "mrap", "object_lambda", "backup", "cloudfront"}),
    ],
)
def test_switches(look: Look, switch: str, names: set[str]) -> None:
    """A switch turns off its questions, and no others."""
    proof = look(proof={switch: False}, **WHO)
    assert {name for name in probes.NAMES if said(proof, name)["outcome"] == "skipped"} == names


def test_an_optional_question_may_be_skipped(look: Look) -> None:
    """A question that proves nothing may be skipped without anybody vouching for it."""
    assert look(proof={"skip": ["principal", "sample"]}).assurance is Assurance.PROVEN


@pytest.mark.parametrize("name", ["settings", "endpoint", "region", "no-such-probe"])
def test_some_questions_cannot_be_skipped(look: Look, name: str) -> None:
    """The questions about the bucket's own place cannot be skipped, and a name that is none is told."""
    proof = look(proof={"skip": [name]}, **WHO)
    assert proof.assurance is Assurance.UNPROVEN
    assert name in proof.summary
    assert name not in probes.NAMES or said(proof, name)["outcome"] == "ok"


def test_fewer_required_questions_need_a_name(look: Look, error: Any) -> None:
    """Making questions optional by configuration cannot make a proof, only an attestation."""
    forbidden = {"cloudfront.ListDistributions": error(403, "AccessDenied")}
    fewer = {"required": ["owner", "replication"]}
    assert look(forbidden, proof=fewer).assurance is Assurance.UNPROVEN
    assert look(forbidden, proof=fewer, **WHO).assurance is Assurance.ATTESTED


def test_more_required_questions(look: Look, error: Any) -> None:
    """A question that is optional can be made required by configuration."""
    required = [name for name, need in probes.needs("aws").items() if need == "required"]
    forbidden = {"s3.GetBucketVersioning": error(403, "AccessDenied")}
    assert look(forbidden).assurance is Assurance.PROVEN
    assert look(forbidden, proof={"required": [*required, "versioning"]}).assurance is Assurance.UNPROVEN


def test_an_attestation_ends(look: Look, lab: dict[str, Any]) -> None:
    """An attestation bounds the proof by its last day, and is worth nothing from then on."""
    end = datetime(2027, 1, 1, tzinfo=UTC)
    last = look(now=end - timedelta(hours=1), **lab)
    assert (last.assurance, last.expires) == (Assurance.ATTESTED, end)
    late = look(now=end, **lab)
    assert late.assurance is Assurance.UNPROVEN
    assert "ran out" in late.summary


# servers that imitate S3


def test_a_server_is_where_somebody_attests(look: Look, lab: dict[str, Any]) -> None:
    """Another provider's server is never PROVEN; it is ATTESTED where a named person says it is."""
    proof = look(**lab)
    assert (proof.assurance, proof.countries) == (Assurance.ATTESTED, {"DE"})
    assert look(**{**lab, "attested_by": None}).assurance is Assurance.UNPROVEN
    assert look(**{**lab, "country": None}).assurance is Assurance.UNPROVEN


def test_a_server_that_lacks_questions_can_be_attested(look: Look, lab: dict[str, Any], error: Any) -> None:
    """What a server does not implement rests on the attestation; what it forbids does not."""
    absent = dict.fromkeys(
        ["s3.GetBucketReplication", "s3.GetPublicAccessBlock", "s3.GetBucketLifecycleConfiguration", "s3.GetBucketAcl"],
        error(501, "NotImplemented"),
    )
    silent = {"s3.HeadBucket": {}, "s3.GetBucketLocation": {"LocationConstraint": None}, "s3.GetBucketPolicyStatus": {}}
    silent["s3.GetBucketPolicy"] = error(404, "NoSuchBucketPolicy")
    assert look({**absent, **silent}, **lab).assurance is Assurance.ATTESTED
    forbidden = look({**absent, "s3.GetBucketReplication": error(403, "AccessDenied")}, **lab)
    assert forbidden.assurance is Assurance.UNPROVEN
    assert "s3:GetReplicationConfiguration" in forbidden.summary


def test_a_server_that_answers_another_question(look: Look, lab: dict[str, Any]) -> None:
    """An answer without the content that was asked for counts as none, not as "there is no such rule"."""
    proof = look({"s3.GetBucketReplication": {}}, **lab)
    assert said(proof, "replication")["outcome"] == "absent"


def test_a_server_that_names_another_region(look: Look, lab: dict[str, Any]) -> None:
    """A server that says the bucket is in another region than configured contradicts the attestation."""
    assert look({"s3.HeadBucket": {"BucketRegion": "us-east-1"}}, **lab).assurance is Assurance.VIOLATION


@pytest.mark.parametrize(
    ("provider", "region", "host", "country", "verdict", "countries"),
    [
        ("wasabi", "eu-central-1", "s3.eu-central-1.wasabisys.com", "NL", Assurance.ATTESTED, {"NL"}),
        ("wasabi", "eu-central-1", "s3.eu-central-1.wasabisys.com", "DE", Assurance.VIOLATION, {"NL"}),
        ("wasabi", "eu-west-1", "s3.eu-central-1.wasabisys.com", "GB", Assurance.VIOLATION, None),
        ("wasabi", "eu-central-1", "s3.internal.example", "DE", Assurance.VIOLATION, None),
        ("hetzner", "fsn1", "fsn1.your-objectstorage.com", "DE", Assurance.ATTESTED, {"DE"}),
        ("hetzner", "fsn1", "fsn1.your-objectstorage.com", "FR", Assurance.UNPROVEN, None),
        ("cloudflare-r2", "auto", "acct.r2.cloudflarestorage.com", "DE", Assurance.UNPROVEN, None),
    ],
)
def test_providers_with_published_regions(
    look: Look,
    lab: dict[str, Any],
    provider: str,
    region: str,
    host: str,
    country: str,
    verdict: Assurance,
    countries: set[str] | None,
) -> None:
    """What a provider publishes of its endpoints must not contradict the attestation; AWS has no say in it."""
    answers = {"s3.HeadBucket": {"BucketRegion": region}, "s3.GetBucketLocation": {"LocationConstraint": region}}
    settings = {"provider": provider, "region": region, "endpoint_url": f"https://{host}", "country": country}
    proof = look(answers, **{**lab, **settings})
    assert proof.assurance is verdict
    assert countries is None or proof.countries == countries


def test_a_union_is_all_of_its_countries(look: Look, lab: dict[str, Any]) -> None:
    """A jurisdiction of several countries counts with each of them, even if somebody attests one."""
    settings = {"provider": "cloudflare-r2", "region": "auto", "endpoint_url": "https://a.eu.r2.cloudflarestorage.com"}
    proof = look({"s3.GetBucketLocation": {"LocationConstraint": "WEUR"}}, **{**lab, **settings})
    assert proof.assurance is Assurance.ATTESTED
    assert len(proof.countries) == 27


# for readers


def test_every_question_can_be_read(look: Look, error: Any) -> None:
    """A proof tells its questions and answers in words, in order, with what they need and what can be done."""
    proof = look({"s3.GetBucketReplication": error(403, "AccessDenied")})
    told = {probe.id: probe for probe in proof.probes}
    assert [*told] == [*(probe.name for probe in probes.PROBES), "attestation", "questions"]
    asked = told["replication"]
    assert asked.verdict == "unknown"
    assert asked.permissions == ("s3:GetReplicationConfiguration", "s3:ListBucket")
    assert "s3:GetReplicationConfiguration" in asked.answer
    assert "remove the rule" in asked.remedy
    assert told["region"].remedy == "", "where all is well, nothing is to be done"
    assert all(probe.question.endswith("?") and probe.answer for probe in proof.probes)


def test_what_changed_is_told(look: Look) -> None:
    """Between two proofs, a rule that was added and the place that it brought are told in words."""
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Destination": {"Bucket": "arn:aws:s3:::elsewhere"},
    }

    def head(region: str, params: dict[str, Any]) -> dict[str, str]:
        return {"BucketRegion": "eu-west-1" if "elsewhere" in json.dumps(params, default=str) else "eu-central-1"}

    before = look()
    after = look(
        {"s3.GetBucketReplication": {"ReplicationConfiguration": {"Role": "x", "Rules": [rule]}}, "s3.HeadBucket": head}
    )
    changes = compare(before.evidence, after.evidence)
    assert after.countries == {"DE", "IE"}
    assert "replication: aws eu-west-1 (IE) is new among the places" in changes
    assert any("elsewhere" in change for change in changes)
    assert all(change.startswith("replication: ") for change in changes)
    assert compare(before.evidence, before.evidence) == []


def test_no_server_words_reach_the_reader(look: Look, error: Any) -> None:
    """A server's message, and a request's number, stand nowhere in a proof."""
    proof = look({name: error(403, "AccessDenied") for name in ("s3.GetBucketAcl", "s3control.ListJobs")})
    written = json.dumps([proof.summary, dict(proof.evidence)])
    assert "hidden words" not in written
    assert "RequestId" not in written
    assert "AKIAEXAMPLE" not in written
    assert "not-a-secret" not in written
