"""The questions of the S3 location proof, in the order in which they are asked and reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from offloader.psv import rows
from offloader_connectors.regions.evidence import Outcome, Result
from offloader_connectors.s3 import probes_copies, probes_guards, probes_place, probes_records
from offloader_connectors.s3.probes_asking import ACTIONS, Inquiry
from offloader_connectors.s3.probes_reading import Tally

Need = Literal["required", "optional", "off"]
#: changes when a question is added, or an answer judged otherwise
PROBE_SET = "2026-11-22"
#: providers whose own answers can prove a place; of all others somebody has to attest it
PROVING = frozenset({"aws"})
#: what these say cannot be left out by configuration
UNSKIPPABLE = frozenset({"settings", "endpoint", "region"})


@dataclass(frozen=True, slots=True)
class Probe:
    """One question.

    `ask` adds what it finds to the tally, and returns what to say if that is nothing; `calls` are its requests.
    """

    name: str
    question: str
    ask: Callable[[Inquiry, Tally], str]
    calls: tuple[str, ...] = ()
    #: part of `S3Options.proof` that switches it off
    switch: Literal["", "account", "control_plane", "kms"] = ""

    @property
    def actions(self) -> tuple[str, ...]:
        """The permissions that it needs."""
        return tuple(sorted({ACTIONS[call] for call in self.calls}))

    def run(self, inquiry: Inquiry) -> Result:
        """Ask, and give the result; no answer, however bad, is an exception."""
        tally = Tally(empty=Outcome.UNKNOWN if inquiry.aws else Outcome.ABSENT)
        fine = ""
        with tally.attempt():
            fine = self.ask(inquiry, tally)
        return tally.result(fine)


PROBES: tuple[Probe, ...] = (
    Probe("settings", "Which place is meant?", probes_place.settings),
    Probe("endpoint", "Does the server that answers belong to that place?", probes_place.endpoint),
    Probe("region", "Where is the bucket?", probes_place.region, ("head_bucket", "get_bucket_location")),
    Probe("owner", "Whose bucket is it?", probes_place.owner, ("head_bucket",)),
    Probe(
        "replication",
        "Are documents copied to other buckets, and where are those?",
        probes_copies.replication,
        ("get_bucket_replication", "head_bucket"),
    ),
    Probe(
        "jobs",
        "Has anybody copied documents in bulk to another region?",
        probes_copies.jobs,
        ("list_regions", "list_jobs", "describe_job", "get_bucket_replication"),
        "control_plane",
    ),
    Probe(
        "mrap",
        "Can requests for the bucket be sent to other regions?",
        probes_copies.mrap,
        ("list_multi_region_access_points",),
        "control_plane",
    ),
    Probe(
        "object_lambda",
        "Are documents worked on while they are read, and where?",
        probes_copies.object_lambda,
        (
            "list_access_points_for_object_lambda",
            "list_access_points",
            "get_access_point_configuration_for_object_lambda",
        ),
        "control_plane",
    ),
    Probe(
        "backup",
        "Where are backups of documents kept?",
        probes_copies.backup,
        (
            "list_recovery_points_by_resource",
            "list_copy_jobs",
            "list_backup_plans",
            "get_backup_plan",
            "list_backup_selections",
            "get_backup_selection",
        ),
        "control_plane",
    ),
    Probe(
        "cloudfront",
        "Does a content delivery network keep copies of documents?",
        probes_copies.cloudfront,
        ("list_distributions", "list_access_points"),
        "control_plane",
    ),
    Probe(
        "acceleration",
        "Can documents pass through other countries on their way?",
        probes_guards.acceleration,
        ("get_bucket_accelerate_configuration",),
    ),
    Probe("logging", "Where do access logs go?", probes_records.logging, ("get_bucket_logging", "head_bucket")),
    Probe(
        "inventory",
        "Where do lists of the documents go?",
        probes_records.inventory,
        ("list_bucket_inventory_configurations", "head_bucket"),
    ),
    Probe(
        "analytics",
        "Where do analyses of the documents go?",
        probes_records.analytics,
        ("list_bucket_analytics_configurations", "head_bucket"),
    ),
    Probe(
        "metadata",
        "Where are tables of the documents' metadata?",
        probes_records.metadata,
        ("get_bucket_metadata_configuration",),
    ),
    Probe(
        "key",
        "Where are the keys that open the documents?",
        probes_guards.key,
        ("get_bucket_encryption", "describe_key"),
        "kms",
    ),
    Probe(
        "public",
        "Can anybody at all read or write documents?",
        probes_guards.public,
        ("get_public_access_block", "get_bucket_policy_status", "get_bucket_policy", "get_bucket_acl"),
    ),
    Probe(
        "lifecycle",
        "Does the bucket delete or archive documents by itself?",
        probes_guards.lifecycle,
        ("get_bucket_lifecycle_configuration",),
    ),
    Probe(
        "sample",
        "Do documents bear traces of copies?",
        probes_copies.sample,
        ("list_objects_v2", "head_object", "get_bucket_replication"),
    ),
    Probe("website", "Is the bucket a web site?", probes_guards.website, ("get_bucket_website",)),
    Probe(
        "notification",
        "Who is told of new documents?",
        probes_records.notification,
        ("get_bucket_notification_configuration",),
    ),
    Probe("versioning", "Does the bucket keep versions?", probes_guards.versioning, ("get_bucket_versioning",)),
    Probe("lock", "Are documents locked against removal?", probes_guards.lock, ("get_object_lock_configuration",)),
    Probe("account", "Which regions can the account use?", probes_guards.account, ("list_regions",), "account"),
    Probe("principal", "Who asks?", probes_guards.principal, ("get_caller_identity",)),
)
NAMES = frozenset(probe.name for probe in PROBES)


@lru_cache(8)
def needs(provider: str) -> Mapping[str, Need]:
    """Say which probes a provider needs, by the package's table. Raises ConfigError naming a bad cell."""
    file = "probes_needed.psv"
    text = (files("offloader_connectors.s3") / file).read_text(encoding="utf-8")
    column = "aws" if provider in PROVING else "other"
    found: dict[str, Need] = {}
    for row in rows(file, text, ("probe", "aws", "other")):
        name = row.one_of("probe", NAMES)
        word = row.one_of(column, ("required", "optional", "off"))
        found[name] = "required" if word == "required" else "optional" if word == "optional" else "off"
    return found
