"""What tests of single questions share: made-up places, and how a question's result is read from a proof."""

from __future__ import annotations

from typing import Any

from offloader.evidence import read
from offloader.model import LocationProof

OWNER = "123456789012"
ELSEWHERE = {"there-us": "us-east-1", "there-de": "eu-central-1", "there-odd": "xx-nowhere-1"}


def head(region: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer where a bucket is, by the name in the address."""
    return {"BucketRegion": next((where for name, where in ELSEWHERE.items() if name in params["url"]), "eu-central-1")}


def outcome(proof: LocationProof, probe: str) -> str:
    return str(read(proof.evidence[probe])["outcome"])


def says(proof: LocationProof, probe: str) -> str:
    return str(read(proof.evidence[probe])["says"])


def rule(bucket: str, **more: Any) -> dict[str, Any]:
    found = {"ID": "r", "Status": "Enabled", "Filter": {}, "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"}, **more}
    return {"ReplicationConfiguration": {"Role": "x", "Rules": [found]}}
