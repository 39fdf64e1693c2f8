"""Where is the bucket itself? Probes of the settings, the endpoint, the region and the owner."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from offloader_connectors import regions
from offloader_connectors.regions.evidence import Outcome
from offloader_connectors.s3.probes_asking import Inquiry, Refusal, header_region
from offloader_connectors.s3.probes_reading import Tally, Unanswered, field

#: classes kept in the region, several zones or one ("Using Amazon S3 storage classes" of the S3 user guide)
REGIONAL_CLASSES = frozenset({"GLACIER_IR", "INTELLIGENT_TIERING", "ONEZONE_IA", "STANDARD", "STANDARD_IA"})
ARCHIVE_CLASSES = frozenset({"DEEP_ARCHIVE", "GLACIER"})


def settings(inquiry: Inquiry, tally: Tally) -> str:
    options = inquiry.options
    tally.answer = {
        "bucket": options.bucket,
        "country": options.country,
        "partition": inquiry.partition,
        "prefix": options.prefix,
        "provider": options.provider,
        "region": options.region,
        "storage_class": options.storage_class,
    }
    if not inquiry.aws:
        return f"the store is the bucket {options.bucket} of {options.provider}, region {options.region}"
    day = regions.atlas().dates["aws_regions"]
    if not inquiry.countries(options.region):
        tally.unknown(f"in which country the region {options.region} is, is not known (table of {day})")
    elif options.country and {options.country} != inquiry.countries(options.region):
        tally.violation(f"the store should be in {options.country}, but its region is {inquiry.named(options.region)}")
    if options.storage_class and options.storage_class not in REGIONAL_CLASSES | ARCHIVE_CLASSES:
        tally.unknown(f"whether the storage class {options.storage_class} keeps documents in the region is not known")
    return f"the store is the bucket {options.bucket} in {inquiry.named(options.region)}, by the table of {day}"


def endpoint(inquiry: Inquiry, tally: Tally) -> str:
    address, region = inquiry.address()
    parts = urlsplit(address)
    host = parts.hostname or ""
    tally.answer = {"endpoint": address, "services": dict(inquiry.options.service_endpoints)}
    if region != inquiry.options.region:
        tally.violation(f"requests are signed for {region}, not for {inquiry.options.region} as configured")
    if inquiry.aws:
        _aws_endpoint(inquiry, tally, address)
    else:
        _other_endpoint(inquiry, tally, host)
        if parts.scheme != "https":
            tally.note("requests are not encrypted on their way")
    return f"requests go to {host}"


def _aws_endpoint(inquiry: Inquiry, tally: Tally, address: str) -> None:
    """Answers count as those of AWS only from its own hosts ("Amazon S3 endpoints" of the AWS general reference)."""
    options = inquiry.options
    found = regions.region("aws", inquiry.partition or "", options.region)
    suffix = found.dns_suffix if found else ""
    where = re.escape(f"{options.region}.{suffix}")
    private = rf"(?:bucket\.)?vpce-[0-9a-z-]+\.s3\.{re.escape(options.region)}\.vpce\.{re.escape(suffix)}"
    pattern = rf"https://(?:s3(?:-fips)?(?:\.dualstack)?\.{where}|{private})(?::443)?/?"
    if not suffix or not re.fullmatch(pattern, address):
        tally.unknown(f"the endpoint {address} is not that of AWS in {options.region}: its answers prove nothing")
    for service, url in sorted(options.service_endpoints.items()):
        parts = urlsplit(url)
        if parts.scheme != "https" or not suffix or not f".{parts.hostname}".endswith(f".{suffix}"):
            tally.unknown(f"the endpoint of {service} is not that of AWS: its answers prove nothing")


def _other_endpoint(inquiry: Inquiry, tally: Tally, host: str) -> None:
    """Place a server by what its provider publishes, and by what somebody attests."""
    options = inquiry.options
    published = regions.by_endpoint(options.provider, host)
    known = published or regions.region(options.provider, "", options.region)
    signed = known is not None and re.fullmatch(r"[a-z0-9-]+", known.name) is not None
    if published and signed and published.name != options.region:
        tally.violation(f"{host} is {options.provider}'s endpoint for {published.name}, not for {options.region}")
    if known is not None:
        label, worse = f"{options.provider} {known.name}", Outcome.VIOLATION if known.confirmed else Outcome.UNKNOWN
        if not known.countries:
            tally.unknown(f"{options.provider} does not bind {known.name} to any country")
        elif options.country and options.country not in known.countries:
            tally.add(worse, f"{options.country} is attested, but {label} is in {' '.join(sorted(known.countries))}")
        tally.places[label] = known.countries
    if published is None:
        tally.add(Outcome.ABSENT, f"where {host} is, no list says; it rests on the attestation")
        if options.country:
            tally.places[f"{options.provider} {options.region}"] = frozenset({options.country})


def region(inquiry: Inquiry, tally: Tally) -> str:
    configured = inquiry.options.region
    seen: dict[str, str | None] = {}
    with tally.attempt():
        seen["HeadBucket"] = _by_head(inquiry, tally)
    with tally.attempt():
        seen["GetBucketLocation"] = _by_location(inquiry)
    tally.answer = seen
    if configured == "auto" and not inquiry.aws:
        return "the server has one region for all"
    for where in sorted({each or "" for each in seen.values()}):
        ways = " and ".join(how for how, each in seen.items() if (each or "") == where)
        if not where:
            tally.add(tally.empty, f"{ways}: the answer does not say where the bucket is")
            continue
        if where != configured:
            text = f"the bucket is in {inquiry.named(where)}, not in {inquiry.named(configured)} as configured"
            tally.violation(f"{text} (says {ways})")
        if inquiry.aws or where != configured:
            inquiry.place(tally, where, "the bucket is in")
    if len({*seen.values()} - {None}) > 1:
        tally.violation("HeadBucket and GetBucketLocation do not agree on where the bucket is")
    return f"the bucket is in {inquiry.named(configured)}, as two answers say"


def _by_head(inquiry: Inquiry, tally: Tally) -> str | None:
    """S3 names the region in the header of every answer, and recommends it ("HeadBucket" of the S3 API reference)."""
    try:
        answer = inquiry.head()
    except Refusal as error:
        if error.region is None:
            raise inquiry.unanswered(error, "head_bucket") from None
        if error.status == 404:
            tally.unknown(f"there is no bucket {inquiry.options.bucket}")
        return error.region
    if field(answer, "AccessPointAlias", bool):
        tally.violation(f"{inquiry.options.bucket} is the alias of an access point, not a bucket")
    if kind := field(answer, "BucketLocationType", str):
        tally.unknown(f"the bucket is in a single zone ({kind}), and the place of zones is not known")
    return header_region(answer.get("ResponseMetadata")) or field(answer, "BucketRegion", str)


def _by_location(inquiry: Inquiry) -> str | None:
    """Null means us-east-1, and EU means eu-west-1 ("GetBucketLocation" of the S3 API reference)."""
    answer = inquiry.call("get_bucket_location", **inquiry.bucket)
    if "LocationConstraint" not in answer:
        return None
    where = field(answer, "LocationConstraint", str)
    if inquiry.aws:
        return {None: "us-east-1", "EU": "eu-west-1"}.get(where, where)
    return where or None


def owner(inquiry: Inquiry, tally: Tally) -> str:
    expected = inquiry.options.expected_owner
    tally.answer = {"expected_owner": expected}
    if expected is None:
        raise Unanswered(
            "nobody has said whose bucket it must be: set expected_owner to the account's 12 digits, so that a bucket "
            "of the same name in other hands is refused"
        )
    try:
        inquiry.head()
    except Refusal as error:
        raise inquiry.unanswered(error, "head_bucket") from None
    return f"the bucket belongs to the account {expected}"
