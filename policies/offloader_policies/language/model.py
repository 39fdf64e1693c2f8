"""What may stand in a policy file. The descriptions are the documentation, and the JSON Schema for editors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from offloader.model import Assurance, Verdict
from offloader.plugins import Options
from offloader_policies.language.spans import parse_period, parse_size
from offloader_policies.options import ResidencyOptions

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Then = Literal["move", "keep", "review", "classify"]
_EXTENSION = re.compile(r"[^\s./\\]+(\.[^\s./\\]+)*")


def _version(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f'put the version in quotation marks: "{value}"; 1.10 without them is the number 1.1')
    return value


def _list(value: Any) -> Any:
    """One word where a list may stand is a list of one."""
    return [value] if isinstance(value, str) else value


def _last_day(value: Any) -> Any:
    """A year alone is a number to YAML, and a whole day a date."""
    return value.isoformat() if isinstance(value, date) else str(value)


def _period(value: Any) -> str:
    parse_period(value)
    return str(value)


def _extension(value: str) -> str:
    if value.startswith(".") or not _EXTENSION.fullmatch(value):
        raise ValueError(f"{value!r}: an extension without its dot, such as pdf")
    return value.lower()


def _mime(value: str) -> str:
    if not re.fullmatch(r"[\w.+-]+/([\w.+-]+|\*)", value):
        raise ValueError(f"{value!r}: a media type such as application/pdf, or image/*")
    return value.lower()


Period = Annotated[
    str, BeforeValidator(_period), WithJsonSchema({"type": "string", "pattern": r"^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$"})
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+( ?(bytes|kB|MB|GB|TB|KiB|MiB|GiB|TiB))?$"},
            ]
        }
    ),
]
_WORDS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Words = Annotated[tuple[Text, ...], BeforeValidator(_list), WithJsonSchema(_WORDS)]
Mimes = Annotated[tuple[Annotated[str, BeforeValidator(_mime)], ...], BeforeValidator(_list), WithJsonSchema(_WORDS)]
Extensions = Annotated[
    tuple[Annotated[str, BeforeValidator(_extension)], ...], BeforeValidator(_list), WithJsonSchema(_WORDS)
]


def _values(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


#: a name as CRMs give types and fields
Field_ = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Values = Annotated[
    tuple[StrictBool | StrictInt | StrictFloat | Text, ...],
    BeforeValidator(_values),
    Field(min_length=1),
]


class Select(Options):
    """Which documents a clause is about: those that meet every line that stands here."""

    everything: Literal[True] | None = Field(None, description="Every document; stands alone.")
    sources: Words = Field((), description="Only these sources, by their names in offloader.yaml.")
    kinds: Words = Field((), description="Only these kinds of documents (ContentDocument, Attachment, annotation, …).")
    parents: Words = Field((), description="Only documents on at least one record of these types (Case, Invoice__c).")
    age_of: Literal["modified", "created"] = Field(
        "modified", description="What min_age and max_age count from: the document's last change, or its creation."
    )
    min_age: Period | None = Field(None, description="At least so old: P2Y, P6M, P30D (ISO 8601, by the calendar).")
    max_age: Period | None = Field(None, description="Younger than this.")
    min_size: Size | None = Field(None, description="All versions together at least so large: 500 kB, 10 MB, bytes.")
    max_size: Size | None = Field(None, description="All versions together at most so large.")
    mime: Mimes = Field((), description="Only these media types of the newest version (application/pdf, image/*).")
    extensions: Extensions = Field(
        (), description="Only these file name extensions of the newest version, without the dot."
    )
    when: Text | None = Field(None, description="A condition in CEL over `document`, `parents` and `now`.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        said = self.model_fields_set - {"age_of"}
        if not said:
            raise ValueError("selects nothing in particular; for every document write `everything: true`")
        if self.everything and len(said) > 1:
            raise ValueError("`everything` stands alone; leave it out, or the other lines")
        if "age_of" in self.model_fields_set and self.min_age is None and self.max_age is None:
            raise ValueError("`age_of` needs `min_age` or `max_age`")
        return self


class Duty(Options):
    """A retention duty: one of the table by its id alone, or a period of one's own."""

    id: Id = Field(description="Id of the table, or your name for it.")
    keep: Period | None = Field(None, description="Must be kept at least so long.")
    erase: Period | None = Field(None, description="Must be gone after so long.")
    start: Text | None = Field(
        None, alias="from", description="The event that the period begins with (contract_end, fy_end, doc_date, …)."
    )

    @model_validator(mode="before")
    @classmethod
    def _by_id(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        own = self.model_fields_set - {"id"}
        if own and (self.start is None or (self.keep is None and self.erase is None)):
            raise ValueError("a period of your own needs `from`, and `keep` or `erase`; one of the table only its id")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core)]}


