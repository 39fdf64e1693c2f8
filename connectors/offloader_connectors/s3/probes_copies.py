"""Are there copies elsewhere? Probes of what AWS copies, serves or works on beside the bucket itself."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any

from offloader_connectors import regions
from offloader_connectors.regions.evidence import Outcome
from offloader_connectors.s3.probes_asking import Inquiry
from offloader_connectors.s3.probes_place import ARCHIVE_CLASSES, REGIONAL_CLASSES
from offloader_connectors.s3.probes_reading import Tally, Unanswered, arn_part, bucket_of, field, items, need, strings

#: the one region that answers for multi-region access points ("Managing Multi-Region Access Points", S3 user guide)
MRAP_REGION = "us-west-2"
_COPYING = frozenset({"LambdaInvoke", "S3PutObjectCopy", "S3ReplicateObject"})
_REGIONS_AT_ONCE = 8
_JOBS = 200
_SAMPLE = 3


def overlaps(inquiry: Inquiry, rule: object) -> bool:
    """Whether a rule of the bucket can apply to the store's keys, by the prefix of its filter."""
    found = field(rule, "Filter", dict) or {}
    prefix = field(found, "Prefix", str) or field(field(found, "And", dict) or {}, "Prefix", str)
    prefix = prefix or field(rule, "Prefix", str) or ""
    return prefix.startswith(inquiry.options.prefix) or inquiry.options.prefix.startswith(prefix)


def _rules(inquiry: Inquiry) -> list[dict[str, Any]]:
    answer = inquiry.setting("get_bucket_replication")
    return [] if answer is None else items(need(answer, "ReplicationConfiguration", dict), "Rules")


def replication(inquiry: Inquiry, tally: Tally) -> str:
    rules = _rules(inquiry)
    tally.answer = rules
    for rule in rules:
        with tally.attempt():
            target = need(rule, "Destination", dict)
            bucket, name = bucket_of(need(target, "Bucket", str)), field(rule, "ID", str) or "without a name"
            if not overlaps(inquiry, rule):
                tally.note(f"the replication rule {name}, for other documents, copies to the bucket {bucket}")
                continue
            does = "copies" if need(rule, "Status", str) == "Enabled" else "is disabled, and would copy or has copied"
            owner = field(target, "Account", str) or None
            where = inquiry.place_of_bucket(tally, bucket, "documents are copied to", owner)
            if where and inquiry.countries(where):
                tally.note(
                    f"the replication rule {name} {does} documents to the bucket {bucket} in {inquiry.named(where)}"
                )
    return "no rule copies documents to another bucket"


def jobs(inquiry: Inquiry, tally: Tally) -> str:
    """Copy jobs stand in the list of the region they copy *to* ("Copy objects", S3 user guide, Batch Operations)."""
    account = inquiry.account()
    asked = _enabled(inquiry)

    def look(region: str) -> list[dict[str, Any]] | Unanswered:
        tokens = ("NextToken", "NextToken")
        try:
            return inquiry.listing("list_jobs", "s3control", ("Jobs",), tokens, region=region, **account)
        except Unanswered as error:
            return error

    with ThreadPoolExecutor(_REGIONS_AT_ONCE) as threads:
        lists = [*threads.map(look, asked)]
    found: list[tuple[str, dict[str, Any]]] = []
    silent: dict[tuple[Outcome, str], list[str]] = {}
    for region, each in zip(asked, lists, strict=True):
        if isinstance(each, Unanswered):
            silent.setdefault((each.outcome, str(each)), []).append(region)
        else:
            found += ((region, job) for job in each if field(job, "Operation", str) in _COPYING)
    for (outcome, text), where in silent.items():
        more = f" and {len(where) - 1} more regions" if len(where) > 1 else ""
        tally.add(outcome, f"batch jobs of {where[0]}{more}: {text}")
    if len(found) > _JOBS:
        tally.unknown(f"the account has {len(found)} jobs that may copy documents, too many to look through")
    told: list[object] = []
    tally.answer = told
    for region, job in found[:_JOBS]:
        with tally.attempt():
            told += _judge_job(inquiry, tally, region, job, account)
    return f"no batch job of the last 90 days copies documents ({len(asked)} regions asked)"


def _enabled(inquiry: Inquiry) -> list[str]:
    """Return the regions that jobs can be in: those of the account, or all that are known."""
    if not inquiry.options.proof.account:
        return [found.name for found in regions.of_provider("aws", inquiry.partition or "") if found.countries]
    return enabled_regions(inquiry) or [inquiry.options.region]


def enabled_regions(inquiry: Inquiry) -> list[str]:
    """Return the regions that are not disabled for the account, sorted. Raises Unanswered, Strange."""
    found = inquiry.listing("list_regions", "account", ("Regions",), ("NextToken", "NextToken"))
    return sorted(need(each, "RegionName", str) for each in found if need(each, "RegionOptStatus", str) != "DISABLED")


