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
    #: what a person can do where the answer is not simply good
    remedy: str = ""
    #: whether another answer is a change of the place, even if nothing bad is in it
    watched: bool = True

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
    Probe(
        "settings",
        "Which place is meant?",
        probes_place.settings,
        remedy="Correct the store's options, or update offloader if AWS has opened a new region.",
    ),
    Probe(
        "endpoint",
        "Does the server that answers belong to that place?",
        probes_place.endpoint,
        remedy="For AWS leave endpoint_url out; else set country, attested_by and attested_until.",
    ),
    Probe(
        "region",
        "Where is the bucket?",
        probes_place.region,
        ("head_bucket", "get_bucket_location"),
        remedy="Make a bucket in the right region, or correct the option region.",
    ),
    Probe(
        "owner",
        "Whose bucket is it?",
        probes_place.owner,
        ("head_bucket",),
        remedy="Set expected_owner to the 12 digits of the account that the bucket must belong to.",
    ),
    Probe(
        "replication",
        "Are documents copied to other buckets, and where are those?",
        probes_copies.replication,
        ("get_bucket_replication", "head_bucket"),
        remedy="If documents must not be there, remove the rule, and delete what it has copied.",
    ),
    Probe(
        "jobs",
        "Has anybody copied documents in bulk to another region?",
        probes_copies.jobs,
        ("list_regions", "list_jobs", "describe_job", "get_bucket_replication"),
        "control_plane",
        remedy="Find out what the job has copied, and delete it if it must not be there.",
    ),
    Probe(
        "mrap",
        "Can requests for the bucket be sent to other regions?",
        probes_copies.mrap,
        ("list_multi_region_access_points",),
        "control_plane",
        remedy="If documents must not be reachable there, take the bucket out of the multi-region access point.",
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
        remedy="If documents must not be worked on there, delete the access point that has the function.",
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
        remedy="If backups must not be there, take the bucket out of the backup plan, and delete the recovery points.",
    ),
    Probe(
        "cloudfront",
        "Does a content delivery network keep copies of documents?",
        probes_copies.cloudfront,
        ("list_distributions", "list_access_points"),
        "control_plane",
        remedy="Take the bucket out of the distribution's origins: no link needs it.",
    ),
    Probe(
        "acceleration",
        "Can documents pass through other countries on their way?",
        probes_guards.acceleration,
        ("get_bucket_accelerate_configuration",),
        remedy="Suspend transfer acceleration of the bucket.",
    ),
    Probe(
        "logging",
        "Where do access logs go?",
        probes_records.logging,
        ("get_bucket_logging", "head_bucket"),
        remedy="If access logs must not be there, send them to a bucket in a permitted country.",
    ),
    Probe(
        "inventory",
        "Where do lists of the documents go?",
        probes_records.inventory,
        ("list_bucket_inventory_configurations", "head_bucket"),
        remedy="If lists must not be there, send them to a bucket in a permitted country.",
    ),
    Probe(
        "analytics",
        "Where do analyses of the documents go?",
        probes_records.analytics,
        ("list_bucket_analytics_configurations", "head_bucket"),
        remedy="If analyses must not be there, export them to a bucket in a permitted country.",
    ),
    Probe(
        "metadata",
        "Where are tables of the documents' metadata?",
        probes_records.metadata,
        ("get_bucket_metadata_configuration",),
        remedy="If these tables must not be there, delete the bucket's metadata configuration.",
    ),
    Probe(
        "key",
        "Where are the keys that open the documents?",
        probes_guards.key,
        ("get_bucket_encryption", "describe_key"),
        "kms",
        remedy="If the key must not be there, use one of the bucket's own region and account.",
    ),
    Probe(
        "public",
        "Can anybody at all read or write documents?",
        probes_guards.public,
        ("get_public_access_block", "get_bucket_policy_status", "get_bucket_policy", "get_bucket_acl"),
        remedy="Block all public access, and remove what lets everybody in.",
        watched=False,
    ),
    Probe(
        "lifecycle",
        "Does the bucket delete or archive documents by itself?",
        probes_guards.lifecycle,
        ("get_bucket_lifecycle_configuration",),
        remedy="Leave the store's prefix out of the lifecycle rule: documents end only by a plan.",
        watched=False,
    ),
    Probe(
        "sample",
        "Do documents bear traces of copies?",
        probes_copies.sample,
        ("list_objects_v2", "head_object", "get_bucket_replication"),
        remedy="Find the copies, and delete them if they must not be there.",
        watched=False,
    ),
    Probe(
        "website",
        "Is the bucket a web site?",
        probes_guards.website,
        ("get_bucket_website",),
        remedy="Remove the bucket's website configuration.",
        watched=False,
    ),
    Probe(
        "notification",
        "Who is told of new documents?",
        probes_records.notification,
        ("get_bucket_notification_configuration",),
        remedy="Look at what is told of new documents, and whether it copies them.",
        watched=False,
    ),
    Probe(
        "versioning",
        "Does the bucket keep versions?",
        probes_guards.versioning,
        ("get_bucket_versioning",),
        remedy="Nothing has to be done: offloader deletes every version when it deletes a document.",
        watched=False,
    ),
    Probe(
        "lock",
        "Are documents locked against removal?",
        probes_guards.lock,
        ("get_object_lock_configuration",),
        remedy="If documents should be locked, make the bucket anew with object lock.",
        watched=False,
    ),
    Probe(
        "account",
        "Which regions can the account use?",
        probes_guards.account,
        ("list_regions",),
        "account",
        remedy="Allow the question, or leave it: no proof needs it.",
        watched=False,
    ),
    Probe(
        "principal",
        "Who asks?",
        probes_guards.principal,
        ("get_caller_identity",),
        remedy="Allow the question, or leave it: no proof needs it.",
        watched=False,
    ),
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
