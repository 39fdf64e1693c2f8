"""Creating records again, setting their fields, and bringing them back from the recycle bin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from offloader.errors import AuthError, OffloaderError, Permanent, Transient
from offloader.ports import Status
from offloader.records import Deleted, Record, RecordRef
from offloader_connectors.answers import harmless
from offloader_connectors.salesforce import rows, soql, trouble
from offloader_connectors.salesforce.api import HEAVY_PER_COMPOSITE, RECORDS_PER_COLLECTION, Answer, Api, Sub
from offloader_connectors.salesforce.records_delete import item_failed
from offloader_connectors.salesforce.records_types import Types

#: runs of one type in one collection (REST API guide, "Create Multiple Records with Fewer Round-Trips")
_RUNS_PER_COLLECTION = 10
#: characters in one collection: five of them stay far below what one request may hold
_LARGEST_COLLECTION = 2_000_000
#: ids in one call of `undelete` (SOAP API guide, "undelete()")
_UNDELETED_AT_ONCE = 200
_LOST = "the answer was lost: it may be there now or not, look before trying again"
_NO_ID = Deleted(status=Status.REFUSED, reason="this is no Salesforce record id")
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com">'
    "<e:Header><SessionHeader><sessionId>{}</sessionId></SessionHeader></e:Header>"
    "<e:Body><undelete>{}</undelete></e:Body></e:Envelope>"
)

Body = Mapping[str, Any]
Asked = tuple[int, Body]


class Writer:
    """Creates and changes records. Thread-safe."""

    def __init__(self, source: str, api: Api, types: Types, api_version: str) -> None:
        self._source = source
        self._api = api
        self._types = types
        self._soap = f"/services/Soap/u/{api_version}"

    def create(self, records: Sequence[Record]) -> list[Deleted]:
        """In order. A creation whose answer was lost is RETRY: no key tells it from none, only what is new does."""
        bodies = []
        for index, each in enumerate(records):
            columns = self._types.known(each.ref.type).columns
            known = {name: value for name, value in each.fields.items() if name in columns and value is not None}
            creatable = {name: value for name, value in known.items() if columns[name].creatable}
            bodies.append((index, {"attributes": {"type": each.ref.type}, **creatable}))
        return self._send("POST", records, bodies)

    def set_fields(self, records: Sequence[Record]) -> list[Deleted]:
        bodies = [
            (index, {"attributes": {"type": each.ref.type}, "id": key, **_without_id(each.fields)})
            for index, each in enumerate(records)
            if (key := soql.id18_or_none(each.ref.id)) is not None
        ]
        return self._send("PATCH", records, bodies)

    def _send(self, method: str, records: Sequence[Record], bodies: Sequence[Asked]) -> list[Deleted]:
        outcomes: dict[int, Deleted] = {}
        failed: OffloaderError | None = None
        for parts in soql.chunks(list(_collections(bodies)), HEAVY_PER_COMPOSITE):
            places = [[index for index, _ in part] for part in parts]
            if failed is not None:
                outcomes |= {i: Deleted(status=Status.RETRY, reason=str(failed)) for part in places for i in part}
                continue
            subs = [
                Sub(method, "composite/sobjects", {"allOrNone": False, "records": [body for _, body in part]})
                for part in parts
            ]
            try:
                answers = self._api.composite(subs, write=True)
            except OffloaderError as error:
                twice = method == "POST" and _lost(error)
                if not outcomes and not twice:
                    raise
                failed = error
                outcomes |= {i: _unanswered(error, twice=twice) for part in places for i in part}
                continue
            for part, answer in zip(places, answers, strict=True):
                results = _results(answer, [records[index].ref for index in part], creates=method == "POST")
                outcomes |= dict(zip(part, results, strict=True))
        return [outcomes.get(index, _NO_ID) for index in range(len(records))]

    # -- the recycle bin ----------------------------------------------------------------------------------------

    def undelete(self, refs: Sequence[RecordRef]) -> list[Deleted]:
        """By the SOAP API, since REST has no such call. In order; REFUSED for what the bin does not hold."""
        known = [(index, key) for index, each in enumerate(refs) if (key := soql.id18_or_none(each.id))]
        outcomes: dict[int, Deleted] = {}
        for part in soql.chunks(known, _UNDELETED_AT_ONCE):
            try:
                results = self._undelete([key for _, key in part])
            except OffloaderError as error:
                if not outcomes:
                    raise
                results = [Deleted(status=Status.RETRY, reason=str(error))] * len(part)
            for (index, _), result in zip(part, results, strict=True):
                found = result.status is Status.DONE
                outcomes[index] = Deleted(status=Status.DONE, ref=refs[index]) if found else result
        return [outcomes.get(index, _NO_ID) for index in range(len(refs))]

    def _undelete(self, ids: Sequence[str]) -> list[Deleted]:
        named = "".join(f"<ids>{each}</ids>" for each in ids)
        token = self._api.session.token()
        answer = self._exchange(token.value, named)
        if _fault(answer) == "INVALID_SESSION_ID":
            answer = self._exchange(self._api.session.renew(token).value, named)
        code = _fault(answer)
        if code is not None:
            error = AuthError if code.startswith("INVALID_SESSION") else Permanent
            raise error(f"undelete: Salesforce refuses, {harmless(code, 80)}")
        found = [each for each in answer.iter() if _name(each) == "result"]
        if len(found) != len(ids):
            raise rows.malformed("undelete", f"not {len(ids)} results")
        return [_undeleted(each) for each in found]

    def _exchange(self, session: str, named: str) -> ET.Element:
        body = _ENVELOPE.format(escape(session), named).encode()
        status, content = self._api.exchange("soap.undelete", self._soap, "text/xml;charset=UTF-8", body)
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise rows.malformed("undelete", "a document type")
        try:
            return ET.fromstring(content)  # noqa: S314  entities are refused above
        except ET.ParseError as error:
            if status == 200 or status >= 500:
                raise Transient(f"undelete: HTTP {status} without a readable answer", maybe_done=True) from error
            raise trouble.translate("undelete", status, {}, b"", write=True) from error


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ET.Element, name: str) -> str:
    return next((each.text or "" for each in element.iter() if _name(each) == name), "")


def _fault(answer: ET.Element) -> str | None:
    fault = next((each for each in answer.iter() if _name(each) == "Fault"), None)
    if fault is None:
        return None
    return (_text(fault, "exceptionCode") or _text(fault, "faultcode")).rpartition(":")[2] or "UNKNOWN"


def _undeleted(result: ET.Element) -> Deleted:
    if _text(result, "success") == "true":
        return Deleted(status=Status.DONE)
    return item_failed(
        [trouble.ItemError(_text(result, "statusCode") or "UNKNOWN", harmless(_text(result, "message")))]
    )


def _without_id(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name.lower() not in ("id", "attributes")}


def _collections(bodies: Sequence[Asked]) -> Iterator[list[Asked]]:
    """Runs of bodies in order, as many as one collection takes."""
    part: list[Asked] = []
    characters = runs = 0
    for _, group in groupby(bodies, key=lambda each: each[1]["attributes"]["type"]):
        runs += 1
        for each in group:
            size = len(json.dumps(each[1]))
            full = len(part) >= RECORDS_PER_COLLECTION or characters + size > _LARGEST_COLLECTION
            if part and (full or runs > _RUNS_PER_COLLECTION):
                yield part
                part, characters, runs = [], 0, 1
            part.append(each)
            characters += size
    if part:
        yield part


def _lost(error: OffloaderError) -> bool:
    return isinstance(error, Transient) and error.maybe_done


def _unanswered(error: OffloaderError, *, twice: bool) -> Deleted:
    """An act without an answer; `twice`: it would be done twice if it were tried again without a look."""
    return Deleted(status=Status.RETRY, reason=f"{_LOST} ({error})" if twice else str(error))


def _results(answer: Answer, refs: Sequence[RecordRef], *, creates: bool) -> list[Deleted]:
    try:
        results = answer.require(write=True).results(len(refs))
    except Transient as error:
        return [_unanswered(error, twice=creates and error.maybe_done)] * len(refs)
    except OffloaderError as error:
        return [Deleted(status=Status.REFUSED, reason=str(error))] * len(refs)
    return [_written(ref, result) for ref, result in zip(refs, results, strict=True)]


def _written(ref: RecordRef, result: Mapping[str, Any]) -> Deleted:
    if result.get("success") is not True:
        return item_failed(trouble.item_errors(result))
    return Deleted(status=Status.DONE, ref=RecordRef(ref.source, ref.type, rows.record_id(result, "id", "collection")))