class Clause(Options):
    """One sentence of the policy: which documents, what becomes of them, and what goes along with it."""

    id: Id = Field(description="Its name; decisions name it, and a higher layer changes it by this name.")
    select: Select = Field(description="Which documents.")
    then: Then = Field(
        description="move: may be moved, if the law finds a place. keep: stays. review: a person must look. "
        "classify: only adds what stands below to documents that another clause moves."
    )
    reason: Text | None = Field(None, description="Why, in words; stands in every decision. keep and review need one.")
    categories: Words = Field((), description="What such documents are taken for (health_data); more rules apply.")
    prefer: Words = Field((), description="Stores to choose first, in this order.")
    cost_class: Text | None = Field(None, description="Price class to prefer (STANDARD, GLACIER_IR, Cool).")
    copies: Annotated[StrictInt, Field(ge=1, le=5)] = Field(1, description="Full copies, in different stores.")
    retention: tuple[Duty, ...] = Field(
        (), description="Retention duties: ids of the table, or periods of your own ({id, keep, erase, from})."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.then in ("keep", "review"):
            if self.reason is None:
                raise ValueError(f"a clause that says `then: {self.then}` needs a `reason`")
            if self.prefer or self.cost_class or self.copies > 1:
                raise ValueError(f"prefer, cost_class and copies mean nothing with `then: {self.then}`")
        return self


class PurgeTerms(Options):
    """A purge rule: records of one type that are old enough to go, and under what conditions."""

    id: Id = Field(description="Its name; plans and reports name it.")
    type: Field_ = Field(description="The object type, by the CRM's own name (Case, Shipment_Confirmation__c).")
    age_field: Field_ = Field(description="The field that says how old a record is (ClosedDate). Empty: it stays.")
    older_than: Period = Field(description="Only records older than this: P7Y, P18M, P30D (by the calendar).")
    sources: Words = Field((), description="Only these sources, by their names in offloader.yaml.")
    where: Mapping[Field_, Values] = Field(
        default_factory=dict, description="Field: value, or a list of them; the record must have one. Asked of the CRM."
    )
    empty: tuple[Field_, ...] = Field((), description="Fields that must be empty.")
    when: Text | None = Field(
        None, description="A condition in CEL over `record` (its fields) and `now`, judged on what the CRM answered."
    )
    retention: tuple[Duty, ...] = Field(
        (), description="Retention duties: ids of the table, or periods of your own. Younger than the latest: it stays."
    )
    dates: Mapping[Text, Field_] = Field(
        default_factory=dict,
        description="Event that a duty begins with: field that says when it was ({contract_end: End_Date__c}).",
    )
    signals: Mapping[Text, Field_] = Field(
        default_factory=dict, description="Signal: field, for the place of the archive ({country: Country__c})."
    )
    facts: Mapping[Text, Text] = Field(
        default_factory=dict, description="Signals that all these records share, if no field says them ({country: NL})."
    )
    categories: Words = Field((), description="What the archive is taken for (invoices); more residency rules apply.")
    prefer: Words = Field((), description="Stores to choose first for the archive, in this order.")
    max_records: Annotated[StrictInt, Field(ge=0)] | None = Field(
        None, description="Records that one plan may purge at most, what goes with them included."
    )
    max_percent: float | None = Field(
        None, ge=0, le=100, description="Share of all records of the type that one plan may purge at most."
    )
    hard: StrictBool = Field(False, description="Delete past the CRM's bin; then only the archive can bring them back.")
    children: Literal["archive", "refuse"] = Field(
        "archive", description="archive: what goes with a record is archived too. refuse: a record with any stays."
    )
    documents: Literal["keep", "copy"] = Field(
        "keep",
        description="keep: a record with files that are not moved yet stays. copy: these are copied first, each to "
        "where the policy lets it be.",
    )

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if self.dates and not self.retention:
            raise ValueError("`dates` says when a retention began; without `retention` it means nothing")
        return self


class OwnGroup(Options):
    """A named list of countries of your own; rules and bases name it as @ID."""

    id: Id = Field(description="Its name, used as @ID.")
    members: Words = Field(description="Countries (ISO 3166-1 alpha-2), subdivisions (CA-QC), or other @GROUPs.")
    valid_from: date | None = Field(None, description="First day.")
    valid_to: date | None = Field(None, description="Last day.")
    note: str = Field("", description="Where it comes from.")


class OwnRule(Options):
    """A residency rule of your own, with the fields of the rule table."""

    id: Id = Field(description="Its name, unlike any rule of the table.")
    jur: Text = Field(description="Whose rule: a country, a subdivision, or EU.")
    category: Words = Field(description="Categories of documents that it is about; `any` for all.")
    applies_when: str = Field("", description="In words, to whom it applies.")
    mode: Literal["HARD", "PRIMARY", "COPY", "COND", "REACH", "DENY", "EXPORT_GATE", "FREE", "SUSPENDED", "PENDING"] = (
        Field(description="What it does, as in the table of modes.")
    )
    must_in: Words = Field((), description="Where the bytes must be (HARD, PRIMARY, COPY).")
    allow: Words = Field((), description="Where they may be (COND), or the further places of a HARD rule.")
    deny: Words = Field((), description="Where they may never be (DENY).")
    strict: Annotated[StrictInt, Field(ge=0, le=5)] = Field(3, description="0 (none) to 5 (exclusive local storage).")
    cite: Text = Field(description="Where it stands: a law, a contract, a decision of your board.")
    status: Literal["in force", "phased", "partly", "pending", "suspended", "draft"] = Field(
        "in force", description="Whether it is in force."
    )
    review: Annotated[str, BeforeValidator(_last_day)] = Field(
        description="When a person must look at it again: 2027, 2027-06 or 2027-06-30."
    )
    conf: Literal["H", "M", "L"] = Field("M", description="How sure you are.")


class Removals(Options):
    """What a layer takes out of the layers below, each with its reason."""

    clauses: Mapping[Id, Text] = Field(default_factory=dict, description="Clauses by id, each with the reason.")
    rules: Mapping[Id, Text] = Field(default_factory=dict, description="Own rules of a lower layer.")
    purge: Mapping[Id, Text] = Field(default_factory=dict, description="Purge rules of a lower layer.")
    groups: Mapping[Id, Text] = Field(default_factory=dict, description="Own groups of a lower layer.")
    transfer_bases: Mapping[Id, Text] = Field(default_factory=dict, description="Transfer bases of a lower layer.")
    tests: Mapping[Text, Text] = Field(default_factory=dict, description="Tests of a lower layer, by name.")


class ApprovalTerms(Options):
    """What must happen before a plan is carried out."""

    people: Annotated[StrictInt, Field(ge=0, le=10)] = Field(0, description="How many different people must approve.")
    preparer: StrictBool = Field(False, description="Whether the one who made the plan may be one of them.")
    days: Annotated[StrictInt, Field(ge=1, le=366)] = Field(14, description="Days that an approval holds.")


class CapTerms(Options):
    """How much one plan may move."""

    documents: Annotated[StrictInt, Field(ge=0)] | None = Field(None, description="Documents at most.")
    bytes: Size | None = Field(None, description="Bytes at most (100 GB, or a number).")
    percent: float | None = Field(None, ge=0, le=100, description="Share of all known documents at most.")
    kinds: Mapping[Text, Annotated[StrictInt, Field(ge=0)]] = Field(
        default_factory=dict, description="Documents of a kind at most."
    )
    pilot: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="A plan of more documents waits until one of at most so many was carried out."
    )


