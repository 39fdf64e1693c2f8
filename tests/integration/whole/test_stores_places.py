"""What becomes of the job, by command line, when a store is not, or no longer, where it must be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.integration.whole.depot import Depot, replication


def keep_versions(depot: Depot, bucket: str) -> None:
    """What a bucket needs to be copied, or copied to."""
    depot.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


@contextmanager
def replicated(depot: Depot) -> Iterator[str]:
    """A rule copies everything to another bucket."""
    target = depot.between.server.bucket()
    keep_versions(depot, target)
    depot.s3.put_bucket_replication(Bucket=depot.bucket, ReplicationConfiguration=replication(target))
    yield "to-the-other-office"
    depot.s3.delete_bucket_replication(Bucket=depot.bucket)


@contextmanager
def readable_by_the_world(depot: Depot) -> Iterator[str]:
    """A policy lets anybody read."""
    resource = f"arn:aws:s3:::{depot.bucket}/*"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    depot.s3.put_bucket_policy(Bucket=depot.bucket, Policy=policy)
    yield "anybody"
    depot.s3.delete_bucket_policy(Bucket=depot.bucket)


@contextmanager
def forbidden(depot: Depot) -> Iterator[str]:
    """One of the questions may not be asked any more."""
    depot.fault("bucket GET replication", "status", status=403, code="AccessDenied")
    yield "s3:GetReplicationConfiguration"
    depot.calm()


@contextmanager
def no_longer_vouched_for(depot: Depot) -> Iterator[str]:
    """Nobody's word holds any more."""
    text = depot.config.read_text(encoding="utf-8")
    depot.configure("stores", de={"attested_until": "2020-01-01"})
    yield "2020-01-01"
    depot.config.write_text(text, encoding="utf-8")


def test_a_plan_does_not_outlive_its_place(depot: Depot) -> None:
    """What changed about a place since the plan is named, with exit 5, before anything is written; once it is undone
    the plan is carried out. `check` refuses a place that the world may read, or that may not be asked about."""
    keep_versions(depot, depot.bucket)
    depot.files(2)
    depot.remember()
    depot.offloader("scan", expect=(0,))
    plan = depot.offloader("plan", expect=(0,))["plan"]
    for change in (replicated, forbidden, readable_by_the_world, no_longer_vouched_for):
        with change(depot) as named:
            answer = depot.offloader("apply", plan, expect=(5,))
            assert "location proof of de" in answer["message"]
            assert named in answer["message"]
            if change in (forbidden, readable_by_the_world):
                store = depot.offloader("check", expect=(1,))["stores"]["de"]
                assert not store["usable"]
                assert named in json.dumps(store)
        assert depot.written() == []
        assert not depot.links()
    assert depot.offloader("apply", plan, expect=(0,))["moved"] == 2
    depot.nothing_lost()


def recreated_elsewhere(depot: Depot) -> None:
    """The bucket is deleted and made again under its name in another region."""
    depot.s3.delete_bucket(Bucket=depot.bucket)
    away = replace(depot.between.server, region="eu-west-1")
    away.client().create_bucket(Bucket=depot.bucket, CreateBucketConfiguration={"LocationConstraint": away.region})


def another_region_configured(depot: Depot) -> None:
    """The configuration names a region that the bucket is not in."""
    depot.configure("stores", de={"region": "sa-east-1"})


def test_a_bucket_in_another_region_gets_nothing(depot: Depot) -> None:
    """A wrong region in the configuration, and a bucket made again elsewhere, are found before a byte is sent."""
    depot.files(2)
    for change, named in ((recreated_elsewhere, "eu-west-1"), (another_region_configured, "sa-east-1")):
        change(depot)
        checked = depot.offloader("check", expect=(1,))
        assert named in checked["stores"]["de"]["summary"]
        report = depot.offloader("run")
        assert (report["moved"], report["failed"], report["stopped"]) == (0, 0, None)
        assert depot.written() == []
        assert not depot.links()


def test_drift_closes_a_store_until_it_is_accepted(depot: Depot) -> None:
    """A store whose place changed takes nothing more, says which rule it is, and gives back what it holds; an operator
    may open it again."""
    keep_versions(depot, depot.bucket)
    depot.files(1)
    depot.remember()
    depot.offloader("run", expect=(0,))
    with replicated(depot) as named:
        depot.file("later", created=depot.org.now())
        depot.remember()
        before = depot.written()
        assert depot.offloader("run")["moved"] == 0
        assert depot.written() == before
        store = depot.offloader("check", expect=(5,))["stores"]["de"]
        assert store["assurance"] == "DRIFT"
        assert f"the replication rule {named} copies documents" in store["changes"][0]
        assert depot.offloader("restore", "--all", expect=(0,))["restored"] == 1
        depot.offloader("check", "--accept", "de", "--reason", "the other office is in Frankfurt too")
        assert depot.offloader("run", expect=(0,))["moved"] == 1
    depot.nothing_lost()
