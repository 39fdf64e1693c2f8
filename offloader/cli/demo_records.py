"""Stale records of the demo: shipment confirmations and closed cases with their e-mails, in each CRM's own fields."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from offloader.errors import OffloaderError
from offloader.ports import Status
from offloader.records import Record, RecordQuery, RecordRef, Records

if TYPE_CHECKING:
    from offloader.cli.demo_sandbox import Sandbox
    from offloader.moves.site import Site

#: fields of a record by its number, the moment it is of, and a customer's id
Fields = Callable[[int, datetime, str], dict[str, Any]]
#: fields of an e-mail by the id of the record that it is about
Mail = Callable[[str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stale:
    """A sort of records of one CRM. Of `old` ones all but the first two go; `young` ones have to stay."""

    source: str
    type: str
    #: how a person calls them
    words: str
    rule: str
    old: int
    young: int
    fields: Fields
    #: fields of those that have to stay, over the others
    stays: Mapping[str, Any]
    #: type and fields of an e-mail about each
    mail: tuple[str, Mail] | None = None
    #: type of a customer that each one needs
    customer: str = ""
    #: field that tells one from the other, where no API sets their dates: the emulator itself makes them then
    inside: str = ""


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


_SHIPMENTS = """\
  - id: {source}-shipments
    type: {type}
    sources: [{source}]
    age_field: {age}
    older_than: P7Y
    signals: {{country: {country}}}
"""
_CASES = """\
  # The e-mails of a case go with it, and are archived with it. No field says a case's country.
  - id: {source}-cases
    type: {type}
    sources: [{source}]
    age_field: {age}
    older_than: P5Y
    where: {{{where}}}
    facts: {{country: NL}}
    documents: copy
"""
STALE: Sequence[Stale] = (
    Stale(
        "salesforce",
        "Shipment_Confirmation__c",
        "shipment confirmations",
        _SHIPMENTS.format(
            source="salesforce", type="Shipment_Confirmation__c", age="Delivered_On__c", country="Country__c"
        ),
        8,
        4,
        lambda number, at, _customer: {
            "Name": f"Shipment {number}",
            "Country__c": "Netherlands",
            "Delivered_On__c": _day(at),
        },
        {},
    ),
    Stale(
        "salesforce",
        "Case",
        "closed cases",
        _CASES.format(source="salesforce", type="Case", age="ClosedDate", where="Status: Closed"),
        4,
        2,
        lambda number, at, _customer: {
            "Subject": f"Parcel {number} never came",
            "Status": "Closed",
            "Origin": "Email",
            "CreatedDate": _second(at),
            "ClosedDate": _second(at),
        },
        {"Status": "Working", "ClosedDate": None},
        (
            "EmailMessage",
            lambda case: {
                "ParentId": case,
                "Subject": "Where is my parcel?",
                "TextBody": "It should have been here last week.",
                "FromAddress": "customer@example.com",
                "ToAddress": "service@example.com",
                "Incoming": True,
                "Status": "3",
            },
        ),
        inside="Subject",
    ),
    Stale(
        "dynamics365",
        "new_shipment",
        "shipment confirmations",
        _SHIPMENTS.format(source="dynamics365", type="new_shipment", age="new_due", country="new_country"),
        8,
        4,
        lambda number, at, _customer: {
            "new_name": f"Shipment {number}",
            "new_country": "Netherlands",
            "new_due": _second(at),
        },
        {},
    ),
    Stale(
        "dynamics365",
        "incident",
        "closed cases",
        _CASES.format(source="dynamics365", type="incident", age="createdon", where="statecode: 1"),
        4,
        2,
        lambda number, at, customer: {
            "title": f"Parcel {number} never came",
            "customerid": customer,
            "customerid@table": "account",
            "createdon": _second(at),
            "statecode": 1,
            "statuscode": 5,
        },
        {"statecode": 0, "statuscode": 1},
        (
            "email",
            lambda case: {
                "subject": "Where is my parcel?",
                "description": "It should have been here last week.",
                "regardingobjectid": case,
                "regardingobjectid@table": "incident",
            },
        ),
        "account",
    ),
)


@dataclass(frozen=True, slots=True)
class Made:
    """Records of one sort as they were made, the oldest first. The first is held, the second is to come back."""

    stale: Stale
    refs: Sequence[RecordRef]

    @property
    def staying(self) -> set[RecordRef]:
        return {self.refs[0], *self.refs[self.stale.old :]}


def make(site: Site, stale: Stale, sandbox: Sandbox) -> Made:
    """Make the records of one sort in the CRM, each with its e-mail. Raises OffloaderError if it takes one not."""
    records, now = site.records(stale.source), site.context.now()
    customer = _customer(records, stale, now) if stale.customer else ""
    drafts = []
    for number in range(stale.old + stale.young):
        young = number >= stale.old
        years = 1 if young and not stale.stays else 12 - number / 2
        fields = stale.fields(number, now - timedelta(days=366 * years), customer)
        drafts.append(_record(stale, stale.type, number, {**fields, **(stale.stays if young else {})}))
    refs = _inserted(records, stale, drafts, sandbox) if stale.inside else list(_created(records, drafts))
    if stale.mail is not None:
        type_, fields_of = stale.mail
        mails = [_record(stale, type_, number, fields_of(ref.id)) for number, ref in enumerate(refs)]
        list(_created(records, mails))
    return Made(stale, refs)


def _record(stale: Stale, type_: str, number: int, fields: Mapping[str, Any]) -> Record:
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"offloader demo, {type_} {number}"))
    return Record(ref=RecordRef(stale.source, type_, name), etag="", modified=None, fields=fields)


def _created(records: Records, drafts: Sequence[Record]) -> Iterator[RecordRef]:
    for outcome in records.create(drafts):
        if outcome.status is not Status.DONE or outcome.ref is None:
            raise OffloaderError(f"the emulated CRM takes no {drafts[0].ref.type}: {outcome.reason}")
        yield outcome.ref


def _inserted(records: Records, stale: Stale, drafts: Sequence[Record], sandbox: Sandbox) -> list[RecordRef]:
    """Made by the emulator itself, and found again."""
    for draft in drafts:
        sandbox.call("edit", "POST", {"action": "insert", "type": stale.type, "fields": dict(draft.fields)})
    names = [draft.fields[stale.inside] for draft in drafts]
    later = datetime.max.replace(tzinfo=UTC)
    query = RecordQuery(type=stale.type, age_field="CreatedDate", before=later, equals={stale.inside: names})
    found = {record.fields[stale.inside]: record.ref for page in records.find(query) for record in page.records}
    return [found[name] for name in names]


def _customer(records: Records, stale: Stale, now: datetime) -> str:
    query = RecordQuery(type=stale.customer, age_field="createdon", before=now)
    for page in records.find(query):
        for record in page.records:
            return record.ref.id
    raise OffloaderError(f"the emulated CRM has no {stale.customer}")