class ExceptionTerms(Options):
    """Who answers for what is blocked or needs review."""

    owner: str = Field("", description="Name or role.")
    days: Annotated[StrictInt, Field(ge=1)] = Field(30, description="Within so many days.")


class ExpiryTerms(Options):
    """What becomes of stored documents when their retention is over."""

    after: Literal["keep", "delete"] = Field(
        "keep",
        description="What becomes of a document that need not be kept any more and that no duty says to erase. One "
        "that must be erased is planned for it in any case.",
    )
    bypass_governance: StrictBool = Field(
        False,
        description="Whether an expiry may pass a lock that the store lets some people lift (GOVERNANCE, Unlocked).",
    )


class DeletionTerms(Options):
    """What becomes of stored documents that somebody deletes in the CRM."""

    grace: Annotated[StrictInt, Field(ge=0, le=3660)] = Field(
        30,
        description="Days that the stored bytes stay after the deletion; never fewer than those of the CRM's own bin. "
        "Take the days of the CRM's back-ups.",
    )


class Processing(Options):
    """Your words for the record of processing (GDPR Article 30); the report fills in the rest from the plan."""

    processing_name: str = Field("", description="What the processing is called.")
    controller: str = Field("", description="Name and contact of the controller.")
    joint_controllers: Words = Field((), description="Joint controllers.")
    dpo_contact: str = Field("", description="Contact of the data-protection officer.")
    purposes: Words = Field((), description="Purposes.")
    legal_basis: str = Field("", description="Legal basis of the processing itself; moving files does not change it.")
    lia_ref: str = Field("", description="Reference of the legitimate-interest assessment.")
    data_subject_categories: Words = Field((), description="Whose data: customers, patients, …")
    data_categories: Words = Field((), description="Which data.")
    special_categories: Words = Field((), description="Special categories (GDPR Article 9), if any.")
    recipients: Words = Field((), description="Recipients besides the stores.")
    processor: Words = Field((), description="Processors, with the reference of the contract.")
    safeguards: Words = Field((), description="Safeguards for transfers, besides the transfer bases.")
    erase_time_limits: Words = Field((), description="Time limits for erasure, in words.")
    security_measures: Words = Field((), description="Security measures.")
    dpia_ref: str = Field("", description="Reference of the data-protection impact assessment.")
    last_review: date | None = Field(None, description="When this was last looked at.")