def _judge_job(
    inquiry: Inquiry, tally: Tally, region: str, listed: dict[str, Any], account: dict[str, str]
) -> Iterable[object]:
    name = need(listed, "JobId", str)
    answer = inquiry.call("describe_job", "s3control", region, JobId=name, **account)
    job = need(answer, "Job", dict)
    operation = need(job, "Operation", dict)
    generator = field(field(job, "ManifestGenerator", dict) or {}, "S3JobManifestGenerator", dict) or {}
    named = field(generator, "SourceBucket", str)
    source = bucket_of(named) if named else None
    if source is not None and source != inquiry.options.bucket:
        return ()
    copy = field(operation, "S3PutObjectCopy", dict)
    target = bucket_of(need(copy, "TargetResource", str)) if copy is not None else None
    if target == inquiry.options.bucket:
        return ()
    which, here = f"the batch job {name} in {region}", inquiry.countries(region)
    if copy is None and field(operation, "LambdaInvoke", dict) is not None:
        tally.note(f"{which} hands objects to a function of the account, which may copy documents")
    elif source is None and (copy is None or not here or not here <= inquiry.countries(inquiry.options.region)):
        tally.unknown(f"{which} copies a list of objects that cannot be seen from here; documents may be among them")
    elif target is not None:
        inquiry.place(tally, region, f"{which} copies documents to the bucket {target} in")
        tally.note(f"{which} copies documents to the bucket {target} in {inquiry.named(region)}")
    elif not _rules(inquiry):
        tally.unknown(f"{which} has copied documents by a replication rule that is gone; where to cannot be seen")
    else:
        tally.note(f"{which} copies older documents by the bucket's replication rules")
    return ({"job": name, "region": region, "source": source, "target": target, "operation": sorted(operation)},)


def mrap(inquiry: Inquiry, tally: Tally) -> str:
    region = MRAP_REGION if inquiry.partition == "aws" else inquiry.options.region
    found = inquiry.listing(
        "list_multi_region_access_points",
        "s3control",
        ("AccessPoints",),
        ("NextToken", "NextToken"),
        region=region,
        **inquiry.account(),
    )
    own = [each for each in found if any(field(part, "Bucket", str) == inquiry.options.bucket for part in _parts(each))]
    tally.answer = [{"alias": field(each, "Alias", str), "regions": _parts(each)} for each in own]
    for point in own:
        with tally.attempt():
            where = sorted({need(part, "Region", str) for part in _parts(point)})
            for each in where:
                inquiry.place(tally, each, "a multi-region access point on the bucket also leads to")
            shown = ", ".join(map(inquiry.named, where))
            tally.note(f"a multi-region access point on the bucket spreads requests over {shown}")
    return "the bucket is part of no multi-region access point"


def _parts(point: object) -> list[dict[str, Any]]:
    return items(point, "Regions")


def _access_points(inquiry: Inquiry) -> list[dict[str, Any]]:
    return inquiry.listing(
        "list_access_points",
        "s3control",
        ("AccessPointList",),
        ("NextToken", "NextToken"),
        **inquiry.account(),
        **inquiry.bucket,
    )


def object_lambda(inquiry: Inquiry, tally: Tally) -> str:
    fine = "no function stands between the documents and their readers"
    account = inquiry.account()
    points = inquiry.listing(
        "list_access_points_for_object_lambda",
        "s3control",
        ("ObjectLambdaAccessPointList",),
        ("NextToken", "NextToken"),
        **account,
    )
    if not points:
        return fine
    own = {need(each, "AccessPointArn", str) for each in _access_points(inquiry)}
    told: list[object] = []
    tally.answer = told
    for point in points:
        with tally.attempt():
            name = need(point, "Name", str)
            answer = inquiry.call("get_access_point_configuration_for_object_lambda", "s3control", Name=name, **account)
            found = need(answer, "Configuration", dict)
            if need(found, "SupportingAccessPoint", str) not in own:
                continue
            for step in items(found, "TransformationConfigurations"):
                function = need(need(need(step, "ContentTransformation", dict), "AwsLambda", dict), "FunctionArn", str)
                told.append({"point": name, "function": function})
                where = inquiry.place_of_arn(tally, function, "documents are read by a function in")
                tally.note(f"the access point {name} passes documents through a function in {inquiry.named(where)}")
    return fine


