"""The permissions that the proof needs, as an IAM policy, and the table of what is required."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from offloader.model import LocationProof
from offloader_connectors.s3 import probes
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.probes_asking import ACTIONS
from offloader_connectors.s3.proof import iam_policy


def test_the_policy_allows_reading_settings_only(make_options: Callable[..., S3Options]) -> None:
    """The policy has no action that reads or changes a document, and the bucket's own actions are on the bucket."""
    policy = iam_policy(make_options())
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert all(re.fullmatch(r"[a-z0-9]+:(Get|List|Describe)[A-Za-z]+", action) for action in actions)
    assert not actions & {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucketVersions"}
    of_bucket, of_account, _ = policy["Statement"]
    assert of_bucket["Resource"] == "arn:aws:s3:::archive"
    assert "s3:GetReplicationConfiguration" in of_bucket["Action"]
    assert not [action for action in of_account["Action"] if "Bucket" in action]


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov"), ("eu-west-1", "aws")]
)
def test_the_policy_is_for_the_partition(make_options: Callable[..., S3Options], region: str, partition: str) -> None:
    """The bucket's name in the policy is of the region's own partition."""
    assert iam_policy(make_options(region=region))["Statement"][0]["Resource"] == f"arn:{partition}:s3:::archive"


def test_the_policy_names_the_configured_key(make_options: Callable[..., S3Options]) -> None:
    """A key that is configured by its ARN is the only one that may be described."""
    arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
    assert iam_policy(make_options(kms_key=arn))["Statement"][2]["Resource"] == arn
    assert iam_policy(make_options())["Statement"][2]["Resource"] == "*"


def test_the_policy_is_enough(
    look: Callable[..., LocationProof],
    make_options: Callable[..., S3Options],
    error: Any,
    clean_answers: dict[str, Any],
) -> None:
    """With the policy's permissions and no others, a clean bucket is proven."""
    allowed = {action for statement in iam_policy(make_options())["Statement"] for action in statement["Action"]}
    operation = {call.replace("_", ""): action for call, action in ACTIONS.items()}
    forbidden = {
        name: error(403, "AccessDenied")
        for name in clean_answers
        if operation[name.partition(".")[2].lower()] not in allowed
    }
    assert forbidden.keys() == {"s3.HeadObject"}
    assert look(forbidden).usable_at(look().taken)


def test_every_question_is_in_the_table() -> None:
    """Every question has its row, a sentence that asks, and only calls whose permission is known."""
    for provider in ("aws", "anything"):
        assert probes.needs(provider).keys() == probes.NAMES
    assert len(probes.NAMES) == len(probes.PROBES)
    assert all(probe.question.endswith("?") for probe in probes.PROBES)
    assert {call for probe in probes.PROBES for call in probe.calls} == ACTIONS.keys()


def test_what_cannot_be_skipped_is_required() -> None:
    """The questions that cannot be skipped are required of every provider."""
    for provider in ("aws", "anything"):
        assert {probes.needs(provider)[name] for name in probes.UNSKIPPABLE} == {"required"}