class GivenParent(Options):
    """A record that the made-up document hangs on."""

    type: Text = Field(description="Its type.")
    id: Text = Field("1", description="Its id.")
    signals: Mapping[Text, str] = Field(default_factory=dict, description="What it says: {country: NL}.")


class GivenStore(Options):
    """A made-up store."""

    countries: Words = Field(min_length=1, description="Where its bytes are.")
    assurance: Assurance = Field(Assurance.PROVEN, description="PROVEN, ATTESTED, UNPROVEN or VIOLATION.")
    price: tuple[str, str, str] | None = Field(None, description="Its price list: [provider, class, region].")

    @model_validator(mode="before")
    @classmethod
    def _by_countries(cls, value: Any) -> Any:
        return {"countries": value} if isinstance(value, str | list) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*_WORDS["anyOf"], handler(core)]}


class Given(Options):
    """A made-up document and the stores around it."""

    source: str = Field("crm", description="Name of the source.")
    kind: str = Field("ContentDocument", description="Kind of document.")
    name: str = Field("document.pdf", description="File name of its one version.")
    size: Size | None = Field(1_000_000, description="Bytes, or 5 MB; `null`: the CRM does not say.")
    versions: Annotated[StrictInt, Field(ge=1, le=100)] = Field(1, description="How many versions, of that size each.")
    mime: str | None = Field(None, description="Media type.")
    created: date | None = Field(None, description="Day of creation.")
    modified: date | None = Field(None, description="Day of the last change.")
    owner: str | None = Field(None, description="The owning user's id.")
    parents: tuple[GivenParent, ...] = Field((), description="The records that it hangs on.")
    stores: Mapping[Text, GivenStore] = Field(
        default_factory=dict, description="Stores by name: their countries, or {countries, assurance, price}."
    )
    on: date | None = Field(None, description="The day of the decision; today if it is left out.")
    selected: StrictBool = Field(
        False, description="Leave the clauses aside and take the document as selected: tests the rules alone."
    )