def backup(inquiry: Inquiry, tally: Tally) -> str:
    arn = f"arn:{inquiry.partition}:s3:::{inquiry.options.bucket}"
    vaults: set[str] = set()
    tally.answer = vaults
    with tally.attempt():
        for point in inquiry.listing(
            "list_recovery_points_by_resource",
            "backup",
            ("RecoveryPoints",),
            ("NextToken", "NextToken"),
            ResourceArn=arn,
        ):
            vaults.add(":".join(need(point, "RecoveryPointArn", str).split(":")[:5]))
    with tally.attempt():
        for job in inquiry.listing(
            "list_copy_jobs", "backup", ("CopyJobs",), ("NextToken", "NextToken"), ByResourceArn=arn
        ):
            vaults.add(need(job, "DestinationBackupVaultArn", str))
    with tally.attempt():
        for plan in inquiry.listing("list_backup_plans", "backup", ("BackupPlansList",), ("NextToken", "NextToken")):
            with tally.attempt():
                vaults |= _planned(inquiry, need(plan, "BackupPlanId", str), arn)
    for vault in sorted(vaults):
        with tally.attempt():
            where = arn_part(f"{vault}:" if vault.count(":") == 4 else vault, 3)
            inquiry.place(tally, where, "backups of documents are in")
            tally.note(f"backups of documents are, or will be, kept in {inquiry.named(where)}")
    return "AWS Backup keeps no copy of the bucket"


def _planned(inquiry: Inquiry, plan: str, arn: str) -> set[str]:
    """Return the vaults that a plan copies backups to, if it can apply to the bucket."""
    answer = inquiry.call("get_backup_plan", "backup", BackupPlanId=plan)
    vaults: set[str] = set()
    for rule in items(need(answer, "BackupPlan", dict), "Rules"):
        vaults.update(need(action, "DestinationBackupVaultArn", str) for action in items(rule, "CopyActions"))
        vaults.update(filter(None, [field(rule, "TargetLogicallyAirGappedBackupVaultArn", str)]))
    if not vaults:
        return set()
    selections = inquiry.listing(
        "list_backup_selections", "backup", ("BackupSelectionsList",), ("NextToken", "NextToken"), BackupPlanId=plan
    )
    for selection in selections:
        found = inquiry.call(
            "get_backup_selection", "backup", BackupPlanId=plan, SelectionId=need(selection, "SelectionId", str)
        )
        if _selects(need(found, "BackupSelection", dict), arn):
            return vaults
    return set()


def _selects(selection: object, arn: str) -> bool:
    """Whether a selection can apply to the bucket; one by tags or conditions always can."""
    if any(fnmatchcase(arn, pattern) for pattern in strings(selection, "NotResources")):
        return False
    named = strings(selection, "Resources")
    return not named or bool(items(selection, "ListOfTags")) or any(fnmatchcase(arn, pattern) for pattern in named)


def cloudfront(inquiry: Inquiry, tally: Tally) -> str:
    fine = "no content delivery network of the account fetches documents from the bucket"
    found = inquiry.listing("list_distributions", "cloudfront", ("DistributionList", "Items"), ("Marker", "NextMarker"))
    if not found:
        return fine
    names = {inquiry.options.bucket}
    with tally.attempt():
        names |= {alias for each in _access_points(inquiry) if (alias := field(each, "Alias", str))}
    told: list[object] = []
    tally.answer = told
    for distribution in found:
        with tally.attempt():
            name, enabled = need(distribution, "Id", str), need(distribution, "Enabled", bool)
            origins = items(need(distribution, "Origins", dict), "Items")
            hosts = sorted({need(each, "DomainName", str) for each in origins if _leads_to(each, names)})
            if not hosts:
                continue
            told.append({"distribution": name, "enabled": enabled, "origins": hosts})
            if enabled:
                tally.violation(f"the CloudFront distribution {name} keeps copies of documents all over the world")
            else:
                tally.note(f"the CloudFront distribution {name} leads to the bucket, and is disabled")
    return fine


def _leads_to(origin: object, names: set[str]) -> bool:
    host = need(origin, "DomainName", str).lower().rstrip(".")
    first = (field(origin, "OriginPath", str) or "").strip("/").partition("/")[0]
    by_host = any(host == name or host.startswith(f"{name}.s3") for name in names)
    return by_host or (host.startswith("s3") and first in names)


def sample(inquiry: Inquiry, tally: Tally) -> str:
    """Look at a few documents for traces of copies; where there are none, the evidence stays as it is."""
    answer = inquiry.call("list_objects_v2", **inquiry.bucket, Prefix=inquiry.options.prefix, MaxKeys=_SAMPLE)
    traces: set[str] = set()
    for entry in items(answer, "Contents")[:_SAMPLE]:
        kept = field(entry, "StorageClass", str) or "STANDARD"
        if inquiry.aws and kept not in REGIONAL_CLASSES | ARCHIVE_CLASSES:
            traces.add(kept)
            tally.violation(f"documents are kept outside of the region's ordinary storage ({kept})")
        head = inquiry.call("head_object", **inquiry.bucket, Key=need(entry, "Key", str))
        status = field(head, "ReplicationStatus", str)
        if status:
            traces.add(status)
    tally.answer = traces
    if traces & {"COMPLETED", "COMPLETE", "PENDING", "FAILED"} and not _rules(inquiry):
        tally.violation("documents were copied by a replication rule that is gone; where the copies are is not known")
    if "REPLICA" in traces:
        tally.note("documents in the bucket are themselves copies, made by replication from elsewhere")
    return "no trace of a copy at the documents that were looked at"
