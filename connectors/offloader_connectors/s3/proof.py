"""The S3 location proof: dated evidence of every place where the documents can be, in words and as raw answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from offloader.model import Assurance, LocationProof
from offloader_connectors import regions
from offloader_connectors.regions import evidence
from offloader_connectors.regions.evidence import Outcome, Question, Result
from offloader_connectors.s3 import probes
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.probes_asking import Asked, Inquiry

_SENTENCES = 3
#: every entry of the evidence, for a reader
_QUESTIONS = {
    probe.name: Question(asks=probe.question, permissions=probe.actions, remedy=probe.remedy, watched=probe.watched)
    for probe in probes.PROBES
} | {
    "attestation": Question(
        asks="Who vouches for what is not proven?",
        remedy="Have the place confirmed again, and set attested_until.",
        watched=False,
    ),
    "questions": Question(
        asks="Is the configured list of questions in order?", remedy="Correct proof.skip and proof.required."
    ),
}
_OF_KEY = frozenset({"kms:DescribeKey"})
#: actions of S3 that are about the account, not about one bucket
_OF_ACCOUNT = frozenset(
    {
        "s3:DescribeJob",
        "s3:GetAccessPointConfigurationForObjectLambda",
        "s3:ListAccessPoints",
        "s3:ListAccessPointsForObjectLambda",
        "s3:ListJobs",
        "s3:ListMultiRegionAccessPoints",
    }
)


def prove(clients: Asked, options: S3Options, name: str, now: datetime) -> LocationProof:
    """Ask every question and weigh the answers; `now` is in UTC. Bad news is a verdict, never an exception.

    PROVEN: AWS itself has answered every required question. ATTESTED: nothing seen speaks against the place, and a
    named person vouches for what could not be asked. VIOLATION: something seen does. UNPROVEN: all else.
    """
    inquiry = Inquiry(clients, options)
    needed = probes.needs(options.provider)
    asked = [probe for probe in probes.PROBES if needed[probe.name] != "off"]
    required = {name for name, need in needed.items() if need == "required"}
    wanted = required if options.proof.required is None else {*options.proof.required, *probes.UNSKIPPABLE} & {*needed}
    results = {probe.name: _skipped(probe, options) or probe.run(inquiry) for probe in asked}
    results["attestation"] = attestation = _attestation(options, now)
    results["questions"] = _questions(options, {probe.name for probe in asked})
    assurance = evidence.weigh(
        results,
        wanted | {"questions"},
        provable=options.provider in probes.PROVING and required <= wanted,
        attested=attestation.outcome is Outcome.OK,
    )
    usable = assurance in (Assurance.PROVEN, Assurance.ATTESTED)
    found = {each: result.text() for each, result in results.items()} | {evidence.ABOUT: _about()}
    return LocationProof(
        store=name,
        assurance=assurance,
        countries=evidence.places(results),
        taken=now,
        expires=_expiry(options, assurance, now) if usable else now,
        summary=_summary(options, assurance, results, wanted),
        evidence=found,
        sha256=evidence.fingerprint(found),
        probes=evidence.told(results, _QUESTIONS),
    )


def _skipped(probe: probes.Probe, options: S3Options) -> Result | None:
    """Say that a probe is not run, if the configuration says so."""
    if probe.name in probes.UNSKIPPABLE:
        return None
    if probe.name in options.proof.skip:
        return Result(outcome=Outcome.SKIPPED, says="not asked: the configuration skips it (proof.skip)")
    if probe.switch and not getattr(options.proof, probe.switch):
        return Result(outcome=Outcome.SKIPPED, says=f"not asked: switched off (proof.{probe.switch})")
    return None


def _questions(options: S3Options, asked: set[str]) -> Result:
    """Refuse a configuration that names questions which do not exist, or which must be asked."""
    unknown = sorted({*options.proof.skip, *(options.proof.required or ())} - probes.NAMES)
    kept = sorted({*options.proof.skip} & probes.UNSKIPPABLE)
    idle = sorted({*(options.proof.required or ())} & probes.NAMES - asked)
    for names, what in ((unknown, "does not exist"), (kept, "cannot be skipped"), (idle, "is not asked here")):
        if names:
            return Result(outcome=Outcome.UNKNOWN, says=f"the probe {', '.join(names)} of the configuration {what}")
    return Result(outcome=Outcome.OK, says="the configuration's list of questions is in order")


def _attestation(options: S3Options, now: datetime) -> Result:
    who, until = options.attested_by, options.attested_until
    said = {"by": who, "until": until.isoformat() if until else None, "country": options.country}
    if not who or until is None:
        return Result(
            outcome=Outcome.SKIPPED, says="nobody attests anything (attested_by, attested_until)", answer=said
        )
    if now >= _end(until):
        return Result(
            outcome=Outcome.UNKNOWN,
            says=f"the attestation of {who} ran out at the end of {until}: have it confirmed again",
            answer=said,
        )
    return Result(outcome=Outcome.OK, says=f"{who} vouches until {until} for what is not proven", answer=said)


def _end(until: date) -> datetime:
    """The first moment at which an attestation no longer holds."""
    if until == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(until + timedelta(days=1), time.min, UTC)


def _expiry(options: S3Options, assurance: Assurance, now: datetime) -> datetime:
    until = now + timedelta(hours=options.proof.hours)
    if assurance is Assurance.ATTESTED and options.attested_until is not None:
        return min(until, _end(options.attested_until))
    return until


def _about() -> str:
    from botocore import __version__ as botocore  # noqa: PLC0415  takes long to import

    tables = regions.atlas()
    return evidence.canonical({"botocore": botocore, "probes": probes.PROBE_SET, "tables": tables.version})


def _summary(options: S3Options, assurance: Assurance, results: Mapping[str, Result], wanted: Iterable[str]) -> str:
    bucket = f"the bucket {options.bucket} ({options.provider} {options.region})"
    needed = {*wanted, "questions"}
    if assurance is Assurance.VIOLATION:
        return f"violation: {_join(_those(results, results, Outcome.VIOLATION))}"
    if assurance is Assurance.UNPROVEN:
        trouble = _those(results, needed, Outcome.UNKNOWN)
        return f"unproven: {_join(trouble or [_unvouched(options, results, needed)])}"
    where = f"{bucket} and everything that comes from it is in {' '.join(sorted(evidence.places(results)))}"
    if assurance is Assurance.PROVEN:
        return f"proven: {where}; AWS has answered {len(needed) - 1} questions"
    open_questions = sorted(name for name in needed if results[name].outcome in (Outcome.ABSENT, Outcome.SKIPPED))
    asked = f" (not answered: {', '.join(open_questions)})" if open_questions else ""
    return f"attested: {where}, as {options.attested_by} vouches until {options.attested_until}{asked}"


def _those(results: Mapping[str, Result], names: Iterable[str], outcome: Outcome) -> list[str]:
    return [f"{name}: {results[name].says}" for name in results if name in names and results[name].outcome is outcome]


def _unvouched(options: S3Options, results: Mapping[str, Result], needed: Iterable[str]) -> str:
    """Say what somebody would have to vouch for."""
    said = results["attestation"]
    if said.outcome is Outcome.UNKNOWN:
        return said.says
    names = [name for name in results if name in needed and results[name].outcome in (Outcome.ABSENT, Outcome.SKIPPED)]
    what = f"not answered: {', '.join(names)}; " if names else f"{options.provider} cannot prove a place by itself; "
    country = "" if options.provider in probes.PROVING else "country, "
    return f"{what}set {country}attested_by and attested_until if somebody vouches for it"


def _join(sentences: list[str]) -> str:
    more = len(sentences) - _SENTENCES
    return "; ".join(sentences[:_SENTENCES]) + (f"; and {more} more" if more > 0 else "")


def iam_policy(options: S3Options) -> dict[str, Any]:
    """Return an IAM policy that allows every question and nothing else: no document can be read or changed with it.

    The probe `sample` is left out, because HeadObject needs s3:GetObject, which also opens documents.
    ("Actions, resources, and condition keys" of the service authorization reference, "IAM JSON policy elements".)
    """
    partition = regions.partition_of("aws", options.region) or "aws"
    asked = (probe for probe in probes.PROBES if probe.name != "sample")
    actions = {action for probe in asked for action in probe.actions} - {"s3:GetBucketPolicy"}
    key = options.kms_key if options.kms_key and options.kms_key.startswith("arn:") else "*"
    of_bucket = {action for action in actions if action.startswith("s3:")} - _OF_ACCOUNT
    scopes = (
        ("Bucket", of_bucket, f"arn:{partition}:s3:::{options.bucket}"),
        ("Account", actions - of_bucket - _OF_KEY, "*"),
        ("Key", _OF_KEY, key),
    )
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": f"OffloaderProof{name}", "Effect": "Allow", "Action": sorted(allowed), "Resource": resource}
            for name, allowed, resource in scopes
        ],
    }