class Expect(Options):
    """What must come of it; only what stands here is compared."""

    verdict: Verdict | None = Field(None, description="MOVE, KEEP, BLOCKED or REVIEW.")
    code: str | None = Field(None, description="Code of the reason that settled it.")
    store: str | None = Field(None, description="The chosen store.")
    copies: Words | None = Field(None, description="The further stores.")
    countries: Words | None = Field(None, description="Exactly the permitted places; @GROUPs may stand for members.")
    includes: Words | None = Field(None, description="Places that are permitted, maybe among others.")
    excludes: Words | None = Field(None, description="Places that are not permitted.")
    categories: Words | None = Field(None, description="Exactly the categories.")
    clauses: Words | None = Field(None, description="Exactly the clauses that selected it.")
    rules: Words | None = Field(None, description="Rules that stand among the reasons.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expects nothing; name at least a `verdict`")
        return self


class Case(Options):
    """An example that stands beside the policy."""

    name: Text = Field(description="Its name, a sentence.")
    given: Given = Field(description="The document and the stores.")
    expect: Expect = Field(description="What must come of it.")


class Pack(Options):
    """What a pack is, and how far it can be relied on."""

    title: Text = Field(description="Its name in words.")
    notice: Text = Field(description="What it is not.")
    valid_from: date = Field(description="The day that it describes.")
    review: date = Field(description="The day by which a person must look at it again.")
    citation: Text = Field(description="Where it comes from.")
    confidence: Literal["H", "M", "L"] = Field(description="How sure it is: H, M or L.")
    rules: Words = Field((), description="Rules of the table that it is about.")


class PolicyFile(Options):
    """A policy file."""

    policy: Id = Field(description="The policy's name.")
    version: Annotated[str, BeforeValidator(_version)] = Field(
        "", description="Its version, in quotation marks; reports and plans name it."
    )
    extends: Words = Field(
        (), description="Layers below this file, lowest first: packs/NAME, or files relative to this one."
    )
    pack: Pack | None = Field(None, description="Only in packs.")
    residency: ResidencyOptions = Field(
        default_factory=ResidencyOptions, description="Options of the residency rules, as of policy type residency."
    )
    min_bytes: Size | None = Field(
        None, description="Smaller documents stay: below it a move costs more than it saves (20 kB, or bytes)."
    )
    groups: tuple[OwnGroup, ...] = Field((), description="Country groups of your own.")
    rules: tuple[OwnRule, ...] = Field((), description="Residency rules of your own.")
    clauses: tuple[Clause, ...] = Field((), description="The clauses. What none of them selects stays.")
    purge: tuple[PurgeTerms, ...] = Field((), description="Records that are purged when they are old.")
    removes: Removals = Field(default_factory=Removals, description="What is taken out of the layers below.")
    approvals: ApprovalTerms = Field(default_factory=ApprovalTerms, description="Approvals that a plan needs.")
    caps: CapTerms = Field(default_factory=CapTerms, description="How much one plan may move.")
    exceptions: ExceptionTerms = Field(
        default_factory=ExceptionTerms, description="Who answers for what is blocked or needs review."
    )
    expiry: ExpiryTerms = Field(
        default_factory=ExpiryTerms, description="What becomes of stored documents when their retention is over."
    )
    deletions: DeletionTerms = Field(
        default_factory=DeletionTerms, description="What becomes of stored documents that are deleted in the CRM."
    )
    duplicates: Literal["apart", "share"] = Field(
        "apart",
        description="share: equal bytes of documents under the same law, of one source and with the same duties of "
        "keeping lie in a store once. apart: each document has a copy of its own.",
    )
    processing: Processing = Field(
        default_factory=Processing, description="Your words for the record of processing (GDPR Article 30)."
    )
    tests: tuple[Case, ...] = Field((), description="Examples: given, expect. `offloader policy test` runs them.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, for editors."""
    schema = PolicyFile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
