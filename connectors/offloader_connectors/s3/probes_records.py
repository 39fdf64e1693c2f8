"""Where do records about the documents go? Probes of logs, lists of objects, analyses and messages."""

from __future__ import annotations

from typing import Any

from offloader_connectors.s3.probes_asking import Inquiry
from offloader_connectors.s3.probes_copies import overlaps
from offloader_connectors.s3.probes_reading import Tally, arn_part, bucket_of, field, items, need


def logging(inquiry: Inquiry, tally: Tally) -> str:
    found = field(inquiry.call("get_bucket_logging", **inquiry.bucket), "LoggingEnabled", dict)
    if found is None:
        return "S3 writes no access log of the bucket"
    bucket = need(found, "TargetBucket", str)
    tally.answer = {"bucket": bucket, "prefix": field(found, "TargetPrefix", str)}
    where = inquiry.place_of_bucket(tally, bucket, "access logs go to")
    if where:
        tally.note(f"access logs (keys, addresses of readers) go to the bucket {bucket} in {inquiry.named(where)}")
    return ""


def inventory(inquiry: Inquiry, tally: Tally) -> str:
    found = _configurations(inquiry, "list_bucket_inventory_configurations", "InventoryConfigurationList")
    for each in found:
        with tally.attempt():
            _exported(inquiry, tally, each, need(each, "Destination", dict), "lists of all documents go to")
    tally.answer = found
    return "S3 writes no list of the bucket's objects"


def analytics(inquiry: Inquiry, tally: Tally) -> str:
    found = _configurations(inquiry, "list_bucket_analytics_configurations", "AnalyticsConfigurationList")
    for each in found:
        with tally.attempt():
            export = field(field(each, "StorageClassAnalysis", dict) or {}, "DataExport", dict)
            if export is not None:
                _exported(inquiry, tally, each, need(export, "Destination", dict), "analyses of documents go to")
    tally.answer = found
    return "S3 exports no analysis of the bucket"


def _configurations(inquiry: Inquiry, method: str, path: str) -> list[dict[str, Any]]:
    return inquiry.listing(method, "", (path,), ("ContinuationToken", "NextContinuationToken"), **inquiry.bucket)


def _exported(inquiry: Inquiry, tally: Tally, rule: object, destination: object, what: str) -> None:
    if not overlaps(inquiry, rule):
        return
    bucket = bucket_of(need(need(destination, "S3BucketDestination", dict), "Bucket", str))
    where = inquiry.place_of_bucket(tally, bucket, what)
    if where:
        tally.note(f"{what} the bucket {bucket} in {inquiry.named(where)}")


def metadata(inquiry: Inquiry, tally: Tally) -> str:
    """One call reads configurations of both generations ("GetBucketMetadataConfiguration", S3 API reference)."""
    answer = inquiry.setting("get_bucket_metadata_configuration")
    if answer is None:
        return "S3 keeps no table of the objects' metadata"
    outer = need(answer, "GetBucketMetadataConfigurationResult", dict)
    found = need(need(outer, "MetadataConfigurationResult", dict), "DestinationResult", dict)
    arn = need(found, "TableBucketArn", str)
    tally.answer = {"tables": arn}
    where = inquiry.place_of_arn(tally, arn, "tables of the documents' metadata are in")
    tally.note(f"tables of the documents' metadata (keys, tags) are in {inquiry.named(where)}")
    return ""


def notification(inquiry: Inquiry, tally: Tally) -> str:
    answer = inquiry.call("get_bucket_notification_configuration", **inquiry.bucket)
    told: list[object] = []
    tally.answer = told
    for listed, name, what in (
        ("TopicConfigurations", "TopicArn", "the topic"),
        ("QueueConfigurations", "QueueArn", "the queue"),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn", "the function"),
    ):
        for each in items(answer, listed):
            with tally.attempt():
                arn = need(each, name, str)
                told.append(arn)
                where = f"{arn_part(arn, 5)} in {inquiry.named(arn_part(arn, 3))}"
                tally.note(f"{what} {where} is told of new documents; review what it does with them")
    if field(answer, "EventBridgeConfiguration", dict) is not None:
        told.append("EventBridge")
        tally.note("EventBridge is told of new documents; review what its rules do with them")
    return "nobody is told of new documents"
