"""Who can reach, open or remove the documents? Probes of keys, public access, entry points, terms and the account."""

from __future__ import annotations

import json
from typing import Any

from offloader_connectors.s3.probes_asking import Inquiry
from offloader_connectors.s3.probes_copies import enabled_regions, overlaps
from offloader_connectors.s3.probes_place import ARCHIVE_CLASSES
from offloader_connectors.s3.probes_reading import Strange, Tally, Unanswered, arn_part, field, items, need

#: everybody, and everybody with an account of any customer ("Access control list overview" of the S3 user guide)
_EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def acceleration(inquiry: Inquiry, tally: Tally) -> str:
    answer = inquiry.call("get_bucket_accelerate_configuration", **inquiry.bucket)
    status = field(answer, "Status", str) or ""
    tally.answer = {"status": status}
    if status == "Enabled":
        tally.violation(
            "transfer acceleration is on: documents may enter and leave by AWS locations in any country; suspend it"
        )
    elif status not in ("", "Suspended"):
        raise Strange(f"Status is {status}")
    return "transfer acceleration is off"


def key(inquiry: Inquiry, tally: Tally) -> str:
    keys = {inquiry.options.kms_key} if inquiry.options.kms_key else set()
    answer = inquiry.setting("get_bucket_encryption")
    found = None if answer is None else need(answer, "ServerSideEncryptionConfiguration", dict)
    told: dict[str, Any] = {"rules": [] if found is None else items(found, "Rules"), "keys": []}
    tally.answer = told
    for rule in told["rules"]:
        default = field(rule, "ApplyServerSideEncryptionByDefault", dict) or {}
        if name := field(default, "KMSMasterKeyID", str):
            keys.add(name)
    for name in sorted(keys):
        with tally.attempt():
            told["keys"].append(_place_key(inquiry, tally, name))
    return "the documents are encrypted with keys of AWS, which stay in the region"


def _place_key(inquiry: Inquiry, tally: Tally, name: str) -> object:
    """Count every region that holds the key's material ("DescribeKey" of the KMS API reference)."""
    region = arn_part(name, 3) if name.startswith("arn:") else inquiry.options.region
    answer = inquiry.call("describe_key", "kms", region, KeyId=name)
    about = need(answer, "KeyMetadata", dict)
    arn = need(about, "Arn", str)
    where = {arn_part(arn, 3)}
    several = need(about, "MultiRegion", bool)
    if several:
        replicas = need(about, "MultiRegionConfiguration", dict)
        where.add(need(need(replicas, "PrimaryKey", dict), "Region", str))
        where.update(need(each, "Region", str) for each in items(replicas, "ReplicaKeys"))
    elif "mrk-" in arn:
        raise Strange("a multi-region key says that it is none")
    for each in sorted(where):
        inquiry.place(tally, each, "the key that opens the documents is in")
    shown = ", ".join(map(inquiry.named, sorted(where)))
    tally.note(f"the key that opens the documents is in {shown}")
    account, state = field(about, "AWSAccountId", str), field(about, "KeyState", str)
    if inquiry.options.expected_owner and account != inquiry.options.expected_owner:
        tally.note(f"the key belongs to another account ({account}), which can make the documents unreadable")
    if state not in ("Enabled", None):
        tally.note(f"the key cannot be used ({state}): documents cannot be opened")
    return {"arn": arn, "account": account, "manager": field(about, "KeyManager", str), "regions": sorted(where)}


def public(inquiry: Inquiry, tally: Tally) -> str:
    told: dict[str, object] = {}
    tally.answer = told
    block = dict.fromkeys(_BLOCKS, False)
    with tally.attempt():
        answer = inquiry.setting("get_public_access_block")
        found = {} if answer is None else need(answer, "PublicAccessBlockConfiguration", dict)
        told["block"] = block = {name: field(found, name, bool) or False for name in _BLOCKS}
    with tally.attempt():
        told["policy"] = by_policy = _public_policy(inquiry)
        if by_policy and not block["RestrictPublicBuckets"]:
            tally.violation("the bucket's policy lets anybody in: remove that statement, and block public access")
    with tally.attempt():
        answer = inquiry.call("get_bucket_acl", **inquiry.bucket)
        told["grants"] = everybody = sorted(
            f"{field(grant, 'Permission', str)} {uri}"
            for grant in items(answer, "Grants")
            if (uri := field(need(grant, "Grantee", dict), "URI", str)) and uri.endswith(_EVERYBODY)
        )
        if everybody and not block["IgnorePublicAcls"]:
            tally.violation("the bucket's access list lets anybody in: remove that grant, and block public access")
    if "block" in told and not all(block.values()):
        tally.note("public access is not blocked altogether: a later policy could let anybody in; switch on all blocks")
    return "public access is blocked altogether"


