"""What the page about stores shows of `check` is what `check` says."""

from __future__ import annotations

from typing import Any

from offloader.cli.check_places import lines
from offloader.model import ProbeVerdict
from offloader.testing import EPOCH
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.proof import prove
from tests.docs.conftest import DOCS, blocks, text_of
from tests.unit.s3_proof.conftest import CLEAN, OWNER, MadeUp, Workshop


def head(region: str, params: dict[str, Any]) -> dict[str, str]:
    return {"BucketRegion": "us-east-1" if "acme-copies" in params["url"] else "eu-central-1"}


def test_the_example_is_what_check_says() -> None:
    """The example of a bucket with a replication rule is, line by line, part of what is said of such a bucket."""
    rule = {"ID": "office", "Status": "Enabled", "Filter": {}, "Destination": {"Bucket": "arn:aws:s3:::acme-copies"}}
    options = S3Options.model_validate(
        {
            "bucket": "acme-documents-de",
            "region": "eu-central-1",
            "expected_owner": OWNER,
            "access_key": "env:KEY",
            "secret_key": "env:SECRET",
        }
    )
    answers = {
        **CLEAN,
        "s3.HeadBucket": head,
        "s3.GetBucketReplication": {"ReplicationConfiguration": {"Role": "x", "Rules": [rule]}},
    }
    proof = prove(MadeUp(options, Workshop(), answers), options, "frankfurt", EPOCH)
    said = [*lines(proof, None, EPOCH)]

    shown = next(block for block in blocks(DOCS / "stores.md") if "PROVEN in DE, US" in block.text)
    assert [line for line in shown.text.splitlines() if line not in said] == []


def test_every_mark_is_explained() -> None:
    """Each mark that stands in front of a question stands in the page's table."""
    page = text_of(DOCS / "stores.md")

    marks = {"ok", "note", "no answer", "not asked", "OPEN", "BAD"}
    assert len(marks) == len(ProbeVerdict)
    assert [mark for mark in sorted(marks) if f"| `{mark}` |" not in page] == []