def _public_policy(inquiry: Inquiry) -> bool:
    """Ask AWS whether it counts the policy as public; read the policy itself on servers that do not say."""
    try:
        answer = inquiry.setting("get_bucket_policy_status")
        if answer is None:
            return False
        return need(need(answer, "PolicyStatus", dict), "IsPublic", bool)
    except (Unanswered, Strange):
        if inquiry.aws:
            raise
    answer = inquiry.setting("get_bucket_policy")
    if answer is None:
        return False
    try:
        policy = json.loads(need(answer, "Policy", str))
    except (ValueError, RecursionError):
        raise Strange("the bucket's policy is no JSON") from None
    found = policy.get("Statement") if isinstance(policy, dict) else None
    return any(_open(each) for each in (found if isinstance(found, list) else [found]))


def _open(statement: object) -> bool:
    if not isinstance(statement, dict):
        raise Strange("the bucket's policy has no statements")
    who = statement.get("Principal")
    named = who.get("AWS") if isinstance(who, dict) else who
    everybody = "*" in named if isinstance(named, list) else named == "*"
    return statement.get("Effect") == "Allow" and everybody and not statement.get("Condition")


def website(inquiry: Inquiry, tally: Tally) -> str:
    answer = inquiry.setting("get_bucket_website")
    tally.answer = answer
    if answer is not None:
        tally.note("the bucket is set up as a web site: remove it, documents are opened by their links only")
    return "the bucket is no web site"


def lifecycle(inquiry: Inquiry, tally: Tally) -> str:
    answer = inquiry.setting("get_bucket_lifecycle_configuration")
    rules = [] if answer is None else items(answer, "Rules") if inquiry.aws else need(answer, "Rules", list)
    tally.answer = rules
    for rule in rules:
        with tally.attempt():
            if need(rule, "Status", str) != "Enabled" or not overlaps(inquiry, rule):
                continue
            name, ends = field(rule, "ID", str) or "without a name", field(rule, "Expiration", dict) or {}
            if ends.get("Days") is not None or ends.get("Date") is not None:
                tally.violation(
                    f"the lifecycle rule {name} deletes documents by itself: leave the store's prefix out of it"
                )
            classes = {need(each, "StorageClass", str) for each in items(rule, "Transitions")}
            if classes & ARCHIVE_CLASSES:
                tally.note(f"the lifecycle rule {name} moves documents to an archive, where they do not open at once")
    return "no lifecycle rule deletes documents"


def versioning(inquiry: Inquiry, tally: Tally) -> str:
    answer = inquiry.call("get_bucket_versioning", **inquiry.bucket)
    tally.answer = {"status": field(answer, "Status", str), "mfa_delete": field(answer, "MFADelete", str)}
    if field(answer, "Status", str) == "Enabled":
        tally.note("the bucket keeps versions: an erasure must remove all of them")
    return "the bucket keeps no versions"


def lock(inquiry: Inquiry, tally: Tally) -> str:
    answer = inquiry.setting("get_object_lock_configuration")
    found = None if answer is None else need(answer, "ObjectLockConfiguration", dict)
    tally.answer = found
    default = field(field(found or {}, "Rule", dict) or {}, "DefaultRetention", dict) or {}
    mode = field(default, "Mode", str)
    if mode:
        term = f"{field(default, 'Days', int) or ''}{' days' if default.get('Days') else ''}"
        term = term or f"{field(default, 'Years', int) or '?'} years"
        tally.note(f"every document is locked for {term} by default ({mode})")
    if found is None and inquiry.options.object_lock is not None:
        tally.note("documents should be locked, and the bucket has no object lock")
    return "documents are not locked by default"


def account(inquiry: Inquiry, tally: Tally) -> str:
    tally.answer = enabled_regions(inquiry)
    return "the account's enabled regions are on record"


def principal(inquiry: Inquiry, tally: Tally) -> str:
    """The session's name is left out: it changes from run to run."""
    answer = inquiry.call("get_caller_identity", "sts")
    arn = need(answer, "Arn", str)
    role = "/".join(arn.split("/")[:2]) if ":assumed-role/" in arn else arn
    tally.answer = {"account": need(answer, "Account", str), "arn": role}
    return "on record"
